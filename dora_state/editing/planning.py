"""From what a caller changed in a state to the commands that say it, in the order in which they are decided."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dora_state.editing import agent, pool, system, task, workflow
from dora_state.editing.changes import Changes, Step
from dora_state.editing.said import Said, said_by
from dora_state.states import Document, EditableState

PLANNERS: Mapping[str, Callable[[Changes], None]] = {
    "workflow": workflow.plan,
    "task": task.plan,
    "agent": agent.plan,
    "pool": pool.plan,
    "system": system.plan,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` are the commands; `said` is all that was changed, and has to be so after them, but for what is
    `superseded`. `handed` is the state as it was handed back."""

    steps: tuple[Step, ...]
    said: tuple[Said, ...]
    superseded: frozenset[tuple[str, ...]]
    handed: Document


def plan(state: EditableState, reason: str | None = None, earlier: Plan | None = None) -> Plan:
    """`reason` goes where a command asks for one. After an `earlier` plan, the commands are those for what was changed
    since. Raises InvalidInput for what no command can say, with the command that comes nearest to it."""
    changes = Changes(state, reason, state.original if earlier is None else earlier.handed)
    PLANNERS[state.kind](changes)
    changes.refuse_rest()
    superseded = frozenset(changes.superseded) | (earlier.superseded if earlier is not None else frozenset())
    said = tuple(one for one in said_by(state.changes) if one.place not in superseded)
    return Plan(tuple(changes.steps), said, superseded, copy.deepcopy(dict(state)))
