"""What each command on a task does."""

from typing import Any

from commands import steps
from commands.messages import task as messages
from commands.work import Key, Work
from domain import agent as agents
from domain import system as systems
from domain import task as tasks
from domain import workflow as workflows
from domain.agent import AGENT
from domain.aggregate import Event
from domain.pool import POOL
from domain.system import SYSTEM, SYSTEM_ID
from domain.task import TASK, TaskAssigned, TaskProgressed
from domain.workflow import WORKFLOW, Workflow


def workflow_of(work: Work, task_id: str) -> Workflow:
    return work.get(WORKFLOW, work.get(TASK, task_id).workflow_id)


def schedule(work: Work, command: messages.ScheduleTask) -> None:
    events = tasks.schedule(work.get(TASK, command.task_id), work.now)
    if events:
        workflows.require_open(workflow_of(work, command.task_id), "given scheduled tasks")
    steps.record_on_task(work, command.task_id, events)


def assign(work: Work, command: messages.AssignTask) -> None:
    """Takes the agent's slot and the reservation together with the assignment, or none of it."""
    keys: list[Key[Any]] = [Key.of(TASK, command.task_id), Key.of(AGENT, command.agent_id)]
    if command.pool_id is not None:
        keys.append(Key.of(POOL, command.pool_id))
    work.fetch(keys)
    task = work.get(TASK, command.task_id)
    assigned = TaskAssigned(at=work.now, agent_id=command.agent_id, reason=command.reason)
    if not tasks.assign(task, assigned):
        return
    workflows.require_running(workflow_of(work, command.task_id), "given assigned tasks")
    reservation_id, allocated = steps.take_holdings(
        work, task, command.agent_id, pool_id=command.pool_id, expires_at=command.reservation_expires_at
    )
    if reservation_id is not None:
        assigned = assigned.model_copy(
            update={"pool_id": command.pool_id, "reservation_id": reservation_id, "allocated": allocated}
        )
    steps.record_on_task(work, command.task_id, [assigned])


def start(work: Work, command: messages.StartTask) -> None:
    task = work.get(TASK, command.task_id)
    work.fetch([Key.of(WORKFLOW, task.workflow_id), Key.of(SYSTEM, SYSTEM_ID)])
    system = steps.system_of(work)
    default_limit = system.default_timeout if system else None
    events = tasks.start(task, command.estimated_completion, default_limit, work.now)
    if not events or task.agent_id is None:
        return
    workflows.require_running(workflow_of(work, command.task_id), "given started tasks")
    systems.require_no_maintenance(system, f"Task {command.task_id}", work.now)
    agent = work.get(AGENT, task.agent_id)
    started = agents.start_task(agent, task.task_id, command.estimated_completion, work.now)
    work.record(AGENT, task.agent_id, started)
    steps.record_on_task(work, command.task_id, events)


def report_progress(work: Work, command: messages.ReportProgress) -> None:
    task = work.get(TASK, command.task_id)
    event = TaskProgressed(
        at=work.now,
        percentage=command.percentage,
        phase=command.phase,
        memory_peak=command.memory_peak,
        cpu_average=command.cpu_average,
        estimated_completion=command.estimated_completion,
        note=command.note,
    )
    events = tasks.report_progress(task, event)
    # The agent's document shows the estimate too; without a new one only the task's stream is touched.
    if events and command.estimated_completion is not None and task.agent_id is not None:
        agent = work.get(AGENT, task.agent_id)
        estimated = agents.estimate_task(agent, task.task_id, command.estimated_completion, work.now)
        work.record(AGENT, task.agent_id, estimated)
    work.record(TASK, command.task_id, events)


def complete_phase(work: Work, command: messages.CompletePhase) -> None:
    task = work.get(TASK, command.task_id)
    work.record(TASK, command.task_id, tasks.complete_phase(task, command.phase, work.now))


def record_outputs(work: Work, command: messages.RecordOutputs) -> None:
    events = tasks.record_outputs(work.get(TASK, command.task_id), command.outputs, work.now)
    steps.record_on_task(work, command.task_id, events)


def complete(work: Work, command: messages.CompleteTask) -> None:
    _end(work, command.task_id, tasks.complete(work.get(TASK, command.task_id), command.outputs, work.now))


def fail(work: Work, command: messages.FailTask) -> None:
    _end(work, command.task_id, tasks.fail(work.get(TASK, command.task_id), command.error, work.now))


def time_out(work: Work, command: messages.TimeOutTask) -> None:
    _end(work, command.task_id, tasks.time_out(work.get(TASK, command.task_id), work.now))


def cancel(work: Work, command: messages.CancelTask) -> None:
    events = tasks.cancel(work.get(TASK, command.task_id), command.reason, work.now)
    if events:
        workflows.require_open(workflow_of(work, command.task_id), "given cancelled tasks")
    _end(work, command.task_id, events)


def retry(work: Work, command: messages.RetryTask) -> None:
    events = tasks.retry(work.get(TASK, command.task_id), work.now)
    workflows.require_open(workflow_of(work, command.task_id), "given tasks to retry")
    steps.record_on_task(work, command.task_id, events)


def _end(work: Work, task_id: str, events: list[Event]) -> None:
    if events:
        task = work.get(TASK, task_id)
        work.fetch([Key.of(WORKFLOW, task.workflow_id)])
        steps.fetch_tasks(work, [task_id])
    steps.end_task(work, task_id, events)
