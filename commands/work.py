"""The unit of work of one command: what a handler sees of the aggregates, and what it leaves behind.

Handlers are plain functions that do no I/O. When one asks for something that is not in memory yet, `Needs`
is raised; the decider loads it and runs the handler again from its beginning. One that carries out several commands
ends a step after each, and goes on after the last that was ended: so each of many costs what it costs alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from domain.aggregate import Aggregate, AggregateState, Event
from domain.all_events import AGGREGATES
from domain.errors import Refusal
from domain.log import Cut
from domain.record import record

S = TypeVar("S", bound=AggregateState)
ACTIVE_WORKFLOWS = "active_workflows"


@record
class Key(Generic[S]):
    """One aggregate: which kind, which id."""

    aggregate: Aggregate[S]
    stream_id: str
    aggregate_id: str

    @staticmethod
    def of(aggregate: Aggregate[S], aggregate_id: str) -> "Key[S]":
        return Key(aggregate, f"{aggregate.category}-{aggregate_id}", aggregate_id)

    @staticmethod
    def of_stream(stream_id: str) -> "Key[Any]":
        category, _, aggregate_id = stream_id.partition("-")
        return Key(AGGREGATES[category], stream_id, aggregate_id)


@record
class Loaded(Generic[S]):
    """An aggregate as it is at a version of its stream; shared, so never changed. 0 and None: not there."""

    version: int
    state: S | None


@dataclass(frozen=True, slots=True)
class PastKey:
    """An aggregate as of a cut."""

    stream_id: str
    cut: Cut


@dataclass(frozen=True, slots=True)
class Past(Generic[S]):
    """What a stream was at a cut. `position` is where the command of its last event ends in the log."""

    version: int
    position: int
    state: S | None
    began: datetime | None = None
    """When it began, where it had not by then."""


class Needs(Exception):
    """The handler needs more than is in memory."""

    def __init__(
        self,
        streams: Iterable[Key[Any]] = (),
        past: Iterable[tuple[Key[Any], Cut]] = (),
        count: bool = False,
        end: bool = False,
    ) -> None:
        self.streams = tuple(streams)
        self.past = tuple(past)
        self.count = count
        self.end = end
        super().__init__()


class NotYetCommitted(Exception):
    """The handler asks for the past, and what its group did before it is not in the log yet."""


class Memory(Protocol):
    """Where aggregates are found: what the commands before left, else the cache."""

    def __call__(self, stream_id: str) -> Loaded[Any] | None: ...


@dataclass(slots=True)
class Telemetry:
    """What was heard of an agent: a heartbeat, or only a sign of life."""

    agent_id: str
    seen_at: datetime
    usage: Mapping[str, object] | None = None
    queue_size: int | None = None
    heartbeat: bool = True


@dataclass(slots=True)
class _Working:
    key: Key[Any]
    base: int
    version: int
    state: Any
    owned: bool = False
    step: int = -1
    """In which it was changed last."""


class Work:
    """One command's view of the world, at one moment."""

    def __init__(
        self,
        memory: Memory,
        now: datetime,
        command_id: UUID,
        past: Mapping[PastKey, Past[Any]] | None = None,
    ) -> None:
        self.now = now
        self.command_id = command_id
        self.events: list[tuple[Key[Any], Event]] = []
        self.steps: list[tuple[str, int]] = []
        """Of a transaction: the types of its commands, and how many events there are after each."""
        self.telemetry: Telemetry | None = None
        self._memory = memory
        self._past = {} if past is None else past
        self._active_workflows: int | None = None
        self._end_of_log: int | None = None
        self._working: dict[str, _Working] = {}
        self._reservations = 0
        self._ended = (0, 0)
        """How many events and reservations there were when the last step ended."""
        self._entered: list[str] = []
        self._undo: list[tuple[_Working, int, Any, bool]] = []
        """What this step has read first, and changed: each as it was."""

    def find(self, aggregate: Aggregate[S], aggregate_id: str) -> S | None:
        """The aggregate as this command has left it so far; None if it does not exist. Read only."""
        return self._enter(aggregate, aggregate_id).state  # type: ignore[no-any-return]  # the aggregate says S

    def get(self, aggregate: Aggregate[S], aggregate_id: str) -> S:
        """The same, refused if it does not exist."""
        state = self.find(aggregate, aggregate_id)
        if state is None:
            raise Refusal(
                "unknown_id",
                f"There is no {aggregate.category} {aggregate_id}; check the id, or create it first.",
                kind=aggregate.category,
                id=aggregate_id,
            )
        return state

    def fetch(self, keys: Iterable[Key[Any]]) -> None:
        """Say early which aggregates will be read, so that they are loaded in one round trip."""
        missing = [key for key in keys if key.stream_id not in self._working and not self._known(key)]
        if missing:
            raise Needs(streams=missing)

    def past(self, aggregate: Aggregate[S], aggregate_id: str, cut: Cut) -> Past[S]:
        """An aggregate as of a cut; a cut is history, so nothing can change it under this command."""
        key = Key.of(aggregate, aggregate_id)
        found = self._past.get(PastKey(key.stream_id, cut))
        if found is None:
            raise Needs(past=[(key, cut)])
        return found

    def fetch_past(self, keys: Iterable[Key[Any]], cut: Cut) -> None:
        missing = [(key, cut) for key in keys if PastKey(key.stream_id, cut) not in self._past]
        if missing:
            raise Needs(past=missing)

    def active_workflows(self) -> int:
        """How many workflows are active, by a read model: soft, it may lag."""
        if self._active_workflows is None:
            raise Needs(count=True)
        return self._active_workflows

    def end_of_log(self) -> int:
        """The last position that there is."""
        if self._end_of_log is None:
            raise Needs(end=True)
        return self._end_of_log

    def record(self, aggregate: Aggregate[Any], aggregate_id: str, events: Sequence[Event]) -> None:
        """Add what was decided; later reads of this command see it."""
        if not events:
            return
        working = self._enter(aggregate, aggregate_id)
        if working.step < len(self.steps):
            self._undo.append((working, working.version, working.state, working.owned))
            working.state = None if working.state is None else working.state.copy()
            working.owned, working.step = True, len(self.steps)
        for event in events:
            working.state = aggregate.evolve(working.state, event)
            self.events.append((working.key, event))
        working.version += len(events)

    def version(self, aggregate: Aggregate[Any], aggregate_id: str) -> int:
        """The version of the stream as this command has left it so far."""
        return self._enter(aggregate, aggregate_id).version

    def end_step(self, command_type: str) -> None:
        """One command of several is decided."""
        self.steps.append((command_type, len(self.events)))
        self._ended = len(self.events), self._reservations
        self._entered.clear()
        self._undo.clear()

    def begin_again(self, active_workflows: int | None, end_of_log: int | None) -> None:
        """Take back what was done since the last step ended; what was asked for is there now."""
        for working, version, state, owned in reversed(self._undo):
            working.version, working.state, working.owned, working.step = version, state, owned, -1
        for stream_id in self._entered:
            del self._working[stream_id]
        self._entered.clear()
        self._undo.clear()
        events, self._reservations = self._ended
        del self.events[events:]
        self.telemetry = None
        self._active_workflows = active_workflows
        self._end_of_log = end_of_log

    def reservation_id(self) -> str:
        """An id that no other reservation ever has: it follows from the command's."""
        self._reservations += 1
        return f"res-{self.command_id}-{self._reservations}"

    @property
    def reads(self) -> dict[str, int]:
        """The versions, before this command, of all that it read or wrote."""
        return {stream_id: working.base for stream_id, working in self._working.items()}

    @property
    def left(self) -> dict[str, Loaded[Any]]:
        """The aggregates that this command changed, as it leaves them."""
        return {
            stream_id: Loaded(working.version, working.state)
            for stream_id, working in self._working.items()
            if working.owned
        }

    def _enter(self, aggregate: Aggregate[Any], aggregate_id: str) -> _Working:
        stream_id = f"{aggregate.category}-{aggregate_id}"
        working = self._working.get(stream_id)
        if working is None:
            key = Key(aggregate, stream_id, aggregate_id)
            loaded = self._memory(stream_id)
            if loaded is None:
                raise Needs(streams=[key])
            working = self._working[stream_id] = _Working(key, loaded.version, loaded.version, loaded.state)
            self._entered.append(stream_id)
        return working

    def _known(self, key: Key[Any]) -> bool:
        return self._memory(key.stream_id) is not None
