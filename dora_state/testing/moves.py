"""Whether what was there before an event allowed it: the state of its own aggregate, and of others.

Kept apart from the decisions: plain conditions, after docs/rules.md. What holds of every state whatever led to it (a
slot for each busy task, limits of pools and agents, capabilities) is in `invariants`, and what a rollback brings back
in `rollbacks`. Not looked at is what events do not tell, such as how many workflows a read model counted, or whether it
is a rollback that cancels an open task of a workflow that has failed; nor how much there may be of something.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.agent import Agent, AgentReturned
from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.errors import CorruptLog
from domain.log import RecordedEvent
from domain.pool import Pool, ReservationExpired, ResourcesReserved
from domain.system import SYSTEM, SYSTEM_ID, LogImportEnded, MaintenanceScheduled, System
from domain.task import (
    Task,
    TaskCancelled,
    TaskCreated,
    TaskPhaseCompleted,
    TaskProgressed,
    TaskRetried,
    TaskStarted,
    TaskTimedOut,
)
from domain.workflow import (
    Workflow,
    WorkflowAmended,
    WorkflowDependencySatisfied,
    WorkflowRetried,
    WorkflowScheduled,
    WorkflowStarted,
    WorkflowTaskAdded,
)
from dora_state.testing.invariants import Checks, States

_OPEN = frozenset({"created", "scheduled", "running", "paused"})
_RUNNING = frozenset({"running"})
_ABLE = frozenset({"healthy", "degraded"})
_THERE = _ABLE | {"registered", "unhealthy"}
_ANY = _THERE | {"offline"}

ONLY_IN: Mapping[str, Mapping[str, frozenset[str]]] = {
    "workflow": {
        "WorkflowTaskAdded": _OPEN,
        "WorkflowScheduled": frozenset({"created", "scheduled"}),
        "WorkflowStarted": frozenset({"created", "scheduled"}),
        "WorkflowPaused": _RUNNING,
        "WorkflowResumed": frozenset({"paused"}),
        "WorkflowDependencySatisfied": _OPEN,
        "WorkflowAmended": _OPEN,
        "WorkflowCompleted": _RUNNING,
        "WorkflowFailed": _OPEN,
        "WorkflowRetried": frozenset({"failed"}),
        "WorkflowCancelled": _OPEN,
    },
    "task": {
        "TaskRequirementMet": frozenset({"created", "scheduled", "assigned", "running", "failed", "timed_out"}),
        "TaskScheduled": frozenset({"created"}),
        "TaskAssigned": frozenset({"scheduled"}),
        "TaskUnassigned": frozenset({"assigned"}),
        "TaskStarted": frozenset({"assigned"}),
        "TaskProgressed": _RUNNING,
        "TaskPhaseCompleted": _RUNNING,
        "TaskOutputsRecorded": frozenset({"running", "completed"}),
        "TaskCompleted": _RUNNING,
        "TaskFailed": _RUNNING,
        "TaskTimedOut": frozenset({"assigned", "running"}),
        "TaskRetried": frozenset({"failed", "timed_out"}),
        "TaskCancelled": frozenset({"created", "scheduled", "assigned", "running", "failed", "timed_out"}),
    },
    "agent": {
        "AgentRegistered": frozenset({"deregistered"}),
        "AgentSlotTaken": _ABLE,
        "AgentTaskStarted": _ABLE,
        "AgentHealthReported": _ANY,
        "AgentCapacityChanged": _ANY,
        "AgentConfigurationUpdated": _ANY,
        "AgentWentOffline": _THERE,
        "AgentReturned": frozenset({"offline"}),
        "AgentDeregistered": _ANY,
    },
}
"""By the kind of stream: the states of which an event may be the next. Events that are not named may follow on any."""
_WORKFLOW_IN: Mapping[str, frozenset[str]] = {
    "TaskScheduled": _OPEN,
    "TaskAssigned": _RUNNING,
    "TaskStarted": _RUNNING,
    "TaskRetried": _OPEN,
}
"""The states in which a task's workflow lets this happen."""
BEGINNINGS = frozenset({"WorkflowCreated", "TaskCreated", "PoolCreated"})
BEGINNINGS_OF_LOGS = frozenset({"LogImportBegun"})
LOOKED_INTO = frozenset(
    event.type
    for event in (
        AgentReturned,
        LogImportEnded,
        MaintenanceScheduled,
        ReservationExpired,
        ResourcesReserved,
        TaskCancelled,
        TaskCreated,
        TaskPhaseCompleted,
        TaskProgressed,
        TaskRetried,
        TaskStarted,
        TaskTimedOut,
        WorkflowAmended,
        WorkflowDependencySatisfied,
        WorkflowRetried,
        WorkflowScheduled,
        WorkflowStarted,
        WorkflowTaskAdded,
    )
)
"""What is decoded here once more; all others are judged by their type."""


def forbidden(states: States, record: RecordedEvent) -> Iterator[str]:
    """What stood against an event, each in a sentence; `states` are as they were before it, within its command too."""
    for allowed, what in _conditions(states, record):
        if not allowed:
            yield f"{record.type} of {record.stream_id}: {what}."


def _conditions(states: States, record: RecordedEvent) -> Checks:
    own: Any = states.get(record.stream_id)
    only_in = ONLY_IN.get(record.stream_id.partition("-")[0], {}).get(record.type)
    if record.type in BEGINNINGS:
        yield own is None, "it was there already"
    if record.type in BEGINNINGS_OF_LOGS:
        yield record.position == 1, "there was something before it, and an import begins a log"
    if own is not None and only_in is not None:
        yield own.state in only_in, f"it was {own.state}"
    if isinstance(own, Task) and record.type in _WORKFLOW_IN:
        yield from _workflow_is(states, own.workflow_id, _WORKFLOW_IN[record.type])
    if record.type in LOOKED_INTO:
        try:
            event = CATALOGUE.decode(record.type, record.schema_version, record.data)
        except CorruptLog:
            return  # who folds it tells
        if isinstance(own, Workflow):
            yield from _of_workflow(states, own, event)
        else:
            yield from _looked_into(states, own, event)


def _of_workflow(states: States, own: Workflow, event: Event) -> Checks:
    match event:
        case WorkflowTaskAdded():
            yield event.task_id not in {*own.tasks, *own.pending, *own.satisfied}, f"it had {event.task_id} already"
            strangers = sorted(set(event.awaits) - {*own.pending, *own.satisfied})
            yield not strangers, f"it had no dependency {', '.join(strangers)}"
        case WorkflowScheduled():
            yield _in_order(event.start_at, event.scheduled_completion or own.scheduled_completion)
        case WorkflowAmended() if own.started_at is None:
            yield _in_order(own.start_at, event.scheduled_completion)
        case WorkflowStarted():
            yield from _no_maintenance(states, event.at)
        case WorkflowDependencySatisfied():
            yield event.dependency in own.pending, f"it did not wait for {event.dependency}"
        case WorkflowRetried():
            yield event.retry == own.retry_count + 1, f"retry {event.retry} came after {own.retry_count}"


def _in_order(start_at: datetime | None, completion: datetime | None) -> tuple[bool, str]:
    ordered = start_at is None or completion is None or start_at <= completion
    return ordered, f"it was to be completed by {completion}, before its start at {start_at}"


def _looked_into(states: States, own: object, event: Event) -> Checks:
    match own, event:
        case None, TaskCreated():
            yield from _workflow_is(states, event.workflow_id, _OPEN)
        case Task(), TaskStarted():
            yield from _no_maintenance(states, event.at)
            yield _limit_is(states, own, event), f"its time limit ends at {event.deadline}"
        case Task(), TaskProgressed():
            falls = event.percentage is not None and event.percentage < own.percentage
            yield not falls, f"its progress fell from {own.percentage} to {event.percentage}"
            if event.phase is not None:
                yield from _phase(own, event.phase)
        case Task(), TaskPhaseCompleted():
            yield from _phase(own, event.phase)
        case Task(), TaskTimedOut():
            yield _is_over(states, own, event.at), "neither its time limit was over nor its reservation"
        case Task(), TaskRetried():
            afresh = event.attempt == 1 and _workflow(states, own.workflow_id, "limited_from") == event.at
            yield afresh or event.attempt == own.attempt + 1, f"attempt {event.attempt} came after {own.attempt}"
        case Task(), TaskCancelled():
            ends_with_it = _workflow(states, own.workflow_id, "ended_at") == event.at
            allowed = frozenset({"cancelled"}) if ends_with_it else _OPEN
            if own.state not in ("failed", "timed_out"):
                allowed |= {"failed"}
            yield from _workflow_is(states, own.workflow_id, allowed)
        case Agent(), AgentReturned():
            yield event.state == own.health, f"it was {own.health} before, and came back {event.state}"
        case Pool(), ResourcesReserved():
            yield event.reservation_id not in own.reservations, f"{event.reservation_id} was reserved already"
            lasts = event.expires_at is None or event.expires_at > event.at
            yield lasts, f"{event.reservation_id} had expired already"
        case Pool(), ReservationExpired():
            reservation = own.reservations.get(event.reservation_id)
            expires_at = reservation.expires_at if reservation is not None else None
            due = expires_at is not None and expires_at <= event.at
            yield due, f"{event.reservation_id} was to expire at {expires_at}, and did at {event.at}"
        case _, MaintenanceScheduled():
            yield event.end > max(event.start, event.at), f"window {event.window_id} was over, or ends before its start"
            known = isinstance(own, System) and event.window_id in own.maintenance
            yield not known, f"window {event.window_id} was there already"
        case _, LogImportEnded():
            under_way = isinstance(own, System) and _importing(own) and own.imports[-1].sha256 == event.sha256
            yield under_way, "no import of such a file was under way"


def _workflow(states: States, workflow_id: str, what: str) -> Any:
    workflow = states.get(f"workflow-{workflow_id}")
    return getattr(workflow, what) if isinstance(workflow, Workflow) else None


def _workflow_is(states: States, workflow_id: str, allowed: frozenset[str]) -> Checks:
    state = _workflow(states, workflow_id, "state")
    yield state in allowed, f"its workflow was {state or 'not there'}"


def _system(states: States) -> System | None:
    return states.get(SYSTEM.stream_id(SYSTEM_ID))


def _no_maintenance(states: States, at: datetime) -> Checks:
    """What is decided counts, not when it was recorded."""
    system = _system(states)
    for window_id, window in system.maintenance.items() if system is not None else ():
        within = window.blocks_starts and window.start <= at < window.end
        yield not within, f"it was started at {at}, in maintenance {window_id}"


def _limit_is(states: States, task: Task, event: TaskStarted) -> bool:
    """An imported log tells of a system that had another."""
    system = _system(states)
    limit = task.time_limit
    if limit is None and system is not None:
        limit = system.default_timeout
    ends = None if limit is None else event.at + timedelta(seconds=limit)
    return event.deadline == ends or _importing(system)


def _is_over(states: States, task: Task, at: datetime) -> bool:
    """The time limit of a task that runs, or the reservation of one that holds any; pools are not imported."""
    if task.state == "running" and task.deadline is not None and task.deadline <= at:
        return True
    pool = states.get(f"pool-{task.pool_id}")
    held = isinstance(pool, Pool) and task.reservation_id in pool.reservations
    return _importing(_system(states)) or (task.reservation_id is not None and not held)


def _importing(system: System | None) -> bool:
    return system is not None and bool(system.imports) and system.imports[-1].ended_at is None


def _phase(task: Task, phase: str) -> Checks:
    yield not task.phases or phase in task.phases, f"it has no phase {phase}"
    yield phase not in task.phases_completed, f"phase {phase} was completed already"
