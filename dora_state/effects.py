"""What a rollback does to tasks, agents and pools: for programs in facts, for people in words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.aggregate import Event
from domain.pool import ResourcesReserved
from domain.task import TaskRolledBack

_FACTS = ("task_id", "agent_id", "reservation_id", "outcome", "reason")
_WORDS = {
    "AgentSlotTaken": "takes a slot for task {task_id}",
    "AgentSlotFreed": "gives back the slot of task {task_id}",
    "ResourcesReserved": "reserves {resources} for task {task_id}",
    "ReservationReleased": "releases reservation {reservation_id}",
    "TaskRolledBack": "{goes}",
    "TaskCancelled": "is cancelled",
}
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Effect:
    """One event of a kind of aggregate, with the facts in it that matter. Its `str` is for programs."""

    kind: str
    id: str
    event: str
    facts: Mapping[str, str]

    def __str__(self) -> str:
        told = ", ".join(f"{name}={self.facts[name]}" for name in _FACTS if name in self.facts)
        return f"{self.kind} {self.id}: {self.event}{f' ({told})' if told else ''}"

    def in_words(self) -> str:
        """The same for people."""
        words = _WORDS.get(self.event)
        if words is None:
            # An event that no rollback makes today is told by its name, taken apart.
            return f"{self.kind} {self.id}: {_CAPITAL.sub(' ', self.event).lower()}"
        return f"{self.kind} {self.id}: {words.format_map(self.facts)}"


def effect_of(kind: str, id: str, event: Event, *, reason_given: bool, state: str | None = None) -> Effect:
    """The reason of a task's event is what was asked with; it is left out where nobody has given one.

    `state` is the one in which a task is before.
    """
    names = [name for name in _FACTS if getattr(event, name, None) is not None]
    if kind == "task" and not reason_given:
        names = [name for name in names if name != "reason"]
    facts = {name: str(getattr(event, name)) for name in names}
    if isinstance(event, ResourcesReserved):
        facts["resources"] = ", ".join(f"{resource} {amount}" for resource, amount in event.resources.items())
    if isinstance(event, TaskRolledBack):
        facts["goes"] = _goes(state, str(event.restored["state"]))
    return Effect(kind, id, event.type, facts)


def _goes(before: str | None, after: str) -> str:
    if after == before:
        return f"stays {after.replace('_', ' ')}, as it was then"
    # Also one that came later and has ended: it never was cancelled before.
    return "is cancelled" if after == "cancelled" else f"goes back to {after.replace('_', ' ')}"
