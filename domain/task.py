"""Task: one piece of work, done by one agent at a time, in at most `max_attempts` attempts.

created -> scheduled -> assigned -> running -> completed | failed | timed_out, and cancelled from any open
state; failed and timed_out go back to scheduled by a retry.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import TypeAdapter

from domain.aggregate import Aggregate, Event, begun, shallow_copier, unexpected
from domain.errors import Refusal
from domain.room import MOST_PHASES
from domain.values import PERSONAL, Allocation, JsonObject, Payload, Priority, Resources, iso, same_json

TaskState = Literal["created", "scheduled", "assigned", "running", "completed", "failed", "cancelled", "timed_out"]
PENDING: frozenset[TaskState] = frozenset({"created", "scheduled", "assigned"})
OPEN: frozenset[TaskState] = PENDING | {"running"}
HOLDING: frozenset[TaskState] = frozenset({"assigned", "running"})
"""States in which a task has an agent's slot and, where it asked for one, a reservation."""

# --- events ---------------------------------------------------------------------------------------------


class TaskCreated(Event):
    type = "TaskCreated"
    task_id: str
    workflow_id: str
    definition_id: str
    requires: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    inputs: Annotated[Payload, PERSONAL] = {}
    resource_requirements: Allocation = {}
    time_limit: float | None = None
    capabilities: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    max_attempts: int = 1
    priority: Priority = "medium"


class TaskRequirementMet(Event):
    """A task that this one requires is completed, or a dependency that it awaits is satisfied."""

    type = "TaskRequirementMet"
    requirement: str


class TaskScheduled(Event):
    type = "TaskScheduled"


class TaskAssigned(Event):
    type = "TaskAssigned"
    agent_id: str
    reason: Annotated[str, PERSONAL]
    pool_id: str | None = None
    reservation_id: str | None = None
    allocated: Allocation | None = None


class TaskUnassigned(Event):
    type = "TaskUnassigned"
    reason: Annotated[str, PERSONAL]


class TaskStarted(Event):
    type = "TaskStarted"
    estimated_completion: datetime | None = None
    deadline: datetime | None = None


class TaskProgressed(Event):
    type = "TaskProgressed"
    percentage: float | None = None
    phase: str | None = None
    memory_peak: str | None = None
    cpu_average: float | None = None
    estimated_completion: datetime | None = None
    note: Annotated[str | None, PERSONAL] = None


class TaskPhaseCompleted(Event):
    type = "TaskPhaseCompleted"
    phase: str


class TaskOutputsRecorded(Event):
    type = "TaskOutputsRecorded"
    outputs: Annotated[Payload, PERSONAL]


class TaskCompleted(Event):
    type = "TaskCompleted"
    outputs: Annotated[Payload | None, PERSONAL] = None


class TaskFailed(Event):
    type = "TaskFailed"
    error: Annotated[str, PERSONAL]


class TaskTimedOut(Event):
    type = "TaskTimedOut"
    reason: str


class TaskRetried(Event):
    type = "TaskRetried"
    attempt: int


class TaskCancelled(Event):
    type = "TaskCancelled"
    reason: Annotated[str, PERSONAL]


class TaskRolledBack(Event):
    """The task went back in time with its workflow: `restored` is its whole state from here on."""

    type = "TaskRolledBack"
    reason: Annotated[str, PERSONAL]
    operator: Annotated[str, PERSONAL]
    restored: Annotated[Payload, PERSONAL]


# --- state ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Task:
    task_id: str
    workflow_id: str
    definition_id: str
    created_at: datetime
    updated_at: datetime
    state: TaskState = "created"
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    estimated_completion: datetime | None = None
    deadline: datetime | None = None
    agent_id: str | None = None
    assigned_at: datetime | None = None
    assignment_reason: str | None = None
    pool_id: str | None = None
    reservation_id: str | None = None
    allocated: Resources | None = None
    requires: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    satisfied: tuple[str, ...] = ()
    inputs: JsonObject = field(default_factory=dict)
    outputs: JsonObject = field(default_factory=dict)
    percentage: float = 0.0
    current_phase: str | None = None
    phases: tuple[str, ...] = ()
    phases_completed: tuple[str, ...] = ()
    note: str | None = None
    memory_peak: str | None = None
    cpu_average: float | None = None
    resource_requirements: Resources = field(default_factory=dict)
    time_limit: float | None = None
    capabilities: tuple[str, ...] = ()
    priority: Priority = "medium"
    attempt: int = 1
    max_attempts: int = 1
    retry_count: int = 0
    last_error: str | None = None

    def copy(self) -> "Task":
        # Containers in here are replaced, never changed, so a shallow copy is independent.
        return _copy(self)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        return tuple(name for name in (*self.requires, *self.awaits) if name not in self.satisfied)

    @property
    def attempts_left(self) -> int:
        return self.max_attempts - self.attempt


@cache
def _adapter() -> TypeAdapter[Task]:
    return TypeAdapter(Task)


def to_json(task: Task) -> JsonObject:
    """The whole state as plain JSON, for a rollback's event."""
    return _adapter().dump_python(task, mode="json")  # type: ignore[no-any-return]  # pydantic types it as Any


def from_json(data: JsonObject) -> Task:
    return _adapter().validate_python(data)


_copy = shallow_copier(Task)

# --- evolve ---------------------------------------------------------------------------------------------


def evolve(task: Task | None, event: Event) -> Task:
    """Apply one event; the state given is changed and handed back."""
    if type(event) is TaskCreated:  # `isinstance` of a model is felt in a long fold
        return Task(
            task_id=event.task_id,
            workflow_id=event.workflow_id,
            definition_id=event.definition_id,
            created_at=event.at,
            updated_at=event.at,
            requires=event.requires,
            awaits=event.awaits,
            inputs=event.inputs,
            resource_requirements=event.resource_requirements,
            time_limit=event.time_limit,
            capabilities=event.capabilities,
            phases=event.phases,
            max_attempts=event.max_attempts,
            priority=event.priority,
        )
    if task is None:  # asked here too: a call for each event is felt in a long fold
        task = begun(task, event)
    match event:
        case TaskProgressed():
            _progress(task, event)
        case TaskScheduled():
            task.state = "scheduled"
            task.scheduled_at = event.at
        case TaskAssigned():
            task.state = "assigned"
            task.agent_id = event.agent_id
            task.assigned_at = event.at
            task.assignment_reason = event.reason
            task.pool_id = event.pool_id
            task.reservation_id = event.reservation_id
            task.allocated = event.allocated
        case TaskStarted():
            task.state = "running"
            task.started_at = event.at
            task.estimated_completion = event.estimated_completion
            task.deadline = event.deadline
            task.current_phase = task.phases[0] if task.phases else None
        case TaskCompleted():
            _end(task, "completed", event.at)
            task.percentage = 100.0
            task.outputs = task.outputs | (event.outputs or {})
            task.phases_completed = tuple(dict.fromkeys((*task.phases_completed, *task.phases)))
            task.current_phase = None
        case TaskRequirementMet():
            task.satisfied = (*task.satisfied, event.requirement)
        case TaskPhaseCompleted():
            task.phases_completed = (*task.phases_completed, event.phase)
            if task.current_phase in task.phases_completed:
                remaining = [phase for phase in task.phases if phase not in task.phases_completed]
                task.current_phase = remaining[0] if remaining else None
        case TaskOutputsRecorded():
            task.outputs = task.outputs | event.outputs
        case TaskFailed():
            _end(task, "failed", event.at)
            task.last_error = event.error
        case TaskTimedOut():
            _end(task, "timed_out", event.at)
            task.last_error = event.reason
        case TaskCancelled():
            _end(task, "cancelled", event.at)
        case TaskUnassigned():
            task.state = "scheduled"
            _forget_agent(task)
        case TaskRetried():
            _begin_attempt(task, event)
        case TaskRolledBack():
            task = from_json(event.restored)
        case _:
            raise unexpected(event)
    task.updated_at = event.at
    return task


def _progress(task: Task, event: TaskProgressed) -> None:
    if event.percentage is not None:
        task.percentage = event.percentage
    if event.phase is not None:
        task.current_phase = event.phase
    if event.memory_peak is not None:
        task.memory_peak = event.memory_peak
    if event.cpu_average is not None:
        task.cpu_average = event.cpu_average
    if event.estimated_completion is not None:
        task.estimated_completion = event.estimated_completion
    if event.note is not None:
        task.note = event.note


def _end(task: Task, state: TaskState, at: datetime) -> None:
    """The agent stays named, as who did it; what it held is freed."""
    task.state = state
    task.ended_at = at
    task.estimated_completion = task.deadline = None
    task.pool_id = task.reservation_id = task.allocated = None


def _forget_agent(task: Task) -> None:
    task.agent_id = task.assigned_at = task.assignment_reason = None
    task.pool_id = task.reservation_id = task.allocated = None


def _begin_attempt(task: Task, event: TaskRetried) -> None:
    task.state = "scheduled"
    task.scheduled_at = event.at
    task.started_at = task.ended_at = None
    _forget_agent(task)
    task.attempt = event.attempt
    task.retry_count += 1
    task.percentage = 0.0
    task.phases_completed = ()
    task.current_phase = task.note = task.memory_peak = task.cpu_average = None
    task.outputs = {}


TASK = Aggregate(
    "task",
    Task,
    (
        TaskCreated,
        TaskRequirementMet,
        TaskScheduled,
        TaskAssigned,
        TaskUnassigned,
        TaskStarted,
        TaskProgressed,
        TaskPhaseCompleted,
        TaskOutputsRecorded,
        TaskCompleted,
        TaskFailed,
        TaskTimedOut,
        TaskRetried,
        TaskCancelled,
        TaskRolledBack,
    ),
    evolve,
)

# --- decisions ------------------------------------------------------------------------------------------


def create(task: Task | None, event: TaskCreated) -> list[Event]:
    if task is not None:
        raise Refusal(
            "task_exists",
            f"There already is a task {task.task_id}, in workflow {task.workflow_id}; choose another id.",
            task_id=task.task_id,
            workflow_id=task.workflow_id,
        )
    return [event]


def meet_requirement(task: Task, requirement: str, at: datetime) -> list[Event]:
    """Also while the task waits for a retry: it must not be blocked then by what is there already."""
    if task.state in ("completed", "cancelled") or requirement not in task.blocked_by:
        return []
    return [TaskRequirementMet(at=at, requirement=requirement)]


def schedule(task: Task, at: datetime) -> list[Event]:
    if task.state == "scheduled":
        return []
    _require(task, {"created"}, "scheduled")
    return [TaskScheduled(at=at)]


def assign(task: Task, event: TaskAssigned) -> list[Event]:
    if task.state == "assigned" and task.agent_id == event.agent_id:
        return []
    _require(task, {"scheduled"}, "assigned")
    return [event]


def unassign(task: Task, reason: str, at: datetime) -> list[Event]:
    _require(task, {"assigned"}, "taken from its agent")
    return [TaskUnassigned(at=at, reason=reason)]


def start(
    task: Task, estimated_completion: datetime | None, default_time_limit: float | None, at: datetime
) -> list[Event]:
    """`default_time_limit` (seconds) serves a task that names none itself."""
    if task.state == "running":
        return []
    _require(task, {"assigned"}, "started")
    if task.blocked_by:
        raise Refusal(
            "task_blocked",
            f"Task {task.task_id} waits for {', '.join(task.blocked_by)}; start it when they are done.",
            task_id=task.task_id,
            blocked_by=list(task.blocked_by),
        )
    deadline = fresh_deadline(task, default_time_limit, at)
    return [TaskStarted(at=at, estimated_completion=estimated_completion, deadline=deadline)]


def fresh_deadline(task: Task, default_time_limit: float | None, at: datetime) -> datetime | None:
    limit = task.time_limit if task.time_limit is not None else default_time_limit
    return at + timedelta(seconds=limit) if limit is not None else None


def report_progress(task: Task, event: TaskProgressed) -> list[Event]:
    _require(task, {"running"}, "progressed")
    if event.percentage is not None and event.percentage < task.percentage:
        raise Refusal(
            "progress_falls",
            f"Task {task.task_id} is at {task.percentage:g} % already; progress never falls within an attempt.",
            task_id=task.task_id,
            percentage=task.percentage,
            reported=event.percentage,
        )
    if event.phase is not None:
        _require_phase(task, event.phase)
    news = (
        event.note not in (None, task.note)
        or event.percentage not in (None, task.percentage)
        or event.phase not in (None, task.current_phase)
        or event.memory_peak not in (None, task.memory_peak)
        or event.cpu_average not in (None, task.cpu_average)
        or event.estimated_completion not in (None, task.estimated_completion)
    )
    return [event] if news else []


def complete_phase(task: Task, phase: str, at: datetime) -> list[Event]:
    if phase in task.phases_completed:
        return []
    _require(task, {"running"}, "moved to its next phase")
    _require_phase(task, phase)
    if len(task.phases_completed) >= MOST_PHASES and not task.phases:
        raise Refusal(
            "too_many_phases",
            f"Task {task.task_id} has completed {MOST_PHASES:,} phases, and may complete no more; "
            "report progress instead.",
            task_id=task.task_id,
            limit=MOST_PHASES,
        )
    return [TaskPhaseCompleted(at=at, phase=phase)]


def record_outputs(task: Task, outputs: JsonObject, at: datetime) -> list[Event]:
    _require(task, {"running", "completed"}, "given outputs")
    if same_json(task.outputs | outputs, task.outputs):
        return []
    return [TaskOutputsRecorded(at=at, outputs=outputs)]


def complete(task: Task, outputs: JsonObject | None, at: datetime) -> list[Event]:
    if task.state == "completed" and same_json(task.outputs | (outputs or {}), task.outputs):
        return []
    _require(task, {"running"}, "completed")
    return [TaskCompleted(at=at, outputs=outputs)]


def fail(task: Task, error: str, at: datetime) -> list[Event]:
    if task.state == "failed" and task.last_error == error:
        return []
    _require(task, {"running"}, "failed")
    return [TaskFailed(at=at, error=error)]


def time_out(task: Task, at: datetime) -> list[Event]:
    if task.state == "timed_out":
        return []
    _require(task, {"running"}, "timed out")
    if task.deadline is None:
        raise Refusal(
            "task_without_limit",
            f"Task {task.task_id} has no time limit; fail it instead.",
            task_id=task.task_id,
        )
    if at < task.deadline:
        raise Refusal(
            "task_within_limit",
            f"Task {task.task_id} has until {iso(task.deadline)}; fail it, or wait.",
            task_id=task.task_id,
            deadline=iso(task.deadline),
        )
    return [TaskTimedOut(at=at, reason="time limit exceeded")]


def lose_reservation(task: Task, at: datetime) -> list[Event]:
    """What follows when the task's reservation has expired, whether it was started or not."""
    _require(task, HOLDING, "timed out")
    return [TaskTimedOut(at=at, reason="reservation expired")]


def retry(task: Task, at: datetime) -> list[Event]:
    _require(task, {"failed", "timed_out"}, "retried")
    if task.attempts_left <= 0:
        raise Refusal(
            "attempts_used_up",
            f"Task {task.task_id} has used its {task.max_attempts} attempts; retry its workflow for fresh ones.",
            task_id=task.task_id,
            max_attempts=task.max_attempts,
        )
    return [TaskRetried(at=at, attempt=task.attempt + 1)]


def renew_attempts(task: Task, at: datetime) -> list[Event]:
    """Its workflow is retried: a failed task begins again with its first attempt."""
    return [TaskRetried(at=at, attempt=1)] if task.state in ("failed", "timed_out") else []


def cancel(task: Task, reason: str, at: datetime) -> list[Event]:
    if task.state == "cancelled":
        return []
    _require(task, OPEN | {"failed", "timed_out"}, "cancelled")
    return [TaskCancelled(at=at, reason=reason)]


def _require(task: Task, states: frozenset[TaskState] | set[TaskState], what: str) -> None:
    if task.state not in states:
        raise Refusal(
            "task_state",
            f"Task {task.task_id} is {task.state.replace('_', ' ')} and can't be {what}; "
            f"it must be {' or '.join(sorted(states)).replace('_', ' ')}.",
            task_id=task.task_id,
            state=task.state,
            allowed=sorted(states),
        )


def _require_phase(task: Task, phase: str) -> None:
    if phase in task.phases_completed:
        raise Refusal(
            "phase_completed",
            f"Phase {phase} of task {task.task_id} is completed already.",
            task_id=task.task_id,
            phase=phase,
        )
    if task.phases and phase not in task.phases:
        raise Refusal(
            "phase_unknown",
            f"Task {task.task_id} has no phase {phase}; its phases are {', '.join(task.phases)}.",
            task_id=task.task_id,
            phase=phase,
            phases=list(task.phases),
        )
