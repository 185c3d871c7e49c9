"""A state as a caller gets it to change it: a dictionary in SPEC's shape whose keys are attributes too.

It imports nothing of ours but errors, so that a client can be light.
"""

import copy
from collections.abc import Mapping
from typing import Any

from domain.errors import InvalidInput

Document = dict[str, Any]


ALIASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "workflow": {
        **{
            name: ("metrics", name)
            for name in (
                "total_tasks",
                "completed_tasks",
                "running_tasks",
                "pending_tasks",
                "failed_tasks",
                "cancelled_tasks",
                "progress_percentage",
            )
        },
        "completed_at": ("ended_at",),
    },
    "task": {
        "agent_id": ("assigned_agent", "agent_id"),
        "percentage": ("progress", "percentage"),
        "current_phase": ("progress", "current_phase"),
        "attempt": ("retry_info", "attempt"),
        "last_error": ("retry_info", "last_error"),
        "completed_at": ("ended_at",),
    },
    "agent": {
        "max_concurrent_tasks": ("capacity", "max_concurrent_tasks"),
        "available_slots": ("capacity", "available_slots"),
    },
    "pool": {},
    "system": {},
}
"""What is found by a shorter name, and what SPEC's snippets call otherwise than its examples do."""
_OWN = ("kind", "original")


class EditableState(dict[str, Any]):
    """`original` is what it said when it was read, at its `stream_version`.

    `workflow.metrics["total_tasks"]`, `workflow["metrics"]["total_tasks"]` and `workflow.total_tasks` are the same.
    A workflow's `progress` is the part that is completed, from 0 to 1.
    """

    kind: str
    original: Document

    def __init__(self, kind: str, document: Document) -> None:
        super().__init__(document)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "original", copy.deepcopy(document))

    @staticmethod
    def of_shared(kind: str, document: Document) -> "EditableState":
        """Of a document that nobody can change. It costs little: what is looked at within is copied then."""
        state = EditableState(kind, {})
        dict.update(state, document)
        object.__setattr__(state, "original", document)
        return state

    def __getitem__(self, key: str) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, dict | list) and found is self.original.get(key):
            found = self[key] = copy.deepcopy(found)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if super().__contains__(key) else default

    def __getattr__(self, name: str) -> Any:
        if name in _OWN or name.startswith("__"):  # while a copy is being made, they are not there yet
            raise AttributeError(name)
        if name == "progress" and self.kind == "workflow":
            return self["metrics"]["progress_percentage"] / 100
        place = ALIASES[self.kind].get(name, (name,))
        found: Any = self
        for key in place:
            if not isinstance(found, Mapping) or key not in found:
                raise AttributeError(f"The {self.kind}'s state has no {name}; there are {', '.join(self)}.")
            found = found[key]
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            raise AttributeError(f"{name} says what was read, and stays.")
        if name == "progress" and self.kind == "workflow":
            self["metrics"]["progress_percentage"] = 100 * value
            return
        *way, last = ALIASES[self.kind].get(name, (name,))
        found: Any = self
        for key in way:
            if not isinstance(found.get(key), dict):
                found[key] = {}
            found = found[key]
        found[last] = value

    def __deepcopy__(self, memo: dict[int, Any]) -> "EditableState":
        twin = EditableState(self.kind, copy.deepcopy(dict(self), memo))
        object.__setattr__(twin, "original", self.original)
        return twin

    @property
    def changes(self) -> Document:
        """What was changed since it was read, as an RFC 7396 merge patch.

        Raises InvalidInput where something in the caller's own objects is set to nothing: in a patch, null takes away.
        """
        return self.changes_since(self.original)

    def changes_since(self, document: Mapping[str, Any]) -> Document:
        """The same of what was changed since it said that."""
        return _patch(document, self)

    def change(self, changes: Document) -> None:
        """Carry out a merge patch. Null takes away a key of the caller's own objects; elsewhere it stands there."""
        _carry_out(self, changes, own=False)

    @property
    def id(self) -> str:
        """The id of what it is the state of."""
        key = "resource_pool_id" if self.kind == "pool" else f"{self.kind}_id"
        return str(self.original[key])


def require_editable(state: object) -> None:
    """Raises InvalidInput for what is no state that was read."""
    if not isinstance(state, EditableState):
        raise InvalidInput(
            f"What is handed back must be what get_workflow (or get_task, ...) gave, and not a {type(state).__name__}."
        )


OWN = frozenset({"context", "inputs", "outputs"})
"""Objects whose keys are the caller's."""


def _patch(before: Mapping[str, Any], after: Mapping[str, Any], own: str = "") -> Document:
    """`own`: within which of the caller's objects."""
    changed: Document = {}
    for key, value in after.items():
        known = before.get(key)
        if key in before and known == value:
            continue
        if value is None and own:
            raise InvalidInput(
                f"{own}.{key} is set to nothing, which a patch can't say: delete the key, or submit a command.",
                field=f"{own}.{key}",
            )
        if isinstance(known, dict) and isinstance(value, dict):
            value = _patch(known, value, f"{own}.{key}" if own else key if key in OWN else "")
        changed[key] = value
    return changed | {key: None for key in before if key not in after}


def _carry_out(found: dict[str, Any], changes: Mapping[str, Any], *, own: bool) -> None:
    for key, value in changes.items():
        known = found.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            _carry_out(known, value, own=own or key in OWN)
        elif value is None and own:
            found.pop(key, None)
        else:
            found[key] = value
