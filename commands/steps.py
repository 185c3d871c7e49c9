"""The steps that several commands share, each touching more than one aggregate.

What a step records on a task it also notes on the task's workflow, so that the two never tell different
stories; what a task held is freed in the same append that ends it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from commands.work import Key, Work
from domain import agent as agents
from domain import pool as pools
from domain import task as tasks
from domain import workflow as workflows
from domain.agent import AGENT, SlotOutcome
from domain.aggregate import Event
from domain.pool import POOL
from domain.system import SYSTEM, SYSTEM_ID, System
from domain.task import TASK, Task, TaskCreated
from domain.values import same_json
from domain.workflow import WORKFLOW, Workflow, WorkflowTaskAdded, WorkflowTaskChanged


def system_of(work: Work) -> System | None:
    return work.find(SYSTEM, SYSTEM_ID)


def add_task(work: Work, created: TaskCreated) -> None:
    """A new task in its workflow, told at once which of its requirements are met already."""
    workflow = work.get(WORKFLOW, created.workflow_id)
    added = WorkflowTaskAdded(
        at=work.now,
        task_id=created.task_id,
        definition_id=created.definition_id,
        requires=created.requires,
        awaits=created.awaits,
        inputs=created.inputs,
        attempts_left=created.max_attempts - 1,
    )
    events = workflows.add_task(workflow, added)
    work.record(TASK, created.task_id, tasks.create(work.find(TASK, created.task_id), created))
    work.record(WORKFLOW, created.workflow_id, events)
    for requirement in workflows.requirements_met(workflow, created.requires, created.awaits):
        task = work.get(TASK, created.task_id)
        work.record(TASK, created.task_id, tasks.meet_requirement(task, requirement, work.now))


def record_on_task(work: Work, task_id: str, events: list[Event]) -> None:
    """Record what was decided on a task, and note in its workflow what its document shows of it."""
    if not events:
        return
    outputs_before = work.get(TASK, task_id).outputs
    work.record(TASK, task_id, events)
    note_on_workflow(work, work.get(TASK, task_id), outputs_before)


def note_on_workflow(work: Work, task: Task, outputs_before: Mapping[str, object]) -> None:
    workflow = work.get(WORKFLOW, task.workflow_id)
    change = WorkflowTaskChanged(
        at=work.now,
        task_id=task.task_id,
        state=task.state,
        assigned_agent=task.agent_id,
        start_time=task.started_at,
        end_time=task.ended_at,
        outputs=None if same_json(task.outputs, outputs_before) else task.outputs,
        error=task.last_error if task.state in ("failed", "timed_out") else None,
        attempts_left=task.attempts_left,
    )
    work.record(WORKFLOW, task.workflow_id, workflows.change_task(workflow, change))


def free_holdings(work: Work, task: Task, outcome: SlotOutcome, measured: bool = True) -> None:
    """Give back the slot of a task that is assigned or running, and its reservation, unless that has expired.

    `measured` is false where nobody saw how long the task took, so that it spoils no average.
    """
    if task.state not in tasks.HOLDING or task.agent_id is None:
        return
    seconds = None
    if outcome == "completed" and measured and task.started_at is not None:
        # Clocks of two processes may differ: nothing takes less than no time.
        seconds = max(0.0, (work.now - task.started_at).total_seconds())
    agent = work.get(AGENT, task.agent_id)
    work.record(AGENT, task.agent_id, agents.free_slot(agent, task.task_id, outcome, seconds, work.now))
    if task.pool_id and task.reservation_id:
        pool = work.get(POOL, task.pool_id)
        reason = f"task {outcome.replace('_', ' ')}"
        work.record(POOL, task.pool_id, pools.release(pool, task.reservation_id, reason, work.now))


def end_task(work: Work, task_id: str, events: list[Event]) -> None:
    """Record a task's end with all that follows: what it held, who waited for it, its workflow."""
    if not events:
        return
    task = work.get(TASK, task_id)
    ended = TASK.evolve(task.copy(), events[-1])
    outcome: SlotOutcome = ended.state  # type: ignore[assignment]  # an end state, and those are outcomes
    free_holdings(work, task, outcome)
    workflow_id = task.workflow_id
    record_on_task(work, task_id, events)
    if outcome == "completed":
        meet_requirement(work, workflow_id, task_id)
    follow_up(work, workflow_id, work.get(TASK, task_id))


def release_task(work: Work, task_id: str, reason: str) -> None:
    """Take an assigned task from its agent; it waits for another assignment."""
    task = work.get(TASK, task_id)
    free_holdings(work, task, "unassigned")
    record_on_task(work, task_id, tasks.unassign(task, reason, work.now))


def meet_requirement(work: Work, workflow_id: str, requirement: str) -> None:
    """Tell the tasks that wait for a task or a dependency that it is there."""
    waiting = workflows.waiting_for(work.get(WORKFLOW, workflow_id), requirement)
    work.fetch(Key.of(TASK, task_id) for task_id in waiting)
    for task_id in waiting:
        task = work.get(TASK, task_id)
        work.record(TASK, task_id, tasks.meet_requirement(task, requirement, work.now))


def follow_up(work: Work, workflow_id: str, task: Task) -> None:
    """What a task's end means for its workflow: failure, completion, or nothing."""
    workflow = work.get(WORKFLOW, workflow_id)
    exhausted = task.state in ("failed", "timed_out") and task.attempts_left <= 0
    if exhausted and workflow.on_task_failure == "fail" and workflow.state in workflows.OPEN:
        fail_workflow(work, workflow, f"task {task.task_id} failed: {task.last_error}", task.task_id)
    else:
        work.record(WORKFLOW, workflow_id, workflows.settle(workflow, work.now))


def fail_workflow(work: Work, workflow: Workflow, error: str, task_id: str | None) -> None:
    """A failed workflow keeps nothing busy: running tasks fail with it, assigned ones are freed."""
    workflow_id = workflow.workflow_id
    work.record(WORKFLOW, workflow_id, workflows.fail(workflow, error[:10_000], task_id, work.now))
    stop_tasks(work, workflow_id, "workflow failed")


def stop_tasks(work: Work, workflow_id: str, reason: str) -> None:
    busy = [
        (task_id, view.state)
        for task_id, view in work.get(WORKFLOW, workflow_id).tasks.items()
        if view.state in tasks.HOLDING
    ]
    fetch_tasks(work, [task_id for task_id, _ in busy])
    for task_id, state in busy:
        if state == "running":
            end_task(work, task_id, tasks.fail(work.get(TASK, task_id), reason, work.now))
        else:
            release_task(work, task_id, reason)


def cancel_tasks(work: Work, workflow_id: str, reason: str) -> None:
    """Cancel all that is open, or waits for a retry that will not come."""
    left = [
        task_id
        for task_id, view in work.get(WORKFLOW, workflow_id).tasks.items()
        if view.state in tasks.OPEN or not view.settled
    ]
    fetch_tasks(work, left)
    for task_id in left:
        task = work.get(TASK, task_id)
        free_holdings(work, task, "cancelled")
        record_on_task(work, task_id, tasks.cancel(task, reason, work.now))


def fetch_tasks(work: Work, task_ids: list[str]) -> None:
    """Load tasks with all that they hold, in two round trips."""
    work.fetch(Key.of(TASK, task_id) for task_id in task_ids)
    held: list[Key[Any]] = []
    for task_id in task_ids:
        task = work.get(TASK, task_id)
        if task.agent_id is not None:
            held.append(Key.of(AGENT, task.agent_id))
        if task.pool_id is not None:
            held.append(Key.of(POOL, task.pool_id))
    work.fetch(held)


def take_holdings(
    work: Work,
    task: Task,
    agent_id: str,
    *,
    pool_id: str | None,
    expires_at: datetime | None = None,
    started_at: datetime | None = None,
    estimated_completion: datetime | None = None,
) -> tuple[str | None, dict[Any, str] | None]:
    """Take an agent's slot and, from a pool, what the task requires; gives the reservation and its resources."""
    slot = agents.AgentSlotTaken(
        at=work.now,
        task_id=task.task_id,
        workflow_id=task.workflow_id,
        priority=task.priority,
        started_at=started_at,
        estimated_completion=estimated_completion,
    )
    work.record(AGENT, agent_id, agents.take_slot(work.get(AGENT, agent_id), task.capabilities, slot))
    if pool_id is None:
        return None, None
    pool = work.get(POOL, pool_id)
    if not task.resource_requirements:
        return None, None
    reservation = pools.ResourcesReserved(
        at=work.now,
        reservation_id=work.reservation_id(),
        resources=task.resource_requirements,
        task_id=task.task_id,
        agent_id=agent_id,
        expires_at=expires_at,
    )
    work.record(POOL, pool_id, pools.reserve(pool, reservation))
    return reservation.reservation_id, dict(task.resource_requirements)


def restored_workflow(target: Workflow, workflow: Workflow, now: datetime) -> Workflow:
    """The earlier workflow; tasks that it did not have yet stay in its document, as cancelled."""
    views = dict(target.tasks)
    for task_id, view in workflow.tasks.items():
        if task_id not in views:
            ended = view.end_time if view.state not in tasks.OPEN else now
            views[task_id] = replace(view, state="cancelled", end_time=ended, error=None)
    return workflows.with_tasks(target, views)
