"""What is needed of caches: copies in Redis, documents in this process, a meter; and what stands for none of them."""

from dataclasses import dataclass
from typing import Literal, Protocol

from projections.batch import Batch
from projections.documents.values import Document
from projections.ports import Counts, StoredDocument


@dataclass(frozen=True, slots=True)
class Glance:
    """What was found among the hot copies. `seen` is how far they were: what is read from the store after
    that may be offered as known at `seen`. None: they can't be relied on just now. `ticket` is theirs."""

    body: bytes | None
    seen: int | None
    ticket: object = None


NOTHING_SEEN = Glance(None, None)


class HotCopies(Protocol):
    """Copies in Redis. Losing them costs speed, not answers: nothing here ever raises."""

    async def begin(self, position: int, generation: int) -> None:
        """A projector begins at this checkpoint, over the tables of this number.

        Copies that claim to be further are of another log. Those made over tables of another number are never
        believed again.
        """
        ...

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        """Copy a batch that was written. If batches before it are missing, all older copies are given up."""
        ...

    async def tend(self, position: int, counts: Counts | None) -> None:
        """The projector is at this position and has nothing to do: keep the copies, and set again what was lost.

        Cheap, to be called at least every few seconds: copies that nobody tends are not believed. `counts` are set
        again if they are known.
        """
        ...

    async def turn(self, position: int) -> None:
        """Other tables are about to take the place of these, at this position: no copy is believed from here on.

        Nor is any that a reader offers after a glance before `begin` says which tables there are now.
        """
        ...

    async def get(self, kind: str, id: str, min_position: int) -> Glance:
        """The copy, unless it may lack events up to `min_position`."""
        ...

    async def offer(self, document: StoredDocument, glance: Glance) -> None:
        """Keep a copy of what was read from the store after a glance, unless a newer one is there."""
        ...


class NearCopies(Protocol):
    """Documents in this process (L1), frozen, of which it is told when they change. Nothing here raises."""

    def peek(self, kind: str, id: str) -> Document | None:
        """The document, unless it is not there or may have changed."""
        ...

    def ticket(self, kind: str, id: str) -> object | None:
        """To be taken before a document is read that is to be put. None: nothing can be kept just now."""
        ...

    def put(self, kind: str, id: str, document: Document, ticket: object) -> None:
        """Keep a frozen document, unless it has changed since the ticket was taken."""
        ...


Level = Literal["l1", "l2", "l3"]


class Meter(Protocol):
    """Counts how documents are found."""

    def hit(self, level: Level, seconds: float, size: int) -> None: ...

    def missed(self, level: Level, seconds: float) -> None: ...


class NoHotCopies:
    """For a house without Redis."""

    async def begin(self, position: int, generation: int) -> None:
        return None

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        return None

    async def tend(self, position: int, counts: Counts | None) -> None:
        return None

    async def turn(self, position: int) -> None:
        return None

    async def get(self, kind: str, id: str, min_position: int) -> Glance:
        return NOTHING_SEEN

    async def offer(self, document: StoredDocument, glance: Glance) -> None:
        return None


class NoNearCopies:
    """For those who keep no documents in their process."""

    def peek(self, kind: str, id: str) -> Document | None:
        return None

    def ticket(self, kind: str, id: str) -> object | None:
        return None

    def put(self, kind: str, id: str, document: Document, ticket: object) -> None:
        return None


class NoMeter:
    """Counts nothing."""

    def hit(self, level: Level, seconds: float, size: int) -> None:
        return None

    def missed(self, level: Level, seconds: float) -> None:
        return None


NO_NEAR_COPIES = NoNearCopies()
NO_METER = NoMeter()
