"""What holds of the aggregates, and between them, after every command, whatever commands came in whatever order.

Kept apart from the decisions, which see to it one step at a time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import reduce
from typing import Any

from domain.agent import Agent
from domain.pool import KINDS, Pool
from domain.task import HOLDING, OPEN, Task
from domain.values import EXACT, parse_quantity, same_json
from domain.workflow import TaskView, Workflow

States = Mapping[str, Any]
"""All aggregates by their streams."""


def broken(states: States, touched: Iterable[str]) -> Iterator[str]:
    """What does not hold of these streams and of what they have to do with, each in a sentence.

    A command can break nothing that none of its streams takes part in, so those it wrote to are enough.
    """
    for stream_id in touched:
        state = states[stream_id]
        match state:
            case Task():
                found = _task(states, state)
            case Workflow():
                found = _workflow(states, state)
            case Agent():
                found = _agent(states, state)
            case Pool():
                found = _pool(states, state)
            case _:
                continue
        for holds, what in found:
            if not holds:
                yield f"{stream_id}: {what}."


Checks = Iterator[tuple[bool, str]]


def _task(states: States, task: Task) -> Checks:
    held = (task.pool_id, task.reservation_id, task.allocated, task.deadline)
    yield 1 <= task.attempt <= task.max_attempts, f"attempt {task.attempt} of {task.max_attempts}"
    yield 0 <= task.percentage <= 100, f"its progress is {task.percentage}"
    yield len(set(task.phases_completed)) == len(task.phases_completed), "a phase is completed twice"
    yield len(set(task.satisfied)) == len(task.satisfied), "what it waits for is satisfied twice"
    yield (task.agent_id is None) == (task.assigned_at is None), "an agent without the time of its assignment"
    if task.state in ("created", "scheduled"):
        nothing = (task.agent_id, task.started_at, task.ended_at) == (None, None, None)
        yield nothing, f"it is {task.state} and has an agent, a start or an end"
    if task.state in HOLDING:
        yield task.agent_id is not None and task.ended_at is None, f"it is {task.state} without an agent, or has ended"
    else:
        yield held == (None, None, None, None), f"it is {task.state} and holds resources"
    if task.state == "assigned":
        yield task.started_at is None, "it was started, and is only assigned"
    if task.state == "running":
        yield task.started_at is not None, "it runs and was not started"
        yield not task.blocked_by, "it runs and waits for something"
    yield task.state in OPEN or task.ended_at is not None, f"it is {task.state} and has no end"
    workflow = states.get(f"workflow-{task.workflow_id}")
    yield isinstance(workflow, Workflow) and task.task_id in workflow.tasks, "its workflow does not know it"
    if isinstance(workflow, Workflow) and task.task_id in workflow.tasks:
        yield from _view(task, workflow.tasks[task.task_id], workflow)
    yield from _place(states, task)


def _view(task: Task, view: TaskView, workflow: Workflow) -> Checks:
    """The workflow's document and the task's own tell one story."""
    told = (
        (view.state, task.state),
        (view.assigned_agent, task.agent_id),
        (view.start_time, task.started_at),
        (view.end_time, task.ended_at),
        (view.definition_id, task.definition_id),
        (view.requires, task.requires),
        (view.awaits, task.awaits),
        (view.attempts_left, task.attempts_left),
        (view.error, task.last_error if task.state in ("failed", "timed_out") else None),
    )
    for its, own in told:
        yield its == own, f"its workflow says {its!r} of {task.task_id}, and it {own!r}"
    for given, kept in ((view.inputs, task.inputs), (view.outputs, task.outputs)):
        yield same_json(given, kept), f"its workflow says {given} of {task.task_id}, and it {kept}"
    strangers = sorted(set(view.requires) - workflow.tasks.keys())
    yield not strangers, f"{task.task_id} requires {strangers}, of which its workflow knows nothing"
    if view.state != "cancelled":
        done = {one for one in view.requires if one in workflow.tasks and workflow.tasks[one].state == "completed"}
        met = (done | set(workflow.satisfied)) & {*view.requires, *view.awaits}
        yield (
            set(task.satisfied) == met,
            f"{task.task_id} waited for {sorted(task.satisfied)}, and not for {sorted(met)}",
        )


def _place(states: States, task: Task) -> Checks:
    """A busy task has one slot, at its agent; its reservation is active as long as it holds it."""
    agent = states.get(f"agent-{task.agent_id}") if task.agent_id is not None else None
    if task.state in HOLDING:
        slot = agent.slots.get(task.task_id) if isinstance(agent, Agent) else None
        yield slot is not None, "it is in an agent's hands that has no slot for it"
        if slot is not None and isinstance(agent, Agent):
            yield (slot.workflow_id, slot.priority) == (task.workflow_id, task.priority), "its slot is another task's"
            began = slot.started_at == task.started_at
            yield began, f"its slot began at {slot.started_at}, and it at {task.started_at}"
            yield slot.estimated_completion == task.estimated_completion, "its slot expects another end"
            yield set(task.capabilities) <= set(agent.capabilities), "its agent can't do it"
    elif isinstance(agent, Agent):
        yield task.task_id not in agent.slots, f"it is {task.state}, and its agent has a slot for it"
    if task.reservation_id is not None:
        pool = states.get(f"pool-{task.pool_id}")
        reservation = pool.reservations.get(task.reservation_id) if isinstance(pool, Pool) else None
        yield reservation is not None, "its reservation is not active"
        if reservation is not None:
            whose = (reservation.task_id, reservation.agent_id) == (task.task_id, task.agent_id)
            yield whose, "its reservation is another's"
            same = reservation.resources == task.allocated == task.resource_requirements
            yield same, "its reservation is of other resources"


def _workflow(states: States, workflow: Workflow) -> Checks:
    views = workflow.tasks
    state = workflow.state
    for task_id in views:
        yield isinstance(states.get(f"task-{task_id}"), Task), f"there is no task {task_id}"
    yield +Counter(workflow.counts) == Counter(view.state for view in views.values()), "its counts are not its tasks'"
    yield workflow.unsettled == sum(not view.settled for view in views.values()), "unsettled tasks are miscounted"
    yield not set(workflow.satisfied) & set(workflow.pending), "something is both satisfied and pending"
    yield workflow.retry_count <= workflow.max_retries, f"retry {workflow.retry_count} of {workflow.max_retries}"
    ended = state in ("completed", "failed", "cancelled")
    yield (workflow.ended_at is not None) == ended, f"it is {state}, and its end is {workflow.ended_at}"
    yield (workflow.error is not None) == (state == "failed"), f"it is {state}, and its error is {workflow.error!r}"
    if state in ("running", "paused"):
        yield workflow.started_at is not None, f"it is {state} and was not started"
    if state in ("created", "scheduled"):
        yield workflow.started_at is None, f"it is {state} and was started"
        begun = workflow.count(*HOLDING, "completed", "failed", "timed_out")
        yield not begun, f"it is {state}, and {begun} of its tasks have begun"
    if state in ("completed", "cancelled"):
        yield workflow.open_tasks == 0, f"it is {state}, and tasks of it are open"
    if state == "failed":
        yield workflow.count(*HOLDING) == 0, "it failed, and tasks are in agents' hands"
    if state == "completed":
        yield not workflow.pending, "it is completed, and something is pending"
        lenient = workflow.on_task_failure == "continue" or not workflow.failed_tasks
        yield lenient, "it is completed with tasks that failed"
    exhausted = any(one.state in ("failed", "timed_out") and one.attempts_left <= 0 for one in views.values())
    if workflow.on_task_failure == "fail" and exhausted:
        yield state == "failed", f"a task of it failed for good, and it is {state}"
    for task_id in views:
        task = states.get(f"task-{task_id}")
        if isinstance(task, Task):
            yield task.workflow_id == workflow.workflow_id, f"{task_id} is another workflow's"
            yield from _view(task, views[task_id], workflow)


def _agent(states: States, agent: Agent) -> Checks:
    slots = len(agent.slots)
    yield slots <= agent.max_concurrent_tasks, f"{slots} of {agent.max_concurrent_tasks} slots are taken"
    yield agent.timed <= agent.completed, "more completions were timed than there were"
    yield agent.execution_time >= 0, f"its execution time is {agent.execution_time}"
    if agent.state in ("offline", "deregistered", "registered"):
        yield not agent.slots, f"it is {agent.state} and has {slots} tasks"
    for task_id in agent.slots:
        task = states.get(f"task-{task_id}")
        busy = isinstance(task, Task) and task.state in HOLDING and task.agent_id == agent.agent_id
        yield busy, f"a slot is taken for {task_id}, which is not in its hands"


def _pool(states: States, pool: Pool) -> Checks:
    for kind in KINDS:
        held = [parse_quantity(one.resources[kind]) for one in pool.reservations.values() if kind in one.resources]
        total = reduce(EXACT.add, held, Decimal(0))
        yield pool.allocated[kind] == total, f"{pool.allocated[kind]} of {kind} is allocated, and {total} reserved"
        yield pool.allocated[kind] <= pool.limit(kind), f"{pool.allocated[kind]} of {kind} is beyond the limit"
    for reservation_id, reservation in pool.reservations.items():
        if reservation.task_id is not None:
            task = states.get(f"task-{reservation.task_id}")
            held_by = isinstance(task, Task) and (task.pool_id, task.reservation_id) == (pool.pool_id, reservation_id)
            yield held_by, f"reservation {reservation_id} is of task {reservation.task_id}, which does not hold it"
