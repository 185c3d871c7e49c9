"""What differs between a state as it was read and as it is handed back, for the planners of commands.

What they leave out of something that they took is found all the same: see `said`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from domain.errors import InvalidInput
from domain.text import visible
from domain.values import check_json, iso
from dora_state.states import EditableState

NO_REASON = "no reason was given"
_MISSING = object()
_FREE = frozenset({"context", "inputs", "outputs", "tasks"})
"""Objects whose keys are the caller's, or are told of by themselves."""
_LISTS_OF_OBJECTS = frozenset({"reservations", "maintenance_windows", "current_tasks", "audit_trail"})
_MAYBE_OBJECTS = frozenset({"error_info", "assigned_agent", "resource_allocation"})
"""They are nothing where there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it is submitted."""

    type: str
    data: Mapping[str, Any]


class Changes:
    """Planners take what was changed, key by key; what nobody took can't be said by a command."""

    def __init__(self, state: EditableState, reason: str | None, before: Mapping[str, Any]) -> None:
        self.state = state
        self.before = before
        self.reason = reason or NO_REASON
        self.steps: list[Step] = []
        self.superseded: set[tuple[str, ...]] = set()
        self._open = {key for key in self.before.keys() | state.keys() if self.before.get(key) != state.get(key)}
        self._require_json()
        self._require_shape()

    def _require_json(self) -> None:
        """What could not be recorded goes no further, so that planners may look at whatever is within."""
        for key in self._open:
            try:
                check_json(self.state.get(key))
            except ValueError as error:
                self.no(key, f"it {error}")

    def _require_shape(self) -> None:
        """What was an object or a list is one still; nothing is left out."""
        for name, before, after in _pairs(self.before, self.state):
            if after is _MISSING:
                self.no(name, "a state is handed back whole")
            if name in _MAYBE_OBJECTS and not (after is None or isinstance(after, dict)):
                self.no(name, "it is an object")
            for shape, word in ((dict, "an object"), (list, "a list")):
                if isinstance(before, shape) and not isinstance(after, shape) and name not in _MAYBE_OBJECTS:
                    self.no(name, f"it is {word}")
            if isinstance(after, list) and isinstance(before, list):
                shapes = {type(one) for one in before} or {dict if name in _LISTS_OF_OBJECTS else str}
                if any(type(one) not in shapes for one in after):
                    self.no(name, "what the list holds is of another kind")

    def take(self, key: str) -> tuple[Any, Any] | None:
        """What was there and what is there now; None if it is the same. Whoever takes it sees to it."""
        if key not in self._open:
            return None
        self._open.discard(key)
        return self.before.get(key), self.state.get(key)

    def take_word(self, key: str) -> tuple[str, str] | None:
        """The same of what is a text."""
        taken = self.take(key)
        if taken is None:
            return None
        before, after = taken
        if not isinstance(after, str):
            self.no(key, "it is a text")
        return str(before), str(after)

    def within(self, key: str) -> dict[str, tuple[Any, Any]]:
        """The same of what an object holds, by its keys."""
        taken = self.take(key)
        if taken is None:
            return {}
        before, after = (one if isinstance(one, Mapping) else {} for one in taken)
        names = list(dict.fromkeys([*before, *after]))
        return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}

    def step(self, type: str, **data: Any) -> None:
        key = {"workflow": "workflow_id", "task": "task_id", "agent": "agent_id", "pool": "pool_id"}.get(
            self.state.kind
        )
        named = {} if key is None else {key: self.state.id}
        told = {name: told_value(value) for name, value in data.items() if value is not None}
        self.steps.append(Step(type, {**named, **told}))

    def recorded(self, *place: str) -> None:
        """A command says it, and what follows in the same breath may say otherwise."""
        self.superseded.add(place)

    def follows(self, *keys: str) -> None:
        """No command says it, and it may follow from what is said."""
        self._open.difference_update(keys)

    def refuse(self, key: str, advice: str) -> None:
        """No command changes this; `advice` says what does."""
        if key in self._open:
            self.no(key, advice)

    def refuse_all(self, key: str, names: Iterable[str], advice: str) -> None:
        """The same of what an object holds."""
        for name in sorted(names):
            self.no(f"{key}.{name}", advice)

    def no(self, name: str, advice: str) -> NoReturn:
        name, kind = visible(str(name)[:80]), self.state.kind
        raise InvalidInput(
            f"{name} of {_article(kind)} {kind} is not changed by handing back its state: {advice}.",
            field=name,
            kind=kind,
        )

    def refuse_rest(self) -> None:
        for key in sorted(self._open):
            self.refuse(key, "it has no such field" if key not in self.before else "it says what was recorded")


def _article(kind: str) -> str:
    return "an" if kind == "agent" else "a"


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """By name, each with what was there and what is there, down to the keys of objects."""
    for key, value in before.items():
        now = after.get(key, _MISSING)
        yield key, value, now
        if isinstance(value, dict) and isinstance(now, dict) and key not in _FREE:
            for inner, one in value.items():
                yield f"{key}.{inner}", one, now.get(inner, _MISSING)


def told_value(value: Any) -> Any:
    """As the edge takes it: times with a zone, as text. Without one it is UTC, as `utcnow` gives it."""
    if isinstance(value, datetime):
        return iso(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if isinstance(value, Mapping):
        return {key: told_value(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [told_value(inner) for inner in value]
    return value


def patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that were set, and null for those that were taken away."""
    changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
    return {**changed, **{key: None for key in before if key not in after}}
