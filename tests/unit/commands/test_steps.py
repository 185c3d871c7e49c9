"""What commands that end tasks have in common: what they free, what they stand on, and how often they ask the log."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from commands.messages import Command
from commands.messages import agent as agents
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from tests.support.command_world import World, add_task, assign, create_pool, register_agent, running_world, start
from tests.support.listening_log import ListeningLog
from tests.support.log import decode

COMPLETE = tasks.CompleteTask(task_id="t1")
FAIL = tasks.FailTask(task_id="t1", error="broken")
CANCEL = tasks.CancelTask(task_id="t1", reason="late")
FAIL_WORKFLOW = workflows.FailWorkflow(workflow_id="wf", error="wrong")


def roll_back(to_version: int) -> Command:
    return workflows.RollBackWorkflow(workflow_id="wf", to_version=to_version, reason="wrong", operator="me")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (COMPLETE, "task completed"),
        (FAIL, "task failed"),
        (tasks.TimeOutTask(task_id="t1"), "task timed out"),
        (CANCEL, "task cancelled"),
        (roll_back(3), "task rolled back"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_reservation_says_in_words_why_it_was_released(command: Command, reason: str) -> None:
    world = running_world()
    world.given(add_task("t1", timeout=10.0, resource_requirements={"cpu": "2"}), tasks.ScheduleTask(task_id="t1"))
    start(world, "t1")
    world.clock.pass_(10)
    (released,) = [event for event in world.accept(command) if event.type == "ReservationReleased"]
    assert released.model_dump()["reason"] == reason


def test_a_task_that_holds_nothing_any_more_does_not_stand_on_the_agent_that_did_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = running_world()
    world.given(add_task("t1", max_attempts=2), tasks.ScheduleTask(task_id="t1"))
    start(world, "t1")
    world.given(FAIL)
    assert world.task("t1").agent_id == "agent"
    append, stands_on = world.log.append, set[str]()

    async def listening(commands: Any) -> Any:
        stands_on.update(*(command.expected for command in commands))
        return await append(commands)

    monkeypatch.setattr(world.log, "append", listening)
    world.accept(CANCEL)
    assert stands_on == {"task-t1", "workflow-wf"}


def test_a_workflow_that_fails_of_a_long_error_tells_its_beginning() -> None:
    world = running_world("t1")
    start(world, "t1")
    error = "x" * 10_000  # as long as a task's may be
    world.given(tasks.FailTask(task_id="t1", error=error))
    assert world.workflow().error == f"task t1 failed: {error}"[:10_000]


def test_what_a_rollback_cancels_ended_when_it_did() -> None:
    world = running_world("t1")
    to_version = len(world.stream("workflow-wf"))
    for task_id in ("over", "open"):
        world.given(add_task(task_id), tasks.ScheduleTask(task_id=task_id))
    start(world, "over")
    world.given(tasks.CompleteTask(task_id="over"))
    ended = world.task("over").ended_at
    world.clock.pass_(60)
    world.accept(roll_back(to_version))
    shown = world.workflow().tasks
    assert {task_id: (view.state, view.end_time) for task_id, view in shown.items()} == {
        "t1": ("scheduled", None),
        "over": ("cancelled", ended),
        "open": ("cancelled", world.clock()),
    }
    assert world.task("over").ended_at == ended


def test_outputs_are_noted_in_the_workflow_when_they_change_and_not_each_time_something_else_does() -> None:
    world = running_world("t1")
    before = len(world.log.events)
    start(world, "t1")
    world.given(
        tasks.RecordOutputs(task_id="t1", outputs={"gaps": 1}),
        tasks.CompleteTask(task_id="t1", outputs={"gaps": 1}),
        tasks.RecordOutputs(task_id="t1", outputs={"gaps": True}),
    )
    noted = [decode(event) for event in world.log.events[before:] if event.type == "WorkflowTaskChanged"]
    assert [(one.model_dump()["state"], one.model_dump()["outputs"]) for one in noted] == [
        ("assigned", None),
        ("running", None),
        ("running", {"gaps": 1}),
        ("completed", None),
        ("completed", {"gaps": True}),
    ]


def test_the_slot_that_a_rollback_gives_back_says_of_the_task_what_it_said_before() -> None:
    world = running_world()
    world.given(add_task("t1", priority="high"), tasks.ScheduleTask(task_id="t1"), assign("t1"))
    estimate = world.clock() + timedelta(minutes=9)
    world.given(tasks.StartTask(task_id="t1", estimated_completion=estimate))
    slot, to_version = world.agent().slots["t1"], len(world.stream("workflow-wf"))
    assert (slot.priority, slot.estimated_completion) == ("high", estimate)
    world.given(COMPLETE, roll_back(to_version))
    assert world.agent().slots["t1"] == slot


# --- round trips ----------------------------------------------------------------------------------------------


def with_tasks_that_wait(count: int) -> World:
    world = running_world("t1")
    world.given(*(add_task(f"w{n}", requires=("t1",)) for n in range(count)))
    start(world, "t1")
    return world


def with_tasks_at_one_agent(count: int) -> World:
    world = running_world(*(f"t{n}" for n in range(count)), on_task_failure="continue")
    world.given(agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=20))
    start(world, *(f"t{n}" for n in range(count)), pool_id=None)
    return world


def with_tasks_at_many_agents(count: int) -> World:
    world = running_world(*(f"t{n}" for n in range(count)))
    for n in range(count):
        world.given(register_agent(f"a{n}"), assign(f"t{n}", f"a{n}", pool_id="pool"))
    return world


def with_tasks_of_many_pools(count: int) -> World:
    world = running_world(*(f"t{n}" for n in range(count)))
    for n in range(count):
        world.given(create_pool(f"p{n}"), assign(f"t{n}", pool_id=f"p{n}"))
    return world


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (with_tasks_that_wait, COMPLETE),
        (with_tasks_at_one_agent, agents.DeregisterAgent(agent_id="agent")),
        (with_tasks_at_many_agents, FAIL_WORKFLOW),
        (with_tasks_at_many_agents, workflows.CancelWorkflow(workflow_id="wf", reason="r")),
        (with_tasks_of_many_pools, FAIL_WORKFLOW),
    ],
    ids=["who wait", "at one agent", "at many that fail", "at many that are cancelled", "of many pools"],
)
def test_however_many_tasks_it_concerns_a_command_asks_the_log_as_often(
    given: Callable[[int], World], command: Command
) -> None:
    asked = {}
    for count in (2, 5):
        before = given(count)
        log = ListeningLog(before)
        World(log, before.clock).accept(command)
        there = {event.stream_id for event in log.events}
        assert all(stream_id in there for streams in log.asked for stream_id in streams)
        asked[count] = len(log.asked)
    assert asked[2] == asked[5]
