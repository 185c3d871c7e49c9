"""The log as the rest of the house sees it: events before and after they are recorded, cuts, and the port.

An event has two types: `NewEvent` before it is recorded, `RecordedEvent` after. Stored bytes are exact:
what was appended is what is read, for ever.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.record import record
from domain.snapshots import Place, Snapshot, Stamp

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Of data and metadata together: more has no place in a log that is read back event by event."""
MAX_COMMAND_BYTES = 64 * 1024 * 1024
"""Of all events of one command of ours: they go to the log at once, and are held at once by whoever reads them."""
BATCH_BYTES = 64 * 1024 * 1024
"""Of events that are read at once: what reaches it is given as it is, and the rest is to be asked for."""


class Identifier(Protocol):
    """A UUID, whoever made it: the standard library's takes ten times as long to make as its sixteen bytes."""

    @property
    def bytes(self) -> bytes: ...


@record
class NewEvent:
    """An event that a decision gave, not recorded yet. `data` and `metadata` are JSON bytes."""

    event_id: Identifier
    stream_id: str
    type: str
    schema_version: int
    data: bytes
    metadata: bytes


@record
class RecordedEvent:
    """An event in the log.

    `position` is its place in the log and `version` its place in its stream, both from 1 and contiguous.
    `following` counts the events of the same command that come after it in the log: 0 ends the command.
    """

    position: int
    event_id: UUID
    stream_id: str
    version: int
    type: str
    schema_version: int
    data: bytes
    metadata: bytes
    recorded_at: datetime
    following: int


@record
class CommandAppend:
    """What one command asks the log to keep: its events and its answer, atomically.

    `expected` names the version of every stream that the decision read or writes (0: the stream does not
    exist); in a group, versions count the events of the commands before it. No events at all (a refusal,
    a no-op) is fine: the answer is recorded and `expected` is checked all the same. `recorded_at` is for an
    import only. `tokens` are those of the locks that it is submitted under.
    """

    command_id: UUID
    expected: Mapping[str, int]
    events: tuple[NewEvent, ...]
    answer: bytes
    recorded_at: datetime | None = None
    tokens: tuple[int, ...] = ()


@record
class Appended:
    """The command is recorded. Positions are None when it gave no events."""

    recorded_at: datetime
    first_position: int | None
    last_position: int | None


@record
class AlreadyRecorded:
    """The command id was known: what it answered then. Wins over any conflict."""

    answer: bytes
    recorded_at: datetime
    first_position: int | None
    last_position: int | None


@record
class Conflicted:
    """A stream is not at the expected version: the command appended nothing and recorded nothing."""

    stream_id: str
    expected: int
    actual: int


@record
class LockedOut:
    """A stream that the command writes is locked by another: it appended nothing and recorded nothing.

    `stream_id` is None where it was submitted under a lock that was lost meanwhile.
    """

    stream_id: str | None
    holder: str | None = None
    since: datetime | None = None


AppendOutcome = Appended | AlreadyRecorded | Conflicted | LockedOut


def may_go_on(batch: Sequence[RecordedEvent], limit: int) -> bool:
    """Whether what was read at once stopped at a bound, so that more may follow."""
    return len(batch) >= limit or sum([len(event.data) + len(event.metadata) for event in batch]) >= BATCH_BYTES


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log: the last event's position (0 when empty) and time."""

    position: int
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a fold stops: at most one of a version of the stream, a time (recorded_at), a position.

    None of them means now. A time exactly on an event includes it. Times and positions never divide a
    command: they snap down to the last whole one.
    """

    version: int | None = None
    at: datetime | None = None
    position: int | None = None

    @property
    def is_now(self) -> bool:
        return self.version is None and self.at is None and self.position is None


NOW = Cut()
START = Cut(position=0)
"""Before anything was recorded."""


def place_of(event: RecordedEvent) -> Place:
    return Place(event.version, event.position, event.following, event.recorded_at)


StoredEvent = tuple[str, int, bytes]
"""What a fold needs to know of an event: its type, its schema version, its data."""


@record
class FoldRequest:
    """A stream that is to be folded: from the nearest snapshot with this stamp on, or what comes after a version.

    `until_version`: no further than that; None: to its end.
    """

    stream_id: str
    stamp: Stamp | None = None
    after_version: int = 0
    until_version: int | None = None


@record
class Stretch:
    """A part of a stream for a fold: where to begin, the events that follow, in order, and where the last one is.

    `snapshot` is None where the fold goes on from what is known, or begins at the first event. `last` is the
    place of the last event, of the snapshot where none follows, and None where there is neither.
    """

    snapshot: Snapshot | None
    events: list[StoredEvent]
    last: Place | None


@record
class Moved:
    """A stream that has events between two positions, and the versions of the first and the last of them."""

    stream_id: str
    first_version: int
    last_version: int

    @property
    def category(self) -> str:
        return self.stream_id.partition("-")[0]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which events of the log to read; empty means all."""

    categories: frozenset[str] = field(default_factory=frozenset)
    types: frozenset[str] = field(default_factory=frozenset)
    correlation_id: str | None = None


class EventReader(Protocol):
    """Reading, by stream or by position: the only way to the events for everyone."""

    async def head(self) -> Head:
        """The end of the log."""
        ...

    async def position_at(self, at: datetime) -> int:
        """The last position recorded at or before `at`, 0 if none."""
        ...

    async def whole_command(self, position: int) -> Head:
        """Where the last command ends that is whole at or before a position; 0 and None if there is none."""
        ...

    async def stream_version(self, stream_id: str) -> int:
        """The stream's current version, 0 if it does not exist."""
        ...

    async def stream_versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        """The current versions of those streams that exist, in one round trip."""
        ...

    async def stream_began(self, stream_id: str) -> datetime | None:
        """When a stream's first event was recorded, archived or not; None if it does not exist."""
        ...

    async def archived_streams(self, stream_ids: Sequence[str]) -> set[str]:
        """Those of these streams that have events in months that are archived: they can't be read from the first on."""
        ...

    async def moved_after(self, position: int, *, at_most: int) -> tuple[int, dict[str, int]]:
        """The streams that have events after a position, with their versions, and the last position looked at.

        Of more than `at_most` events only the last ones are looked at.
        """
        ...

    async def streams_after(self, stream_id: str, limit: int) -> list[str]:
        """The next streams by their ids, in the order of their bytes; "" is before all."""
        ...

    async def moved_between(self, after: int, until: int, stream_id: str, limit: int) -> list[Moved]:
        """The streams that have events after a position and up to another: the next ones by the bytes of their ids."""
        ...

    def read_stream(
        self,
        stream_id: str,
        *,
        after_version: int = 0,
        cut: Cut = NOW,
        backwards: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """A stream's events in order, in bounded memory."""
        ...

    async def read_streams(
        self,
        stream_ids: Sequence[str],
        *,
        after: Mapping[str, int] | None = None,
        up_to_position: int | None = None,
    ) -> dict[str, list[RecordedEvent]]:
        """Many streams in one round trip, each whole, or after the version that `after` names for it.

        A stream that does not exist, or has nothing after, gives an empty list.
        """
        ...

    def read_stretches(
        self, stream_id: str, *, stamp: Stamp | None = None, after_version: int = 0, cut: Cut = NOW
    ) -> AsyncGenerator[Stretch]:
        """One stream up to a cut, for a fold, as stretches of bounded memory.

        The first one begins at the nearest snapshot with this stamp, if there is one at or below the cut. A
        snapshot that was spoiled is left alone. Close it (`aclosing`) where it is not read to its end.
        """
        ...

    async def read_folds(self, requests: Sequence[FoldRequest], *, up_to_position: int | None = None) -> list[Stretch]:
        """Many streams in one round trip, each of them once and as one stretch, in the order of the requests."""
        ...

    async def read_log(
        self, *, after_position: int, limit: int, only: LogFilter | None = None, until_position: int | None = None
    ) -> list[RecordedEvent]:
        """The next events after a position, in order; ends at the end of a command, or at `until_position`.

        `limit` is where it stops looking for more, so a batch may exceed it by the rest of one command; so is
        BATCH_BYTES. `may_go_on` tells whether it stopped.
        """
        ...

    async def positions_of(self, stream_ids: Sequence[str], *, after: int, until: int) -> Sequence[int]:
        """Where the events of some streams are, in order: after a position, of commands that are whole at another."""
        ...

    async def read_commands(self, positions: Sequence[int]) -> list[RecordedEvent]:
        """The whole commands to which the events at these positions belong, in order and each once.

        Positions are those of events, and rise.
        """
        ...

    async def find_command(self, command_id: UUID) -> AlreadyRecorded | None:
        """What a command id answered, if it is known."""
        ...


class EventLog(EventReader, Protocol):
    """The log, with its only way to write."""

    def append(self, commands: Sequence[CommandAppend]) -> Awaitable[list[AppendOutcome]]:
        """Append a group of commands, one outcome each, in order.

        Atomic is the command: one that conflicts harms no neighbour, except those that were decided on
        what it would have left, which then conflict too. Durable when it is answered; it may be under way when
        this returns.
        """
        ...

    def alone(self) -> AbstractAsyncContextManager["EventLog"]:
        """The log to oneself: until the block ends, nobody else appends to it, through any other connection.

        What is appended through it is durable when the block has ended, and not at all if it ended in an error.
        """
        ...
