"""What the five aggregates have in common: the base of events, the descriptor, and the fold."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict

from domain.errors import CorruptLog


class Event(BaseModel):
    """Something that happened. `type` is the stored name and never changes; `at` is when it was decided."""

    # What validates is built when it is first needed: a process meets some of the types only, and starts sooner.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: ClassVar[str]
    schema_version: ClassVar[int] = 1

    at: AwareDatetime


class AggregateState(Protocol):
    """Plain state, owned by whoever folds it.

    `evolve` changes the state that it is given, because a fold of a long stream must not copy at each
    step. Whoever shares a state copies it first; `copy` is cheap, since what containers hold is immutable.
    """

    def copy(self) -> Self:
        """An independent state of the same value."""
        ...


S = TypeVar("S", bound=AggregateState)
D = TypeVar("D")


def shallow_copier(state: type[D]) -> Callable[[D], D]:
    """A shallow copy of a dataclass, ten times as fast as `copy.copy`: each command copies what it changes.

    Written for its fields and compiled, as dataclasses do it for their own methods.
    """
    names = [field.name for field in fields(state)]  # type: ignore[arg-type]  # a dataclass, as said
    lines = ["def copy(one):", " new = make(state)", *(f" new.{name} = one.{name}" for name in names), " return new"]
    scope: dict[str, Any] = {"make": object.__new__, "state": state}
    exec("\n".join(lines), scope)
    return cast(Callable[[D], D], scope["copy"])


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[S]):
    """Describes one aggregate: its category, its state, its events, and how an event evolves the state."""

    category: str
    state: type[S]
    events: tuple[type[Event], ...]
    evolve: Callable[[S | None, Event], S]
    fold_version: int = 1
    """Rises whenever `evolve` gives another state for the same events: older snapshots are then ignored."""

    def stream_id(self, aggregate_id: str) -> str:
        return f"{self.category}-{aggregate_id}"

    def fold(self, events: Iterable[Event], state: S | None = None) -> S | None:
        """The state after these events; None if there were none to begin with."""
        for event in events:
            state = self.evolve(state, event)
        return state


def begun(state: S | None, event: Event) -> S:
    """The state that an event evolves; a stream that doesn't start with its first event is corrupt."""
    if state is None:
        raise CorruptLog(
            f"{event.type} can't be the first event of a stream; restore the log from a backup.",
            event_type=event.type,
        )
    return state


def unexpected(event: Event) -> CorruptLog:
    """For an event that doesn't belong to the stream it stands in."""
    return CorruptLog(
        f"{event.type} does not belong to this kind of stream; restore the log from a backup.",
        event_type=event.type,
    )
