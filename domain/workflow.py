"""Workflow: a set of tasks with dependencies, from creation to its end.

created -> scheduled -> running <-> paused -> completed | failed | cancelled; only a retry or a rollback
leaves an end state. The stream carries what the workflow's document shows of its tasks, so that a version
of a workflow is a fold of one stream.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import TypeAdapter

from domain.aggregate import Aggregate, Event, begun, shallow_copier, unexpected
from domain.errors import Refusal
from domain.record import record
from domain.room import LARGEST_WORKFLOW, MOST_TASKS, size_of
from domain.task import OPEN as OPEN_TASK
from domain.task import TaskState
from domain.values import PERSONAL, JsonObject, Payload, Priority, iso, same_json

WorkflowState = Literal["created", "scheduled", "running", "paused", "completed", "failed", "cancelled"]
OPEN: frozenset[WorkflowState] = frozenset({"created", "scheduled", "running", "paused"})
ALL: frozenset[WorkflowState] = OPEN | {"completed", "failed", "cancelled"}
ACTIVE: frozenset[WorkflowState] = frozenset({"running", "paused"})

# --- events ---------------------------------------------------------------------------------------------


class WorkflowCreated(Event):
    type = "WorkflowCreated"
    workflow_id: str
    definition_id: str
    definition_version: str
    context: Annotated[Payload, PERSONAL] = {}
    scheduled_completion: datetime | None = None
    dependencies: tuple[str, ...] = ()
    completion: Literal["automatic", "explicit"] = "automatic"
    on_task_failure: Literal["fail", "continue"] = "fail"
    max_retries: int = 3


class WorkflowTaskAdded(Event):
    type = "WorkflowTaskAdded"
    task_id: str
    definition_id: str
    requires: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    inputs: Annotated[Payload, PERSONAL] = {}
    attempts_left: int = 0


class WorkflowTaskChanged(Event):
    """A task moved: what the workflow's document shows of it from now on. Outputs only if they changed."""

    type = "WorkflowTaskChanged"
    task_id: str
    state: TaskState
    assigned_agent: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    outputs: Annotated[Payload | None, PERSONAL] = None
    error: Annotated[str | None, PERSONAL] = None
    attempts_left: int = 0


class WorkflowScheduled(Event):
    type = "WorkflowScheduled"
    start_at: datetime | None = None
    scheduled_completion: datetime | None = None


class WorkflowStarted(Event):
    type = "WorkflowStarted"


class WorkflowPaused(Event):
    type = "WorkflowPaused"
    reason: Annotated[str | None, PERSONAL] = None


class WorkflowResumed(Event):
    type = "WorkflowResumed"


class WorkflowDependencySatisfied(Event):
    type = "WorkflowDependencySatisfied"
    dependency: str


class WorkflowAmended(Event):
    """`context` holds the keys that changed; a null removes its key."""

    type = "WorkflowAmended"
    context: Annotated[Payload, PERSONAL] = {}
    scheduled_completion: datetime | None = None


class WorkflowCompleted(Event):
    type = "WorkflowCompleted"


class WorkflowFailed(Event):
    type = "WorkflowFailed"
    error: Annotated[str, PERSONAL]
    task_id: str | None = None


class WorkflowRetried(Event):
    type = "WorkflowRetried"
    retry: int


class WorkflowCancelled(Event):
    type = "WorkflowCancelled"
    reason: Annotated[str, PERSONAL]


class WorkflowRolledBack(Event):
    """The workflow went back to an earlier version: `restored` is its whole state from here on."""

    type = "WorkflowRolledBack"
    to_version: int
    reason: Annotated[str, PERSONAL]
    operator: Annotated[str, PERSONAL]
    restored: Annotated[Payload, PERSONAL]


# --- state ----------------------------------------------------------------------------------------------


@record
class TaskView:
    """What a workflow knows of one of its tasks."""

    definition_id: str
    state: TaskState = "created"
    assigned_agent: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    requires: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    inputs: JsonObject = field(default_factory=dict)
    outputs: JsonObject = field(default_factory=dict)
    error: str | None = None
    attempts_left: int = 0

    @property
    def settled(self) -> bool:
        """Nothing more will come of it by itself: ended, and not waiting for a retry."""
        if self.state in ("failed", "timed_out"):
            return self.attempts_left <= 0
        return self.state not in OPEN_TASK


@dataclass(slots=True)
class Workflow:
    workflow_id: str
    definition_id: str
    definition_version: str
    created_at: datetime
    updated_at: datetime
    state: WorkflowState = "created"
    start_at: datetime | None = None
    started_at: datetime | None = None
    limited_from: datetime | None = None
    """Since when the longest duration counts: the start, or the last retry or rollback."""
    ended_at: datetime | None = None
    scheduled_completion: datetime | None = None
    context: JsonObject = field(default_factory=dict)
    tasks: dict[str, TaskView] = field(default_factory=dict)
    counts: dict[TaskState, int] = field(default_factory=dict)
    unsettled: int = 0
    size: int = 0
    """Bytes, as JSON, of what callers told: the context, and of each task its names, inputs, outputs and error."""
    satisfied: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    completion: Literal["automatic", "explicit"] = "automatic"
    on_task_failure: Literal["fail", "continue"] = "fail"
    error: str | None = None
    failed_task: str | None = None
    failed_at: datetime | None = None
    retry_count: int = 0
    max_retries: int = 3

    def copy(self) -> "Workflow":
        twin = _copy(self)
        twin.tasks = self.tasks.copy()
        twin.counts = self.counts.copy()
        return twin

    @property
    def priority(self) -> Priority:
        priority = self.context.get("priority")
        return priority if priority in ("high", "low") else "medium"  # type: ignore[return-value]  # mypy does not narrow by `in`

    def count(self, *states: TaskState) -> int:
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def open_tasks(self) -> int:
        return self.count(*OPEN_TASK)

    @property
    def failed_tasks(self) -> int:
        return self.count("failed", "timed_out")


@cache
def _adapter() -> TypeAdapter[Workflow]:
    return TypeAdapter(Workflow)


def to_json(workflow: Workflow) -> JsonObject:
    """The whole state as plain JSON, for a rollback's event."""
    return _adapter().dump_python(workflow, mode="json", exclude={"size"})  # type: ignore[no-any-return]  # pydantic types it as Any


def from_json(data: JsonObject) -> Workflow:
    workflow = _adapter().validate_python(data)
    workflow.size = _size(workflow.context, workflow.tasks)
    return workflow


def _size(context: JsonObject, tasks: dict[str, TaskView]) -> int:
    return size_of(context) + sum(_given(task_id, view) + _left(view) for task_id, view in tasks.items())


def _given(task_id: str, view: TaskView) -> int:
    return size_of(task_id, view.definition_id, view.requires, view.awaits, view.inputs)


def _left(view: TaskView) -> int:
    return size_of(view.outputs, view.error)


_copy = shallow_copier(Workflow)

# --- evolve ---------------------------------------------------------------------------------------------


def evolve(workflow: Workflow | None, event: Event) -> Workflow:
    """Apply one event; the state given is changed and handed back."""
    if type(event) is WorkflowCreated:  # `isinstance` of a model is felt in a long fold
        return Workflow(
            workflow_id=event.workflow_id,
            definition_id=event.definition_id,
            definition_version=event.definition_version,
            created_at=event.at,
            updated_at=event.at,
            context=event.context,
            size=size_of(event.context),
            scheduled_completion=event.scheduled_completion,
            pending=event.dependencies,
            completion=event.completion,
            on_task_failure=event.on_task_failure,
            max_retries=event.max_retries,
        )
    workflow = begun(workflow, event)
    match event:
        case WorkflowTaskChanged():
            before = workflow.tasks[event.task_id]
            after = _changed(before, event)
            if event.outputs is not None or event.error != before.error:
                workflow.size += _left(after) - _left(before)
            _put_task(workflow, event.task_id, after)
        case WorkflowTaskAdded():
            view = TaskView(
                definition_id=event.definition_id,
                requires=event.requires,
                awaits=event.awaits,
                inputs=event.inputs,
                attempts_left=event.attempts_left,
            )
            workflow.size += _given(event.task_id, view) + _left(view)
            _put_task(workflow, event.task_id, view)
        case WorkflowScheduled():
            workflow.state = "scheduled"
            workflow.start_at = event.start_at
            workflow.scheduled_completion = event.scheduled_completion or workflow.scheduled_completion
        case WorkflowStarted():
            workflow.state = "running"
            workflow.started_at = workflow.limited_from = event.at
        case WorkflowPaused():
            workflow.state = "paused"
        case WorkflowResumed():
            workflow.state = "running"
        case WorkflowDependencySatisfied():
            workflow.pending = tuple(name for name in workflow.pending if name != event.dependency)
            workflow.satisfied = (*workflow.satisfied, event.dependency)
        case WorkflowAmended():
            context = _amended(workflow.context, event.context)
            workflow.size += size_of(context) - size_of(workflow.context)
            workflow.context = context
            workflow.scheduled_completion = event.scheduled_completion or workflow.scheduled_completion
        case WorkflowCompleted():
            workflow.state = "completed"
            workflow.ended_at = event.at
        case WorkflowFailed():
            workflow.state = "failed"
            workflow.ended_at = workflow.failed_at = event.at
            workflow.error = event.error
            workflow.failed_task = event.task_id
        case WorkflowRetried():
            workflow.state = "running"
            workflow.limited_from = event.at
            workflow.retry_count = event.retry
            workflow.started_at = workflow.started_at or event.at  # it may have failed before its start
            workflow.ended_at = workflow.error = workflow.failed_task = workflow.failed_at = None
        case WorkflowCancelled():
            workflow.state = "cancelled"
            workflow.ended_at = event.at
        case WorkflowRolledBack():
            workflow = from_json(event.restored)
            workflow.limited_from = event.at if workflow.started_at else None
        case _:
            raise unexpected(event)
    workflow.updated_at = event.at
    return workflow


def _amended(context: JsonObject, changes: JsonObject) -> JsonObject:
    """A null removes its key."""
    removed = [key for key, value in changes.items() if value is None]
    return {key: value for key, value in (context | changes).items() if key not in removed}


def _changed(view: TaskView, event: WorkflowTaskChanged) -> TaskView:
    # Not `replace`: it asks each field how it is made, for each change of each task.
    return TaskView(
        definition_id=view.definition_id,
        state=event.state,
        assigned_agent=event.assigned_agent,
        start_time=event.start_time,
        end_time=event.end_time,
        requires=view.requires,
        awaits=view.awaits,
        inputs=view.inputs,
        outputs=view.outputs if event.outputs is None else event.outputs,
        error=event.error,
        attempts_left=event.attempts_left,
    )


def _put_task(workflow: Workflow, task_id: str, view: TaskView) -> None:
    """The counts move along, so that no question about a large workflow has to look at all its tasks."""
    before = workflow.tasks.get(task_id)
    if before is not None:
        workflow.counts[before.state] -= 1
        workflow.unsettled -= not before.settled
    workflow.tasks[task_id] = view
    workflow.counts[view.state] = workflow.counts.get(view.state, 0) + 1
    workflow.unsettled += not view.settled


def with_tasks(workflow: Workflow, tasks: dict[str, TaskView]) -> Workflow:
    """The same workflow with other tasks, its counts to match."""
    return replace(
        workflow,
        tasks=tasks,
        size=_size(workflow.context, tasks),
        counts=dict(Counter(view.state for view in tasks.values())),
        unsettled=sum(not view.settled for view in tasks.values()),
    )


WORKFLOW = Aggregate(
    "workflow",
    Workflow,
    (
        WorkflowCreated,
        WorkflowTaskAdded,
        WorkflowTaskChanged,
        WorkflowScheduled,
        WorkflowStarted,
        WorkflowPaused,
        WorkflowResumed,
        WorkflowDependencySatisfied,
        WorkflowAmended,
        WorkflowCompleted,
        WorkflowFailed,
        WorkflowRetried,
        WorkflowCancelled,
        WorkflowRolledBack,
    ),
    evolve,
)

# --- decisions ------------------------------------------------------------------------------------------


def create(workflow: Workflow | None, event: WorkflowCreated) -> list[Event]:
    if workflow is not None:
        raise Refusal(
            "workflow_exists",
            f"There already is a workflow {workflow.workflow_id}; choose another id.",
            workflow_id=workflow.workflow_id,
        )
    _require_size(event.workflow_id, 0, size_of(event.context))
    return [event]


def add_task(workflow: Workflow, event: WorkflowTaskAdded) -> list[Event]:
    _require(workflow, OPEN, "given another task")
    if event.task_id in (*workflow.tasks, *workflow.pending, *workflow.satisfied):
        raise Refusal(
            "task_id_taken",
            f"Workflow {workflow.workflow_id} has a task or a dependency named {event.task_id} already; "
            "choose another id.",
            workflow_id=workflow.workflow_id,
            task_id=event.task_id,
        )
    for task_id in event.requires:
        if task_id not in workflow.tasks:
            raise Refusal(
                "required_task_unknown",
                f"Workflow {workflow.workflow_id} has no task {task_id}; add it before the task that requires it.",
                workflow_id=workflow.workflow_id,
                task_id=task_id,
            )
    for name in event.awaits:
        if name not in workflow.pending and name not in workflow.satisfied:
            raise Refusal(
                "dependency_unknown",
                f"Workflow {workflow.workflow_id} has no dependency {name}; name it when creating the workflow.",
                workflow_id=workflow.workflow_id,
                dependency=name,
            )
    if len(workflow.tasks) >= MOST_TASKS:
        raise Refusal(
            "too_many_tasks",
            f"Workflow {workflow.workflow_id} has {MOST_TASKS:,} tasks, and may have no more; "
            "add further ones to another workflow.",
            workflow_id=workflow.workflow_id,
            limit=MOST_TASKS,
        )
    _require_size(
        workflow.workflow_id,
        workflow.size,
        size_of(event.task_id, event.definition_id, event.requires, event.awaits, event.inputs),
    )
    return [event]


def _require_size(workflow_id: str, size: int, more: int) -> None:
    """What makes it no larger is never refused, however large it is."""
    if more > 0 and size + more > LARGEST_WORKFLOW:
        raise Refusal(
            "workflow_too_large",
            f"Workflow {workflow_id} would hold {size + more:,} bytes (its context, and inputs and outputs of "
            f"its tasks) and may hold {LARGEST_WORKFLOW:,}; keep what is large elsewhere, and tell where.",
            workflow_id=workflow_id,
            bytes=size + more,
            limit=LARGEST_WORKFLOW,
        )


def requirements_met(workflow: Workflow, requires: tuple[str, ...], awaits: tuple[str, ...]) -> list[str]:
    """Which of a task's requirements are met at this moment."""
    done = [task_id for task_id in requires if workflow.tasks[task_id].state == "completed"]
    return done + [name for name in awaits if name in workflow.satisfied]


def waiting_for(workflow: Workflow, requirement: str) -> list[str]:
    """The tasks, not completed or cancelled, that name a task or a dependency as required."""
    return [
        task_id
        for task_id, view in workflow.tasks.items()
        if (requirement in view.requires or requirement in view.awaits) and view.state not in ("completed", "cancelled")
    ]


def change_task(workflow: Workflow, event: WorkflowTaskChanged) -> list[Event]:
    """Note what became of a task; nothing if the document would not show it."""
    view = workflow.tasks[event.task_id]
    after = _changed(view, event)
    if after == view and same_json(after.outputs, view.outputs):
        return []
    if after.state != view.state:
        _require(workflow, ALL - {"completed"}, f"given another state of task {event.task_id}")
    if event.outputs is not None:
        _require_size(workflow.workflow_id, workflow.size, size_of(after.outputs) - size_of(view.outputs))
    return [event]


def schedule(workflow: Workflow, start_at: datetime | None, completion: datetime | None, at: datetime) -> list[Event]:
    if workflow.state == "scheduled" and (start_at, completion or workflow.scheduled_completion) == (
        workflow.start_at,
        workflow.scheduled_completion,
    ):
        return []
    _require(workflow, {"created", "scheduled"}, "scheduled")
    _require_order(workflow, start_at, completion or workflow.scheduled_completion)
    return [WorkflowScheduled(at=at, start_at=start_at, scheduled_completion=completion)]


def _require_order(workflow: Workflow, start_at: datetime | None, completion: datetime | None) -> None:
    if start_at is not None and completion is not None and completion < start_at:
        raise Refusal(
            "schedule_times",
            f"Workflow {workflow.workflow_id} would start at {iso(start_at)} and be completed by "
            f"{iso(completion)}; name a completion that is not before the start.",
            workflow_id=workflow.workflow_id,
            start_at=iso(start_at),
            scheduled_completion=iso(completion),
        )


def start(workflow: Workflow, at: datetime) -> list[Event]:
    if workflow.state == "running":
        return []
    _require(workflow, {"created", "scheduled"}, "started")
    return [WorkflowStarted(at=at)]


def pause(workflow: Workflow, reason: str | None, at: datetime) -> list[Event]:
    if workflow.state == "paused":
        return []
    _require(workflow, {"running"}, "paused")
    return [WorkflowPaused(at=at, reason=reason)]


def resume(workflow: Workflow, at: datetime) -> list[Event]:
    if workflow.state == "running":
        return []
    _require(workflow, {"paused"}, "resumed")
    return [WorkflowResumed(at=at)]


def satisfy_dependency(workflow: Workflow, dependency: str, at: datetime) -> list[Event]:
    if dependency in workflow.satisfied:
        return []
    _require(workflow, OPEN, "told that a dependency is satisfied")
    if dependency not in workflow.pending:
        raise Refusal(
            "dependency_unknown",
            f"Workflow {workflow.workflow_id} waits for no dependency {dependency}; "
            f"it waits for {', '.join(workflow.pending) or 'none'}.",
            workflow_id=workflow.workflow_id,
            dependency=dependency,
            pending=list(workflow.pending),
        )
    return [WorkflowDependencySatisfied(at=at, dependency=dependency)]


def amend(workflow: Workflow, context: JsonObject, scheduled_completion: datetime | None, at: datetime) -> list[Event]:
    """`context` holds the keys to set; null removes one."""
    _require(workflow, OPEN, "amended")
    known = workflow.context
    changes = {
        key: value
        for key, value in context.items()
        if (key in known if value is None else key not in known or not same_json(known[key], value))
    }
    completion = scheduled_completion if scheduled_completion != workflow.scheduled_completion else None
    if not changes and completion is None:
        return []
    if workflow.started_at is None:
        # Once it was started, when it was to start binds nobody.
        _require_order(workflow, workflow.start_at, completion)
    if changes:
        _require_size(workflow.workflow_id, workflow.size, size_of(_amended(known, changes)) - size_of(known))
    return [WorkflowAmended(at=at, context=changes, scheduled_completion=completion)]


def complete(workflow: Workflow, at: datetime) -> list[Event]:
    if workflow.state == "completed":
        return []
    _require(workflow, {"running"}, "completed")
    if workflow.open_tasks:
        raise Refusal(
            "tasks_open",
            f"Workflow {workflow.workflow_id} has {workflow.open_tasks} open tasks; end them first.",
            workflow_id=workflow.workflow_id,
            open_tasks=workflow.open_tasks,
        )
    if workflow.pending:
        raise Refusal(
            "dependencies_pending",
            f"Workflow {workflow.workflow_id} waits for {', '.join(workflow.pending)}; satisfy it first.",
            workflow_id=workflow.workflow_id,
            pending=list(workflow.pending),
        )
    if workflow.failed_tasks and workflow.on_task_failure == "fail":
        raise Refusal(
            "tasks_failed",
            f"Workflow {workflow.workflow_id} has {workflow.failed_tasks} failed tasks; retry or cancel them first.",
            workflow_id=workflow.workflow_id,
            failed_tasks=workflow.failed_tasks,
        )
    return [WorkflowCompleted(at=at)]


def settle(workflow: Workflow, at: datetime) -> list[Event]:
    """What follows by itself once a task has moved: automatic completion, if nothing stands against it."""
    ready = (
        workflow.state == "running"
        and workflow.completion == "automatic"
        and not workflow.unsettled
        and not workflow.pending
        and workflow.count("completed") > 0
        and not (workflow.failed_tasks and workflow.on_task_failure == "fail")
    )
    return [WorkflowCompleted(at=at)] if ready else []


def fail(workflow: Workflow, error: str, task_id: str | None, at: datetime) -> list[Event]:
    if workflow.state == "failed":
        return []
    _require(workflow, OPEN, "failed")
    return [WorkflowFailed(at=at, error=error, task_id=task_id)]


def require_overlong(workflow: Workflow, longest: float, at: datetime) -> None:
    """Refuse what was asked for because a workflow takes too long, if it does not or not any more."""
    began = workflow.limited_from if workflow.state in ACTIVE else None
    if began is None or at < began + timedelta(seconds=longest):
        counts = f"its time counts from {iso(began)}" if began is not None else f"it is {workflow.state}"
        raise Refusal(
            "workflow_within_limit",
            f"Workflow {workflow.workflow_id} has not been active for {longest:g} seconds, {counts}; let it go on.",
            workflow_id=workflow.workflow_id,
            state=workflow.state,
            longer_than=longest,
            active_since=iso(began) if began is not None else None,
        )


def retry(workflow: Workflow, at: datetime) -> list[Event]:
    _require(workflow, {"failed"}, "retried")
    if workflow.retry_count >= workflow.max_retries:
        raise Refusal(
            "retries_used_up",
            f"Workflow {workflow.workflow_id} has used its {workflow.max_retries} retries; "
            "roll it back, or create another.",
            workflow_id=workflow.workflow_id,
            max_retries=workflow.max_retries,
        )
    return [WorkflowRetried(at=at, retry=workflow.retry_count + 1)]


def cancel(workflow: Workflow, reason: str, at: datetime) -> list[Event]:
    if workflow.state == "cancelled":
        return []
    _require(workflow, OPEN, "cancelled")
    return [WorkflowCancelled(at=at, reason=reason)]


def require_open(workflow: Workflow, what: str) -> None:
    """A task of an ended workflow is left as it is."""
    _require(workflow, OPEN, what)


def require_running(workflow: Workflow, what: str) -> None:
    _require(workflow, {"running"}, what)


def _require(workflow: Workflow, states: frozenset[WorkflowState] | set[WorkflowState], what: str) -> None:
    if workflow.state not in states:
        raise Refusal(
            "workflow_state",
            f"Workflow {workflow.workflow_id} is {workflow.state} and can't be {what}; "
            f"it must be {' or '.join(sorted(states))}.",
            workflow_id=workflow.workflow_id,
            state=workflow.state,
            allowed=sorted(states),
        )
