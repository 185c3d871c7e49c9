"""What of a state is told as attributes of an object: scalar values by name, whenever they changed."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from domain.agent import Agent
from domain.pool import KINDS, Pool
from domain.system import CONFIGURABLE, System
from domain.task import Task
from domain.values import iso
from domain.workflow import Workflow

Attributes = dict[str, Any]

MAX_NAMES = 1_000
"""Attributes of one kind of object whose names come from callers; what has other names stands together as JSON."""


def _workflow(state: Workflow) -> Attributes:
    return {
        "state": state.state,
        "definition_id": state.definition_id,
        "definition_version": state.definition_version,
        "completion": state.completion,
        "on_task_failure": state.on_task_failure,
        "scheduled_completion": state.scheduled_completion,
        "retry_count": state.retry_count,
        "error": state.error,
        "tasks": len(state.tasks),
        "tasks_completed": state.count("completed"),
        "context": state.context,
    }


def _task(state: Task) -> Attributes:
    return {
        "state": state.state,
        "workflow_id": state.workflow_id,
        "definition_id": state.definition_id,
        "priority": state.priority,
        "agent_id": state.agent_id,
        "pool_id": state.pool_id,
        "percentage": state.percentage,
        "current_phase": state.current_phase,
        "note": state.note,
        "attempt": state.attempt,
        "max_attempts": state.max_attempts,
        "estimated_completion": state.estimated_completion,
        "deadline": state.deadline,
        "last_error": state.last_error,
        "inputs": state.inputs,
        "outputs": state.outputs,
    }


def _agent(state: Agent) -> Attributes:
    return {
        "state": state.state,
        "agent_type": state.agent_type,
        "instance_id": state.instance_id,
        "node_id": state.node_id,
        "capabilities": list(state.capabilities),
        "max_concurrent_tasks": state.max_concurrent_tasks,
        "current_tasks": len(state.slots),
        "configuration_version": state.configuration_version,
        "config_hash": state.config_hash,
    }


def _pool(state: Pool) -> Attributes:
    return {
        **{f"total.{kind}": state.total.get(kind) for kind in KINDS},
        **{f"allocated.{kind}": state.allocated.get(kind) for kind in KINDS},
        **{f"overcommit.{kind}": state.overcommit.get(kind) for kind in KINDS},
        "reservations": len(state.reservations),
    }


def _system(state: System) -> Attributes:
    return {
        **{name: getattr(state, name) for name in CONFIGURABLE},
        "overall_health": state.overall_health,
        "components": dict(state.components),
        "maintenance_windows": len(state.maintenance),
        "imports": len(state.imports),
    }


_TOLD: dict[str, Callable[[Any], Attributes]] = {
    "workflow": _workflow,
    "task": _task,
    "agent": _agent,
    "pool": _pool,
    "system": _system,
}


class Changes:
    """Tells of one object after the other what changed, and learns the names and types of what it tells."""

    def __init__(self) -> None:
        self.types: dict[str, dict[str, str]] = {kind: {} for kind in _TOLD}
        self._given: dict[str, int] = dict.fromkeys(_TOLD, 0)
        self._told: Attributes = {}
        self._flat: Attributes = {}

    def begin(self) -> None:
        """Another object."""
        self._told, self._flat = {}, {}

    def of(self, kind: str, state: Any) -> Iterator[tuple[str, str]]:
        """The attributes that are not what they were told to be, with their values as text; "": it is gone."""
        attributes = _TOLD[kind](state)
        before, self._told = self._told, attributes
        for name, value in attributes.items():
            if isinstance(value, dict):
                if value is not before.get(name):  # what states keep of callers is replaced, never changed
                    yield from self._inner(kind, name, value)
            elif value != before.get(name):
                yield self._one(kind, name, value)

    def _inner(self, kind: str, name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What callers keep under names of their own: each is an attribute, as long as there are not too many."""
        prefix, flat = f"{name}.", {}
        rest = {}
        for key, value in values.items():
            full = prefix + key
            if full in self.types[kind] or self._given[kind] < MAX_NAMES:
                if full not in self.types[kind]:
                    self._given[kind] += 1
                    self.types[kind][full] = type_of(value)
                flat[full] = value
            else:
                rest[key] = value
        if rest:
            flat[name] = rest
        gone = [one for one in self._flat if one not in flat and (one == name or one.startswith(prefix))]
        for full in gone:
            del self._flat[full]
            yield self._one(kind, full, None)
        for full, value in flat.items():
            if full not in self._flat or self._flat[full] != value:
                self._flat[full] = value
                yield self._one(kind, full, value)

    def _one(self, kind: str, name: str, value: Any) -> tuple[str, str]:
        # "", that there is none any more, is no number and no time.
        own = "string" if value is None else type_of(value)
        known = self.types[kind].setdefault(name, own)
        if known != own:
            self.types[kind][name] = _wider(known, own)
        return name, text_of(value)


def type_of(value: Any) -> str:
    """The type of OCEL 2.0 that a value has; what is no scalar is told as JSON."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float() | Decimal():
            return "float"
        case datetime():
            return "time"
        case _:
            return "string"


def _wider(one: str, other: str) -> str:
    return "float" if {one, other} == {"integer", "float"} else "string"


def text_of(value: Any) -> str:
    """A value as text: the schema of OCEL 2.0 has all values so, with the type declared apart."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return repr(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return iso(value)
        case _:
            return orjson.dumps(value, default=_exact, option=orjson.OPT_UTC_Z).decode()


def _exact(value: Any) -> str:
    """A quantity within a structure, as it is written elsewhere."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError
