"""Traces of an XES log that dora-state exported itself: they say what was recorded, so nothing has to be inferred.

Such a trace begins with all that was recorded when its workflow was created. Its events are read strictly, as they
come from outside; whether they can follow one another is for the aggregates to say, when they are imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter

from domain import task as tasks
from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.errors import CorruptLog
from domain.interchange import RECORDED
from domain.task import (
    HOLDING,
    TASK,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskRolledBack,
    TaskTimedOut,
    TaskUnassigned,
)
from domain.values import Id, JsonObject, PositiveCount, Resources
from domain.workflow import WORKFLOW, WorkflowCreated

_FREES = (TaskUnassigned, TaskCompleted, TaskFailed, TaskTimedOut, TaskCancelled)
_HELD_IN_POOLS = {"pool_id": None, "reservation_id": None, "allocated": None}


class RecordedEvent(NamedTuple):
    """An event as it was recorded. `task_id` None: it is the workflow's own."""

    task_id: str | None
    event: Event


class _Told(NamedTuple):
    stream_id: str
    type: str
    schema_version: PositiveCount
    data: JsonObject


_TOLD: TypeAdapter[tuple[_Told, ...]] = TypeAdapter(tuple[_Told, ...])
_ID: TypeAdapter[str] = TypeAdapter(Id)
_RESOURCES: TypeAdapter[Resources] = TypeAdapter(Resources)


class UnreadableTrace(Exception):
    """What is said to have been recorded can't have been."""


@dataclass(slots=True)
class AgentProfile:
    """What the log shows of an agent: what it did, and how much at a time."""

    capabilities: set[str] = field(default_factory=set)
    busy: int = 0
    capacity: int = 1

    def take(self) -> None:
        self.busy += 1
        self.capacity = max(self.capacity, self.busy)


def recorded_in(trace_id: str, attributes: Mapping[str, Any]) -> tuple[RecordedEvent, ...]:
    """What was recorded of a command, by an event's attributes; empty: they don't say. Raises UnreadableTrace."""
    if RECORDED not in attributes:
        return ()
    parts, number = [attributes[RECORDED]], 2
    while (part := attributes.get(f"{RECORDED}.{number}")) is not None:
        parts.append(part)
        number += 1
    try:
        told = _TOLD.validate_python(orjson.loads("".join(parts)))
        return tuple(_event(trace_id, one) for one in told)
    except (TypeError, ValueError, CorruptLog) as error:  # also of JSON, and of models
        raise UnreadableTrace from error


def _event(trace_id: str, told: _Told) -> RecordedEvent:
    category, _, id = told.stream_id.partition("-")
    event = CATALOGUE.decode(told.type, told.schema_version, orjson.dumps(told.data))
    if category == WORKFLOW.category and id == trace_id and isinstance(event, WORKFLOW.events):
        return RecordedEvent(None, event)
    if category == TASK.category and isinstance(event, TASK.events):
        return RecordedEvent(_ID.validate_python(id, strict=True), _without_pool(event))
    raise UnreadableTrace


def _without_pool(event: Event) -> Event:
    """Pools are in no trace, so an imported task holds nothing of one: it could never give it back.

    What names an agent or a quantity is checked as where commands come in, as it is acted upon.
    """
    match event:
        case TaskCreated():
            _RESOURCES.validate_python(event.resource_requirements)
        case TaskAssigned():
            _ID.validate_python(event.agent_id, strict=True)
            return event.model_copy(update=_HELD_IN_POOLS)
        case TaskRolledBack():
            restored = tasks.from_json(event.restored | _HELD_IN_POOLS)
            if restored.agent_id is not None:
                _ID.validate_python(restored.agent_id, strict=True)
            return event.model_copy(update={"restored": tasks.to_json(restored)})
    return event


def begins(trace_id: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a trace with such a first event is one of ours. Raises UnreadableTrace."""
    first = recorded_in(trace_id, attributes)[:1]
    return bool(first) and isinstance(first[0].event, WorkflowCreated)


class RecordedTrace:
    """One trace that is ours: which tasks are held by whom, for what agents need."""

    def __init__(self, agents: dict[str, AgentProfile]) -> None:
        self._agents = agents
        self._capabilities: dict[str, tuple[str, ...]] = {}
        self._held: dict[str, str] = {}
        self.given_up = False
        """Something in it could not be read: what comes after would stand on nothing."""

    def follow(self, recorded: tuple[RecordedEvent, ...]) -> tuple[str, ...]:
        """Keep the books of the agents; gives those that are taken."""
        taken: list[str] = []
        for task_id, event in recorded:
            if task_id is None:
                continue
            if isinstance(event, TaskCreated):
                self._capabilities[task_id] = event.capabilities
            elif isinstance(event, TaskAssigned):
                self._take(task_id, event.agent_id, taken)
            elif isinstance(event, _FREES):
                self._free(task_id)
            elif isinstance(event, TaskRolledBack):
                self._free(task_id)
                agent_id = event.restored.get("agent_id")
                if event.restored.get("state") in HOLDING and isinstance(agent_id, str):
                    self._take(task_id, agent_id, taken)
        return tuple(taken)

    def _take(self, task_id: str, agent_id: str, taken: list[str]) -> None:
        self._free(task_id)
        agent = self._agents.setdefault(agent_id, AgentProfile())
        agent.capabilities.update(self._capabilities.get(task_id, ()))
        agent.take()
        self._held[task_id] = agent_id
        taken.append(agent_id)

    def _free(self, task_id: str) -> None:
        agent_id = self._held.pop(task_id, None)
        if agent_id is not None:
            self._agents[agent_id].busy -= 1
