"""What must hold between the aggregates after every command, whatever commands arrived in whatever order."""

from collections import Counter
from decimal import Decimal

from domain.agent import AGENT, Agent
from domain.pool import KINDS, POOL, Pool
from domain.task import HOLDING, OPEN, TASK, Task
from domain.values import parse_quantity
from domain.workflow import WORKFLOW, Workflow
from tests.support.command_world import World


def check_world(world: World) -> None:
    folded = world.everything()
    tasks: dict[str, Task] = world.of_kind(TASK)
    agents: dict[str, Agent] = world.of_kind(AGENT)
    pools: dict[str, Pool] = world.of_kind(POOL)
    workflows: dict[str, Workflow] = world.of_kind(WORKFLOW)

    for task in tasks.values():
        check_task(task)
        check_view(task, workflows[task.workflow_id])
    for workflow in workflows.values():
        check_workflow(workflow, tasks)
    for agent in agents.values():
        check_agent(agent)
    for pool in pools.values():
        check_pool(pool)
    check_slots(tasks, agents)
    check_reservations(tasks, pools)
    # What the committer has in mind is what is in the log.
    for stream_id, loaded in world.decider._cache.items():
        there = folded.get(stream_id)
        assert (loaded.version, loaded.state) == ((there.version, there.state) if there else (0, None)), stream_id


def check_task(task: Task) -> None:
    assert 1 <= task.attempt <= task.max_attempts
    assert 0 <= task.percentage <= 100
    assert len(set(task.phases_completed)) == len(task.phases_completed)
    assert len(set(task.satisfied)) == len(task.satisfied)
    assert (task.agent_id is None) == (task.assigned_at is None)
    if task.state in ("created", "scheduled"):
        assert (task.agent_id, task.started_at, task.ended_at) == (None, None, None)
    if task.state in HOLDING:
        assert task.agent_id is not None
        assert task.ended_at is None
    else:
        assert (task.pool_id, task.reservation_id, task.allocated, task.deadline) == (None, None, None, None)
    if task.state == "running":
        assert task.started_at is not None
        assert not task.blocked_by
    if task.state not in OPEN:
        assert task.ended_at is not None


def check_view(task: Task, workflow: Workflow) -> None:
    """The workflow's document and the task's own tell one story."""
    view = workflow.tasks[task.task_id]
    assert (view.state, view.assigned_agent) == (task.state, task.agent_id)
    assert (view.start_time, view.end_time) == (task.started_at, task.ended_at)
    assert (view.definition_id, view.inputs, view.outputs) == (task.definition_id, task.inputs, task.outputs)
    assert (view.requires, view.awaits) == (task.requires, task.awaits)
    assert view.attempts_left == task.attempts_left
    assert view.error == (task.last_error if task.state in ("failed", "timed_out") else None)


def check_workflow(workflow: Workflow, tasks: dict[str, Task]) -> None:
    views = workflow.tasks
    assert set(views) == {one.task_id for one in tasks.values() if one.workflow_id == workflow.workflow_id}
    assert +Counter(workflow.counts) == Counter(view.state for view in views.values())
    assert workflow.unsettled == sum(not view.settled for view in views.values())
    assert not set(workflow.satisfied) & set(workflow.pending)
    assert workflow.retry_count <= workflow.max_retries
    assert (workflow.ended_at is not None) == (workflow.state in ("completed", "failed", "cancelled"))
    assert (workflow.error is not None) == (workflow.state == "failed")
    for task_id, view in views.items():
        met = {one for one in view.requires if views[one].state == "completed"} | set(workflow.satisfied)
        if view.state not in ("completed", "cancelled"):
            assert set(tasks[task_id].satisfied) == met & {*view.requires, *view.awaits}
    if workflow.state in ("running", "paused"):
        assert workflow.started_at is not None
    if workflow.state in ("created", "scheduled"):
        assert not workflow.count(*HOLDING, "completed", "failed", "timed_out")
    if workflow.state in ("completed", "cancelled"):
        assert workflow.open_tasks == 0
    if workflow.state == "failed":
        assert workflow.count(*HOLDING) == 0
    if workflow.state == "completed":
        assert not workflow.pending
        assert workflow.on_task_failure == "continue" or not workflow.failed_tasks
    exhausted = [view for view in views.values() if view.state in ("failed", "timed_out") and view.attempts_left <= 0]
    if workflow.on_task_failure == "fail" and exhausted:
        assert workflow.state == "failed"


def check_agent(agent: Agent) -> None:
    assert 0 <= len(agent.slots) <= agent.max_concurrent_tasks
    assert agent.available_slots == agent.max_concurrent_tasks - len(agent.slots)
    assert agent.timed <= agent.completed
    assert agent.execution_time >= 0
    if agent.state in ("offline", "deregistered", "registered"):
        assert not agent.slots


def check_pool(pool: Pool) -> None:
    for kind in KINDS:
        held = [parse_quantity(one.resources[kind]) for one in pool.reservations.values() if kind in one.resources]
        assert pool.allocated[kind] == sum(held, Decimal(0))
        assert 0 <= pool.allocated[kind] <= pool.limit(kind)


def check_slots(tasks: dict[str, Task], agents: dict[str, Agent]) -> None:
    """Every busy task has one slot, at its agent; every slot is a busy task's."""
    slots = {(agent.agent_id, task_id): slot for agent in agents.values() for task_id, slot in agent.slots.items()}
    busy = {(task.agent_id, task.task_id): task for task in tasks.values() if task.state in HOLDING}
    assert slots.keys() == busy.keys()
    for place, slot in slots.items():
        task = busy[place]
        assert (slot.workflow_id, slot.priority) == (task.workflow_id, task.priority)
        assert slot.started_at == (task.started_at if task.state == "running" else None)
        assert slot.estimated_completion == task.estimated_completion
        assert set(task.capabilities) <= set(agents[str(task.agent_id)].capabilities)


def check_reservations(tasks: dict[str, Task], pools: dict[str, Pool]) -> None:
    """A task's reservation is active just as long as the task holds it."""
    active = {
        (pool.pool_id, reservation_id): reservation
        for pool in pools.values()
        for reservation_id, reservation in pool.reservations.items()
        if reservation.task_id is not None
    }
    held = {(task.pool_id, task.reservation_id): task for task in tasks.values() if task.reservation_id is not None}
    assert active.keys() == held.keys()
    for place, reservation in active.items():
        task = held[place]
        assert (reservation.task_id, reservation.agent_id) == (task.task_id, task.agent_id)
        assert reservation.resources == task.allocated == task.resource_requirements
