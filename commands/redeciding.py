"""Whether the aggregates would have decided what is said to have been recorded.

An import of our own export brings events instead of commands. None of them is taken on trust: each is asked of the
decision that gives events of its type, on the state that those before it left, and recorded only if that is what
it decides. What a rollback restored is held against what its workflow was at that version, and like all the rest
against what holds of every state (`soundness`).
"""

from collections.abc import Callable

from commands.steps import restored_workflow
from domain import task as tasks
from domain import workflow as workflows
from domain.aggregate import Event
from domain.errors import Refusal
from domain.task import Task
from domain.workflow import Workflow


def redecide_task(task: Task | None, event: Event, version: int, workflow: Workflow | None) -> Event:
    """The event, if it is what follows on the task at this version. Raises Refusal."""
    if isinstance(event, tasks.TaskCreated):
        return _same(tasks.create(task, event), event)
    if task is None or workflow is None:
        raise _not_so(event)
    at = event.at
    match event:
        case tasks.TaskRequirementMet():
            if event.requirement not in workflows.requirements_met(
                workflow, tuple({event.requirement} & workflow.tasks.keys()), (event.requirement,)
            ):
                raise _not_so(event)
            decided = tasks.meet_requirement(task, event.requirement, at)
        case tasks.TaskScheduled():
            decided = tasks.schedule(task, at)
        case tasks.TaskAssigned():
            workflows.require_running(workflow, "given assigned tasks")
            decided = tasks.assign(task, event)
        case tasks.TaskUnassigned():
            decided = tasks.unassign(task, event.reason, at)
        case tasks.TaskStarted():
            workflows.require_running(workflow, "given started tasks")
            decided = tasks.start(task, event.estimated_completion, _default_limit(event), at)
        case tasks.TaskProgressed():
            decided = tasks.report_progress(task, event)
        case tasks.TaskPhaseCompleted():
            decided = tasks.complete_phase(task, event.phase, at)
        case tasks.TaskOutputsRecorded():
            decided = tasks.record_outputs(task, event.outputs, at)
        case tasks.TaskCompleted():
            decided = tasks.complete(task, event.outputs, at)
        case tasks.TaskFailed():
            decided = tasks.fail(task, event.error, at)
        case tasks.TaskTimedOut(reason="reservation expired"):
            decided = tasks.lose_reservation(task, at)
        case tasks.TaskTimedOut():
            decided = tasks.time_out(task, at)
        case tasks.TaskRetried(attempt=1):
            decided = tasks.renew_attempts(task, at)
        case tasks.TaskRetried():
            decided = tasks.retry(task, at)
        case tasks.TaskCancelled():
            decided = tasks.cancel(task, event.reason, at)
        case tasks.TaskRolledBack():
            decided = [event] if _restores_task(task, event, version) else []
        case _:
            raise _not_so(event)
    return _same(decided, event)


def redecide_workflow(workflow: Workflow | None, event: Event, past: Callable[[int], Workflow | None]) -> Event:
    """The event, if it is what follows. `past` gives the workflow at an earlier version. Raises Refusal."""
    if isinstance(event, workflows.WorkflowCreated):
        return _same(workflows.create(workflow, event), event)
    if workflow is None:
        raise _not_so(event)
    at = event.at
    match event:
        case workflows.WorkflowTaskAdded():
            decided = workflows.add_task(workflow, event)
        case workflows.WorkflowTaskChanged():
            decided = workflows.change_task(workflow, event) if event.task_id in workflow.tasks else []
        case workflows.WorkflowScheduled():
            decided = workflows.schedule(workflow, event.start_at, event.scheduled_completion, at)
        case workflows.WorkflowStarted():
            decided = workflows.start(workflow, at)
        case workflows.WorkflowPaused():
            decided = workflows.pause(workflow, event.reason, at)
        case workflows.WorkflowResumed():
            decided = workflows.resume(workflow, at)
        case workflows.WorkflowDependencySatisfied():
            decided = workflows.satisfy_dependency(workflow, event.dependency, at)
        case workflows.WorkflowAmended():
            decided = workflows.amend(workflow, event.context, event.scheduled_completion, at)
        case workflows.WorkflowCompleted():
            decided = workflows.complete(workflow, at)
        case workflows.WorkflowFailed():
            decided = workflows.fail(workflow, event.error, event.task_id, at)
        case workflows.WorkflowRetried():
            decided = workflows.retry(workflow, at)
        case workflows.WorkflowCancelled():
            decided = workflows.cancel(workflow, event.reason, at)
        case workflows.WorkflowRolledBack():
            target = past(event.to_version)
            restored = None if target is None else workflows.to_json(restored_workflow(target, workflow, at))
            decided = [event] if restored == event.restored else []
        case _:
            raise _not_so(event)
    return _same(decided, event)


def _default_limit(event: tasks.TaskStarted) -> float | None:
    """What the system must have had then, in seconds; it counts for a task that has no limit of its own."""
    if event.deadline is None:
        return None
    if event.deadline < event.at:
        raise _not_so(event)
    return (event.deadline - event.at).total_seconds()


def _restores_task(task: Task, event: tasks.TaskRolledBack, version: int) -> bool:
    """What the workflow shows of it is held against its past; the rest is the same, or no more than it can be."""
    restored = tasks.from_json(event.restored)
    return (
        all(getattr(restored, name) == getattr(task, name) for name in _NEVER_CHANGES)
        and set(restored.satisfied) <= {*task.requires, *task.awaits}
        and (not task.phases or {*restored.phases_completed, *filter(None, [restored.current_phase])} <= {*task.phases})
        and 0 <= restored.retry_count < version  # each took an event
    )


_NEVER_CHANGES = (
    "task_id",
    "workflow_id",
    "definition_id",
    "created_at",
    "requires",
    "awaits",
    "inputs",
    "phases",
    "resource_requirements",
    "time_limit",
    "capabilities",
    "max_attempts",
    "priority",
)


def _same(decided: list[Event], event: Event) -> Event:
    if decided != [event]:
        raise _not_so(event)
    return event


def _not_so(event: Event) -> Refusal:
    return Refusal(
        "recorded_otherwise",
        f"{event.type} can't have been recorded there; check that the log is as dora-state exported it.",
        event_type=event.type,
    )
