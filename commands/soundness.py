"""What holds of a workflow and its tasks after every command: for what comes from elsewhere than a command.

The decisions see to all of it by themselves, one step at a time. Where steps come from outside, some may be missing,
and what a rollback restored is no step at all.
"""

from collections.abc import Iterable

from domain.errors import Refusal
from domain.task import HOLDING, OPEN, Task
from domain.workflow import OPEN as OPEN_WORKFLOW
from domain.workflow import TaskView, Workflow, settle


def require_sound(workflow: Workflow, tasks: Iterable[Task]) -> None:
    """Of a workflow as a whole, and these of its tasks. Raises Refusal."""
    for sound in (_state(workflow), _tasks_fit_state(workflow)):
        if not sound:
            raise _unsound(f"workflow {workflow.workflow_id}")
    for task in tasks:
        view = workflow.tasks.get(task.task_id)
        if view != _view_of(task) or not _task(task) or not _fits(workflow, task):
            raise _unsound(f"task {task.task_id}")


def _state(workflow: Workflow) -> bool:
    has_ended = workflow.state not in OPEN_WORKFLOW
    return (
        (workflow.ended_at is not None) == has_ended
        and (workflow.error is not None) == (workflow.state == "failed")
        and (workflow.started_at is not None or workflow.state not in ("running", "paused"))
        and workflow.retry_count <= workflow.max_retries
        and not set(workflow.satisfied) & set(workflow.pending)
    )


def _tasks_fit_state(workflow: Workflow) -> bool:
    match workflow.state:
        case "created" | "scheduled":
            return not workflow.count(*HOLDING, "completed", "failed", "timed_out")
        case "completed":
            failed = workflow.failed_tasks and workflow.on_task_failure == "fail"
            return not (workflow.open_tasks or workflow.pending or failed)
        case "cancelled":
            return not workflow.open_tasks
        case "failed":
            return not workflow.count(*HOLDING)
        case "running":
            return not settle(workflow, workflow.updated_at)
        case _:
            return True


def _task(task: Task) -> bool:
    held = (task.pool_id, task.reservation_id, task.allocated, task.deadline)
    return (
        1 <= task.attempt <= task.max_attempts
        and 0 <= task.percentage <= 100
        and (task.agent_id is None) == (task.assigned_at is None)
        and (task.agent_id is not None or task.state not in HOLDING)
        and (task.state not in ("created", "scheduled") or task.agent_id is None)
        and (task.state in HOLDING or held == (None, None, None, None))
        and (task.state in OPEN) == (task.ended_at is None)
        and (task.state != "running" or (task.started_at is not None and not task.blocked_by))
    )


def _fits(workflow: Workflow, task: Task) -> bool:
    """A task knows what is there of what it requires, and a failed one that can't be retried fails its workflow."""
    view = workflow.tasks[task.task_id]
    if view.state not in ("completed", "cancelled"):
        if not set(task.requires) <= workflow.tasks.keys():
            return False
        done = {name for name in task.requires if workflow.tasks[name].state == "completed"}
        if set(task.satisfied) != done | {name for name in task.awaits if name in workflow.satisfied}:
            return False
    is_exhausted = view.state in ("failed", "timed_out") and view.attempts_left <= 0
    return not is_exhausted or workflow.on_task_failure == "continue" or workflow.state == "failed"


def _view_of(task: Task) -> TaskView:
    return TaskView(
        definition_id=task.definition_id,
        state=task.state,
        assigned_agent=task.agent_id,
        start_time=task.started_at,
        end_time=task.ended_at,
        requires=task.requires,
        awaits=task.awaits,
        inputs=task.inputs,
        outputs=task.outputs,
        error=task.last_error if task.state in ("failed", "timed_out") else None,
        attempts_left=task.attempts_left,
    )


def _unsound(what: str) -> Refusal:
    return Refusal(
        "recorded_otherwise",
        f"What is told of {what} can't be all that was recorded; check that the log is as dora-state exported it.",
        what=what,
    )
