"""Compares rebuilt tables with those that run, while these go on; and the rest of them while nobody writes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from projections.projection import Projection

PAGE = 5_000
BLOCK, WINDOW = 1_000, 1_000_000
"""Positions of facts that are compared together, and that are asked for at once."""
NAMED = 20
"""So many differences are named; all are counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its key, the position up to which it tells, and a digest of what it says."""

    key: Any
    position: int
    digest: str


Blocks = dict[int, tuple[int, str]]
"""By its number: how many rows a block has, and a digest of what they say together."""


class Side(Protocol):
    """The tables of one projection, as they stand. Every method raises ReadModelsUnavailable."""

    async def documents(self, table: str, after: str, limit: int) -> list[Row]: ...

    async def documents_of(self, table: str, ids: Sequence[str]) -> list[Row]: ...

    async def facts(self, table: str, after: int, until: int) -> list[Row]:
        """By their positions."""
        ...

    async def blocks(self, table: str, after: int, until: int, size: int) -> Blocks:
        """Block n has the positions after n * size, so many at most."""
        ...

    async def whole(self, table: str) -> tuple[int, str]:
        """How many rows say something, and a digest of what they say together."""
        ...


@dataclass(slots=True)
class Comparison:
    """`differing` rows of all that were compared. `mended`: of documents that had stopped and now go on."""

    compared: int = 0
    differing: int = 0
    mended: int = 0
    named: list[str] = field(default_factory=list)

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.compared + other.compared,
            self.differing + other.differing,
            self.mended + other.mended,
            (self.named + other.named)[:NAMED],
        )

    def differs(self, what: str) -> None:
        self.differing += 1
        if len(self.named) < NAMED:
            self.named.append(what)


class Comparing:
    """`parked` are the streams whose running documents have stopped: theirs may differ, and what follows from them."""

    def __init__(self, projection: Projection, running: Side, rebuilt: Side, parked: Iterable[str] = ()) -> None:
        self._projection = projection
        self._running = running
        self._rebuilt = rebuilt
        self._parked = set(parked)
        self.comparison = Comparison()

    async def up_to(self, position: int, advance: Callable[[int], None] = lambda _: None) -> None:
        """What neither side changed after a position that both have reached. `advance` hears how many rows more."""
        for table in self._projection.documents:
            pairs, told = _pairs(_documents(self._running, table), _documents(self._rebuilt, table)), 0
            async for running, rebuilt in pairs:
                self._document(table, running, rebuilt, position)
                told += 1
                if told % PAGE == 0:
                    advance(PAGE)
            advance(told % PAGE)
        await self._facts(0, position, advance)

    async def after(self, position: int, until: int, stream_ids: Sequence[str]) -> None:
        """What changed after a position up to another, of the streams that moved meanwhile, while nobody writes."""
        for table in self._projection.documents:
            kind = table.removesuffix("s") + "-"
            ids = [stream_id.removeprefix(kind) for stream_id in stream_ids if stream_id.startswith(kind)]
            running = {row.key: row for row in await self._running.documents_of(table, ids)}
            rebuilt = {row.key: row for row in await self._rebuilt.documents_of(table, ids)}
            for id in ids:
                self._document(table, running.get(id), rebuilt.get(id), until)
        await self._facts(position, until, lambda _: None)
        for table in self._projection.sums if not self._parked else ():
            ours, theirs = await asyncio.gather(self._rebuilt.whole(table), self._running.whole(table))
            self.comparison.compared += ours[0]
            if ours != theirs:
                self.comparison.differs(f"{table} as a whole")

    def _document(self, table: str, running: Row | None, rebuilt: Row | None, position: int) -> None:
        if any(row is not None and row.position > position for row in (running, rebuilt)):
            return  # it is compared when nobody writes
        self._row(table, running, rebuilt)

    async def _facts(self, after: int, until: int, advance: Callable[[int], None]) -> None:
        """Only where the rows of a block differ together is each looked at."""
        for table in self._projection.facts:
            for first in range(after, until, WINDOW):
                window = first, min(first + WINDOW, until)
                running, rebuilt = await asyncio.gather(
                    self._running.blocks(table, *window, BLOCK), self._rebuilt.blocks(table, *window, BLOCK)
                )
                for block in sorted(running.keys() | rebuilt.keys()):
                    if running.get(block) == rebuilt.get(block):
                        self.comparison.compared += running[block][0]
                    else:
                        begin, end = max(block * BLOCK, window[0]), min((block + 1) * BLOCK, window[1])
                        await self._block(table, begin, end)
                advance(sum(count for count, _ in running.values()))

    async def _block(self, table: str, after: int, until: int) -> None:
        running = {row.key: row for row in await self._running.facts(table, after, until)}
        rebuilt = {row.key: row for row in await self._rebuilt.facts(table, after, until)}
        for position in sorted(running.keys() | rebuilt.keys()):
            self._row(table, running.get(position), rebuilt.get(position))

    def _row(self, table: str, running: Row | None, rebuilt: Row | None) -> None:
        found = self.comparison
        found.compared += 1
        if running is not None and rebuilt is not None and running.digest == rebuilt.digest:
            return
        present = running or rebuilt
        name = f"{table.removesuffix('s')}-{present.key if present else ''}"
        if name in self._parked or (running is None and self._parked and table in self._projection.facts):
            found.mended += 1
        elif running is None:
            found.differs(f"{name} (only rebuilt)")
        elif rebuilt is None:
            found.differs(f"{name} (not rebuilt)")
        else:
            found.differs(name)


async def _documents(side: Side, table: str) -> AsyncIterator[Row]:
    after = ""
    while page := await side.documents(table, after, PAGE):
        for row in page:
            yield row
        after = page[-1].key


async def _pairs(left: AsyncIterator[Row], right: AsyncIterator[Row]) -> AsyncIterator[tuple[Row | None, Row | None]]:
    """Both in the order of their keys, what has the same key together."""
    one, other = await anext(left, None), await anext(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.key < other.key):
            yield one, None
            one = await anext(left, None)
        elif one is None or other.key < one.key:
            yield None, other
            other = await anext(right, None)
        else:
            yield one, other
            one, other = await anext(left, None), await anext(right, None)
