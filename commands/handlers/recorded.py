"""What our own export says was recorded of a workflow and its tasks by one command, recorded again.

Agents take slots and give them back as the tasks say. Pools are not in a trace.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from commands.handlers.importing import register_agent
from commands.messages.importing import ImportRecorded
from commands.recorded_traces import RecordedEvent
from commands.redeciding import redecide_task, redecide_workflow
from commands.soundness import require_sound
from commands.steps import free_holdings, take_holdings
from commands.work import Key, Work
from domain import agent as agents
from domain import task as tasks
from domain import workflow as workflows
from domain.agent import AGENT, SlotOutcome
from domain.aggregate import Event
from domain.errors import Refusal
from domain.log import Cut
from domain.task import HOLDING, TASK, Task
from domain.workflow import WORKFLOW, Workflow

CLOCKS_APART = timedelta(hours=1)
"""So much at most the clock of who decided may have been ahead of the log's."""
_OUTCOMES: dict[type[Event], SlotOutcome] = {
    tasks.TaskCompleted: "completed",
    tasks.TaskFailed: "failed",
    tasks.TaskTimedOut: "timed_out",
    tasks.TaskCancelled: "cancelled",
    tasks.TaskUnassigned: "unassigned",
}


def import_recorded(work: Work, command: ImportRecorded) -> None:
    """Refused as a whole where one of its events can't have been recorded."""
    _require_plausible(work, command)
    _fetch(work, command)
    for agent_id, profile in command.registers.items():
        register_agent(work, agent_id, profile)
    _free_for_rollback(work, command.events)
    started: set[str] = set()
    for told in command.events:
        if told.task_id is None:
            workflow = work.find(WORKFLOW, command.workflow_id)
            event = redecide_workflow(workflow, told.event, partial(_past, work, command.workflow_id))
            work.record(WORKFLOW, command.workflow_id, [event])
        else:
            _task_event(work, command.workflow_id, told.task_id, told.event, started)
    require_sound(work.get(WORKFLOW, command.workflow_id), _touched(work, command))


def _past(work: Work, workflow_id: str, version: int) -> Workflow | None:
    """The workflow at a version that it had before this command, None: it never was."""
    if not 1 <= version <= work.reads[WORKFLOW.stream_id(workflow_id)]:
        return None
    return work.past(WORKFLOW, workflow_id, Cut(version=version)).state


def _require_plausible(work: Work, command: ImportRecorded) -> None:
    """Tasks go back with their workflow only; and nothing was decided long after it was recorded."""
    goes_back = command.looks_back
    for _, event in command.events:
        if (isinstance(event, tasks.TaskRolledBack) and not goes_back) or event.at > work.now + CLOCKS_APART:
            raise Refusal(
                "recorded_otherwise",
                f"{event.type} can't have been recorded there; check that the log is as dora-state exported it.",
                event_type=event.type,
            )


def _fetch(work: Work, command: ImportRecorded) -> None:
    task_ids = dict.fromkeys(told.task_id for told in command.events if told.task_id is not None)
    keys: list[Key[Any]] = [Key.of(WORKFLOW, command.workflow_id), *(Key.of(TASK, task_id) for task_id in task_ids)]
    work.fetch(keys)
    held = [task.agent_id for task_id in task_ids if (task := work.find(TASK, task_id)) is not None and task.agent_id]
    work.fetch(Key.of(AGENT, agent_id) for agent_id in dict.fromkeys([*held, *command.agents]))


def _free_for_rollback(work: Work, events: tuple[RecordedEvent, ...]) -> None:
    """Frees come first, so that a slot can pass from one task to another."""
    for task_id, event in events:
        if task_id is None or not isinstance(event, tasks.TaskRolledBack):
            continue
        task = work.get(TASK, task_id)
        if not _keeps_slot(task, event):
            free_holdings(work, task, "rolled_back")


def _keeps_slot(task: Task, event: tasks.TaskRolledBack) -> bool:
    restored = event.restored
    return restored.get("state") == task.state and restored.get("agent_id") == task.agent_id


def _task_event(work: Work, workflow_id: str, task_id: str, event: Event, started: set[str]) -> None:
    """`started`: the tasks whose start was told by this command too, so that nobody knows how long they took."""
    before = work.find(TASK, task_id)
    of = event.workflow_id if isinstance(event, tasks.TaskCreated) else before.workflow_id if before else None
    if of != workflow_id or (isinstance(event, tasks.TaskCreated) and event.task_id != task_id):
        raise Refusal(
            "recorded_otherwise",
            f"Task {task_id} is none of workflow {workflow_id}; check that the log is as dora-state exported it.",
            task_id=task_id,
            workflow_id=workflow_id,
        )
    event = redecide_task(before, event, work.version(TASK, task_id), work.find(WORKFLOW, workflow_id))
    outcome = _OUTCOMES.get(type(event))
    if before is not None and outcome is not None:
        free_holdings(work, before, outcome, measured=task_id not in started)
    work.record(TASK, task_id, [event])
    after = work.get(TASK, task_id)
    match event:
        case tasks.TaskAssigned():
            take_holdings(work, after, event.agent_id, pool_id=None)
        case tasks.TaskStarted() if after.agent_id is not None:
            started.add(task_id)
            agent = work.get(AGENT, after.agent_id)
            estimate = after.estimated_completion
            work.record(AGENT, after.agent_id, agents.start_task(agent, task_id, estimate, event.at))
        case tasks.TaskProgressed() if after.agent_id is not None:
            agent = work.get(AGENT, after.agent_id)
            estimate = event.estimated_completion
            work.record(AGENT, after.agent_id, agents.estimate_task(agent, task_id, estimate, work.now))
        case tasks.TaskRolledBack() if after.state in HOLDING and after.agent_id is not None:
            take_holdings(
                work,
                after,
                after.agent_id,
                pool_id=None,
                started_at=after.started_at if after.state == "running" else None,
                estimated_completion=after.estimated_completion,
            )


def _touched(work: Work, command: ImportRecorded) -> list[Task]:
    """The tasks of which this may not hold any more what held before: those told of, and those that waited for one."""
    workflow = work.get(WORKFLOW, command.workflow_id)
    found: dict[str, None] = {}
    for task_id, event in command.events:
        match event:
            case workflows.WorkflowRolledBack():
                found |= dict.fromkeys(workflow.tasks)
            case workflows.WorkflowTaskAdded() | workflows.WorkflowTaskChanged():
                found[event.task_id] = None
            case workflows.WorkflowDependencySatisfied():
                found |= dict.fromkeys(workflows.waiting_for(workflow, event.dependency))
            case tasks.TaskCompleted():
                found |= dict.fromkeys(workflows.waiting_for(workflow, task_id or ""))
        if task_id is not None:
            found[task_id] = None
    work.fetch(Key.of(TASK, task_id) for task_id in found)
    return [work.get(TASK, task_id) for task_id in found]
