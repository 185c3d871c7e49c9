"""A house of aggregates as commands left them, in all the states that there are, and ways to make it untrue.

A `Change` touches only what it names: what the others tell of it stays, unless the change is one of `retold`.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

from commands.messages import agent as agents
from commands.messages import pool as pools
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.agent import Slot
from domain.task import HOLDING, Task
from domain.workflow import TaskView, with_tasks
from tests.support.command_world import (
    BEGINNING,
    World,
    add_task,
    assign,
    create_pool,
    create_workflow,
    register_agent,
)

States = dict[str, Any]
Change = Callable[[States], None]


def true_states() -> States:
    """The house by streams, for one test to change. States are replaced in it, and not changed themselves."""
    return dict(_house())


@cache
def _house() -> States:
    world = World()
    world.given(systems.ConfigureSystem(environment="test"))
    _give_agents(world)
    _give_main_workflow(world)
    _give_other_workflows(world)
    return {stream_id: one.state for stream_id, one in world.everything().items()}


def _give_agents(world: World) -> None:
    """`agent` will have all its slots taken; `idle` has had no task, `slow` and `unwell` keep theirs."""
    world.given(
        register_agent("agent", slots=2, capabilities=("read", "write")),
        *(register_agent(name, slots=3) for name in ("idle", "slow", "unwell", "away", "gone")),
        register_agent("new", state="registered"),
        agents.MarkOffline(agent_id="away"),
        agents.DeregisterAgent(agent_id="gone"),
    )


def _give_main_workflow(world: World) -> None:
    """`wf` runs, with a task in each state. The pool lends all that it may, of `cpu`."""
    world.given(
        create_pool("pool", cpu="2", overcommit={"cpu": Decimal(2)}),
        create_workflow("wf", dependencies=("data", "later")),
        workflows.SatisfyDependency(workflow_id="wf", dependency="data"),
        add_task("done", inputs={"a": 1}, phases=("one", "two")),
        add_task("dropped", requires=("done",)),
        add_task(
            "busy",
            requires=("done",),
            awaits=("data",),
            max_attempts=2,
            timeout=60,
            capabilities=("write", "read"),
            resource_requirements={"cpu": "2"},
        ),
        add_task("given", capabilities=("read",), resource_requirements={"cpu": "1"}, priority="high"),
        add_task("next", requires=("done", "busy"), awaits=("later",)),
        add_task("fresh"),
        add_task("tired", max_attempts=2),
        add_task("late", max_attempts=2, timeout=0.5),
        workflows.StartWorkflow(workflow_id="wf"),
        # What is cancelled is not told any more that what it required is done.
        tasks.CancelTask(task_id="dropped", reason="why"),
        *_started("done"),
        tasks.CompleteTask(task_id="done", outputs={"b": 2}),
        *_started("late"),
        tasks.TimeOutTask(task_id="late"),
        *_failed("tired"),
        # A second attempt, which is the last one, of what failed before.
        *_failed("busy"),
        tasks.RetryTask(task_id="busy"),
        assign("busy", pool_id="pool"),
        tasks.StartTask(task_id="busy", estimated_completion=BEGINNING),
        tasks.ReportProgress(task_id="busy", percentage=100),
        tasks.ScheduleTask(task_id="given"),
        assign("given", pool_id="pool"),
        tasks.ScheduleTask(task_id="next"),
        pools.Reserve(pool_id="pool", resources={"cpu": "1"}),
    )


def _give_other_workflows(world: World) -> None:
    """One in each other state, and those that go on although a task of theirs failed for good."""
    world.given(
        create_workflow("created"),
        add_task("of-created", "created"),
        create_workflow("scheduled"),
        add_task("of-scheduled", "scheduled"),
        workflows.ScheduleWorkflow(workflow_id="scheduled"),
        tasks.ScheduleTask(task_id="of-scheduled"),
        create_workflow("paused"),
        add_task("slowly", "paused"),
        add_task("hardly", "paused"),
        workflows.StartWorkflow(workflow_id="paused"),
        *_started("slowly", "slow"),
        *_started("hardly", "unwell"),
        agents.ReportHealth(agent_id="slow", state="degraded"),
        agents.ReportHealth(agent_id="unwell", state="unhealthy"),
        workflows.PauseWorkflow(workflow_id="paused"),
        create_workflow("completed"),
        add_task("of-completed", "completed"),
        workflows.StartWorkflow(workflow_id="completed"),
        *_started("of-completed", "slow"),
        tasks.CompleteTask(task_id="of-completed"),
        create_workflow("cancelled"),
        add_task("of-cancelled", "cancelled"),
        workflows.CancelWorkflow(workflow_id="cancelled", reason="why"),
    )
    # Failed, retried as often as it may be, and failed again, with a task that has not begun.
    world.given(
        create_workflow("failed", max_retries=1),
        add_task("of-failed", "failed"),
        add_task("unbegun", "failed"),
        workflows.StartWorkflow(workflow_id="failed"),
        *_failed("of-failed", "slow"),
        workflows.RetryWorkflow(workflow_id="failed"),
        *_failed("of-failed", "slow")[1:],
    )
    for workflow_id in ("lenient", "over"):
        world.given(
            create_workflow(workflow_id, on_task_failure="continue", completion="explicit"),
            add_task(f"of-{workflow_id}", workflow_id),
            workflows.StartWorkflow(workflow_id=workflow_id),
            *_failed(f"of-{workflow_id}", "slow"),
        )
    world.given(workflows.CompleteWorkflow(workflow_id="over"))


def _started(task_id: str, agent_id: str = "agent") -> list[Any]:
    return [tasks.ScheduleTask(task_id=task_id), assign(task_id, agent_id), tasks.StartTask(task_id=task_id)]


def _failed(task_id: str, agent_id: str = "agent") -> list[Any]:
    return [*_started(task_id, agent_id), tasks.FailTask(task_id=task_id, error="why")]


# --- changes ----------------------------------------------------------------------------------------------


def only(stream_id: str, /, **fields: Any) -> Change:
    """Of one aggregate."""

    def change(states: States) -> None:
        states[stream_id] = replace(states[stream_id], **fields)

    return change


def retold(task_id: str, /, **fields: Any) -> Change:
    """Of a task, and what its workflow and its agent tell of it is the same."""

    def change(states: States) -> None:
        task = states[f"task-{task_id}"] = replace(states[f"task-{task_id}"], **fields)
        _tell_workflow(states, task)
        for stream_id in [stream_id for stream_id in states if stream_id.startswith("agent-")]:
            slots = {name: slot for name, slot in states[stream_id].slots.items() if name != task_id}
            if stream_id == f"agent-{task.agent_id}" and task.state in HOLDING:
                slots[task_id] = Slot(task.workflow_id, task.priority, task.started_at, task.estimated_completion)
            states[stream_id] = replace(states[stream_id], slots=slots)

    return change


def _tell_workflow(states: States, task: Task) -> None:
    view = TaskView(
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
    workflow = states[f"workflow-{task.workflow_id}"]
    states[f"workflow-{task.workflow_id}"] = with_tasks(workflow, workflow.tasks | {task.task_id: view})


def viewed(task_id: str, /, **fields: Any) -> Change:
    """Of what a workflow tells of a task; it counts by that."""

    def change(states: States) -> None:
        stream_id = f"workflow-{states[f'task-{task_id}'].workflow_id}"
        workflow = states[stream_id]
        states[stream_id] = with_tasks(workflow, workflow.tasks | {task_id: replace(workflow.tasks[task_id], **fields)})

    return change


def slotted(task_id: str, /, **fields: Any) -> Change:
    """Of the slot of a task."""

    def change(states: States) -> None:
        stream_id = f"agent-{states[f'task-{task_id}'].agent_id}"
        slots = states[stream_id].slots
        states[stream_id] = replace(states[stream_id], slots=slots | {task_id: replace(slots[task_id], **fields)})

    return change


def reserved(task_id: str, /, **fields: Any) -> Change:
    """Of the reservation of a task."""

    def change(states: States) -> None:
        pool, name = states["pool-pool"], states[f"task-{task_id}"].reservation_id
        reservation = replace(pool.reservations[name], **fields)
        states["pool-pool"] = replace(pool, reservations=pool.reservations | {name: reservation})

    return change


def gone(stream_id: str) -> Change:
    def change(states: States) -> None:
        del states[stream_id]

    return change


def of_another_kind(stream_id: str) -> Change:
    def change(states: States) -> None:
        states[stream_id] = states["system-platform"]

    return change


def together(*changes: Change) -> Change:
    def change(states: States) -> None:
        for one in changes:
            one(states)

    return change
