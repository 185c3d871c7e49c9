"""The documents that a process keeps of a tenant: frozen, bounded by bytes, fresh while it hears of changes."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic, perf_counter

from projections.documents.frozen import size_of
from projections.documents.values import Document

SHARDS = 1_024
SAMPLED = 256
"""One look in so many is timed: the clock would cost as much as the look."""
ENTRY_BYTES = 300
"""What a kept document takes besides itself: its key, its place in the table, and the entry."""
Took = Callable[[float], None]
Name = tuple[str, str]


class _Entry:
    """`told` and `passed`: how often it had been asked for when that was last told, and when room was last made."""

    __slots__ = ("asked", "document", "passed", "size", "told")

    def __init__(self, document: Document, size: int) -> None:
        self.document = document
        self.size = size
        self.asked = self.told = self.passed = 0


@dataclass(slots=True)
class NearFigures:
    hits: int = 0
    misses: int = 0
    bytes: int = 0
    evicted: int = 0
    invalidated: int = 0
    flushed: int = 0


class NearDocuments:
    """The port NearCopies. `capacity` is in bytes, of memory; `took` hears how long some of the looks took.

    A ticket is the number of changes heard of so far, of all that share its shard: what was read before one of them
    is not put after it.
    """

    def __init__(self, capacity: int, took: Took | None = None) -> None:
        self.figures = NearFigures()
        self.capacity = capacity
        self.wanted = asyncio.Event()
        """Set once somebody wants documents kept: nobody need listen before."""
        self._took = took
        self._entries: dict[Name, _Entry] = {}
        self._changes = [0] * SHARDS
        self._life = 0
        self._listening = False
        self._good_until = 0.0

    @property
    def count(self) -> int:
        return len(self._entries)

    @property
    def usable(self) -> bool:
        return monotonic() < self._good_until

    def peek(self, kind: str, id: str) -> Document | None:
        figures = self.figures
        if self._took is not None and not figures.hits % SAMPLED:
            began = perf_counter()
            found = self._peek(kind, id)
            self._took(perf_counter() - began)
            return found
        entry = self._entries.get((kind, id))
        if entry is None or monotonic() >= self._good_until:
            figures.misses += 1
            return None
        entry.asked += 1
        figures.hits += 1
        return entry.document

    def _peek(self, kind: str, id: str) -> Document | None:
        entry = self._entries.get((kind, id))
        if entry is None or not self.usable:
            self.figures.misses += 1
            return None
        entry.asked += 1
        self.figures.hits += 1
        return entry.document

    def ticket(self, kind: str, id: str) -> object | None:
        self.wanted.set()
        return (self._life, self._changes[hash((kind, id)) % SHARDS]) if self.usable else None

    def put(self, kind: str, id: str, document: Document, ticket: object) -> None:
        name = (kind, id)
        if ticket != self.ticket(kind, id):
            return
        size = size_of(document) + ENTRY_BYTES
        if size > self.capacity // 4:
            return
        self._drop(name)
        self._entries[name] = _Entry(document, size)
        self.figures.bytes += size
        self._make_room()

    def asked(self) -> Iterator[tuple[Name, int]]:
        """What was asked for since this was last asked, and how often."""
        for name, entry in list(self._entries.items()):
            if entry.asked > entry.told:
                yield name, entry.asked - entry.told
                entry.told = entry.asked

    # --- what it is told --------------------------------------------------------------------------------

    def listens(self, seconds: float) -> None:
        """From now on every change is heard of; somebody keeps the copies for so many seconds at least."""
        self.flush()
        self._listening = True
        self.kept(seconds)

    def kept(self, seconds: float) -> None:
        """Somebody keeps the copies, and will say so again within these seconds."""
        if self._listening:
            self._good_until = monotonic() + seconds

    def deaf(self) -> None:
        """Changes are not heard of any more."""
        self._listening = False
        self._good_until = 0.0
        self.flush()

    def changed(self, kind: str, id: str) -> None:
        name = (kind, id)
        self._changes[hash(name) % SHARDS] += 1
        if self._drop(name):
            self.figures.invalidated += 1

    def flush(self) -> None:
        """Everything may have changed."""
        self._life += 1
        self.figures.flushed += 1
        self.figures.bytes = 0
        self._entries.clear()

    def _drop(self, name: Name) -> bool:
        entry = self._entries.pop(name, None)
        if entry is None:
            return False
        self.figures.bytes -= entry.size
        return True

    def _make_room(self) -> None:
        """The oldest go, but for those asked for since they were last spared."""
        while self.figures.bytes > self.capacity:
            name = next(iter(self._entries))
            entry = self._entries.pop(name)
            if entry.asked > entry.passed:
                entry.passed = entry.asked
                self._entries[name] = entry
            else:
                self.figures.bytes -= entry.size
                self.figures.evicted += 1
