"""What differs between a state as it was read and as it is handed back, and what becomes of each difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from domain.errors import InvalidInput
from domain.values import iso
from dora_state.editing.derived import Derived
from dora_state.states import EditableState

NO_REASON = "no reason was given"


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it is submitted."""

    type: str
    data: Mapping[str, Any]


class Changes:
    """Planners take what was changed, key by key; what nobody took can't be said by a command."""

    def __init__(self, state: EditableState, reason: str | None) -> None:
        self.state = state
        self.reason = reason or NO_REASON
        self.steps: list[Step] = []
        self.derived: list[Derived] = []
        self._before = state.original
        self._open = {key for key in self._before.keys() | state.keys() if self._before.get(key) != state.get(key)}

    def take(self, key: str) -> tuple[Any, Any] | None:
        """What was there and what is there now; None if it is the same. Whoever takes it sees to it."""
        if key not in self._open:
            return None
        self._open.discard(key)
        return self._before.get(key), self.state.get(key)

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

    def follows(self, *keys: str) -> None:
        """What follows from events: it is held against what will follow."""
        for key in keys:
            taken = self.take(key)
            if taken is not None:
                self.derived.append(Derived((key,), taken[1]))

    def follow_within(self, key: str, changed: Mapping[str, tuple[Any, Any]]) -> None:
        for name, (_, after) in changed.items():
            self.derived.append(Derived((key, name), after))

    def refuse(self, key: str, advice: str) -> None:
        """No command changes this; `advice` says what does."""
        if key in self._open:
            self.no(key, advice)

    def no(self, name: str, advice: str) -> NoReturn:
        raise InvalidInput(
            f"{name} of a {self.state.kind} is not changed by handing back its state: {advice}.",
            field=name,
            kind=self.state.kind,
        )

    def refuse_rest(self) -> None:
        for key in sorted(self._open):
            self.refuse(key, "it has no such field" if key not in self._before else "it says what was recorded")


def told_value(value: Any) -> Any:
    """As the edge takes it: times with a zone, as text. Without one it is UTC, as `utcnow` gives it."""
    if isinstance(value, datetime):
        return iso(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if isinstance(value, Mapping):
        return {key: told_value(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [told_value(inner) for inner in value]
    return value


def patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that were set, and null for those that were taken away."""
    changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
    return {**changed, **{key: None for key in before if key not in after}}
