"""What projector and queries need of the outside: a store, hot copies, presence, a clock, a signal."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from domain.snapshots import Stamp, TakenSnapshot
from projections.batch import Batch
from projections.documents.agent import Presence
from projections.documents.system import Figures, Rates

NO_WORDS: Mapping[str, str] = MappingProxyType({})
Counts = Mapping[tuple[str, str], int]
"""How many documents there are, by kind and state."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last position applied, 0 for none, and when that event was recorded.

    `version` is that of the projection that applied it, `generation` the number of the tables, which rises when rebuilt
    ones take their place, `term` that of whoever runs it.
    """

    position: int
    recorded_at: datetime | None
    version: int = 0
    generation: int = 0
    term: int = 0


@dataclass(frozen=True, slots=True)
class StoredDocument:
    kind: str
    id: str
    position: int
    body: bytes


Asked = Literal["retry", "drop"]
"""To apply what was parked of a stream again, or to let it be."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A stream of which `events` could not be applied: the first of them, why, since when, and what was asked."""

    stream_id: str
    version: int
    position: int
    type: str
    error: str
    parked_at: datetime
    events: int
    asked: Asked | None


class ProjectionWriter(Protocol):
    """The one runner's way to what a projection keeps, while it holds the lock.

    What it writes, it writes in one transaction with the checkpoint. It raises CheckpointMoved, and writes nothing,
    unless the checkpoint is where the batch starts, of the generation that it was when it was asked for, and nobody has
    taken over since.
    """

    async def checkpoint(self) -> Checkpoint: ...

    async def require_same(self) -> None:
        """Raises CheckpointMoved where another has taken over, or other tables took the place of these."""
        ...


W_co = TypeVar("W_co", bound=ProjectionWriter, covariant=True)


class ProjectionStore(Protocol[W_co]):
    """Where a projection is kept. Every method, and those of a writer, raise ReadModelsUnavailable."""

    def run_alone(self) -> AbstractAsyncContextManager[W_co | None]:
        """Be the one that writes; None if another is, and can be heard of.

        A writer that was not heard of for some seconds, or whose connection is lost, can write no more.
        """
        ...

    async def checkpoint(self) -> Checkpoint: ...


class ReadModelWriter(ProjectionWriter, Protocol):
    """The way to the documents and what stands beside them."""

    async def parked(self) -> set[str]:
        """The streams of which an event lies among the dead letters."""
        ...

    async def counts(self) -> Counts: ...

    async def asked(self) -> dict[str, Asked]:
        """What was asked of streams with dead letters."""
        ...

    async def mend(self, stream_id: str, version: int, batch: Batch | None, *, done: bool) -> Counts:
        """Take the dead letters of a stream up to a version away, and write a batch in their place, in one transaction.

        The batch begins and ends at the checkpoint: what it has lies before. `done`: nothing more is asked of the
        stream.
        """
        ...

    async def write(self, batch: Batch) -> Counts:
        """Gives all counts as they are then."""
        ...


class ReadModelStore(ProjectionStore[ReadModelWriter], Protocol):
    """The documents in PostgreSQL."""

    async def document(
        self, kind: str, id: str, min_position: int = 0, *, to_copy: bool = False
    ) -> StoredDocument | None:
        """As the read models were at a position, or later; whoever asks knows that they are there.

        `to_copy`: as they are now, in the tables that there are now, since a copy is to be made of it.
        """
        ...

    async def documents(
        self, kind: str, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any
    ) -> list[StoredDocument]:
        """The documents that answer one of the named questions. `words` are ours, for the places that a question has
        for them, such as the column by which it is sorted.
        """
        ...

    async def rows(self, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any) -> list[tuple[Any, ...]]:
        """What answers a question that is not answered by documents."""
        ...

    async def ids(self, question: str, **facts: Any) -> list[str]:
        """Only the ids of what answers a question."""
        ...

    async def count(self, kind: str, states: Sequence[str]) -> int: ...

    async def completed_by(self, agent_ids: Sequence[str], since: datetime, until: datetime) -> dict[str, int]:
        """How many tasks each agent completed after `since` and up to `until`; who completed none is left out."""
        ...

    async def kept_counts(self, position: int) -> tuple[int, Counts]:
        """The last counts that were kept at or before a position, and that position; 0 and none if there are none."""
        ...

    async def rates_at(self, position: int, now: datetime, today: datetime) -> Rates:
        """The system's rates as they were at `now`, when the log ended at a position."""
        ...

    async def figures(self, now: datetime, today: datetime) -> Figures:
        """The system's counts and rates; `today` is when the day began."""
        ...


class SnapshotTaker(Protocol):
    """The way to the snapshots of the one who takes them. `name` is that of a checkpoint."""

    async def checkpoint(self, name: str) -> int: ...

    async def due(self, after: int, until: int, spacing: int, stamps: Mapping[str, Stamp]) -> list[tuple[str, int]]:
        """Streams and versions between two positions where one is due and none with its category's stamp is there."""
        ...

    async def put(self, taken: Sequence[TakenSnapshot], name: str, position: int) -> None:
        """Keep snapshots, and move the checkpoint, in one transaction."""
        ...


class SnapshotStore(Protocol):
    """Where snapshots are kept. Every method, and those of a taker, raise ReadModelsUnavailable."""

    def take_alone(self) -> AbstractAsyncContextManager[SnapshotTaker | None]:
        """Be the one who takes snapshots; None if another is."""
        ...


class PresenceBoard(Protocol):
    """Agents' last heartbeats."""

    async def of(self, agent_ids: Sequence[str]) -> dict[str, Presence]: ...


class Clock(Protocol):
    def __call__(self) -> datetime:
        """Now, in UTC."""
        ...


class Listening(Protocol):
    async def wait(self, timeout: float) -> None:
        """Until woken, or `timeout` seconds at most."""
        ...


class Signal(Protocol):
    """Tells that something was appended. Many wakes are one; one may be missed, so waiting has an end."""

    def listener(self) -> Listening:
        """For one who waits; another needs another."""
        ...
