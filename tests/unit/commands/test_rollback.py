"""Rolling a workflow back: its tasks go along, agents and pools are never taken back in time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from commands.messages import agent as agents
from commands.messages import pool as pools
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.messages.transaction import Transaction
from domain.agent import Slot
from domain.values import iso
from tests.support.command_world import World, add_task, assign, create_workflow, running_world, start
from tests.support.invariants import check_world


def roll_back(**cut: Any) -> workflows.RollBackWorkflow:
    return workflows.RollBackWorkflow(
        workflow_id="wf", reason="data corruption detected", operator="admin@company.com", **cut
    )


def version(world: World) -> int:
    return len(world.stream("workflow-wf"))


def complete(world: World, *task_ids: str) -> None:
    world.given(*(tasks.CompleteTask(task_id=task_id, outputs={"by": task_id}) for task_id in task_ids))


def by_version(world: World) -> dict[str, Any]:
    return {"to_version": version(world)}


def by_time(world: World) -> dict[str, Any]:
    return {"to_time": world.log.events[-1].recorded_at}


def by_position(world: World) -> dict[str, Any]:
    return {"to_position": len(world.log.events)}


@pytest.mark.parametrize("cut_now", [by_version, by_time, by_position])
def test_the_workflow_and_its_tasks_go_to_the_same_moment(cut_now: Callable[[World], dict[str, Any]]) -> None:
    world = running_world("t1", "t2", "t3")
    start(world, "t1")
    complete(world, "t1")
    before, cut, to = world.workflow(), cut_now(world), version(world)
    start(world, "t2")
    complete(world, "t2")
    world.given(add_task("late"))

    events = world.accept(roll_back(**cut))

    restored = world.workflow()
    assert (restored.state, restored.context, restored.started_at) == ("running", before.context, before.started_at)
    assert {one: restored.tasks[one] for one in before.tasks} == before.tasks
    assert world.task("t1").outputs == {"by": "t1"}
    assert (world.task("t2").state, world.task("t2").outputs) == ("scheduled", {})
    assert (world.task("late").state, restored.tasks["late"].state) == ("cancelled", "cancelled")
    told = events[-1].model_dump()
    assert (told["to_version"], told["reason"], told["operator"]) == (
        to,
        "data corruption detected",
        "admin@company.com",
    )
    assert "TaskRolledBack" not in world.types("task-t1")  # nothing had changed for it
    assert world.agent().completed == 2  # what an agent did, it did
    check_world(world)


def test_nothing_is_removed_and_the_history_stays() -> None:
    world = running_world("t1")
    to = version(world)
    start(world, "t1")
    before = list(world.log.events)

    world.accept(roll_back(to_version=to))
    assert world.log.events[: len(before)] == before


def test_a_time_between_two_versions_takes_the_tasks_to_that_very_moment() -> None:
    world = running_world("t1")
    start(world, "t1")
    world.given(tasks.ReportProgress(task_id="t1", percentage=60.0))
    moment = world.clock.pass_(5)
    world.clock.pass_(5)
    complete(world, "t1")

    world.accept(roll_back(to_time=moment))
    assert (world.task("t1").state, world.task("t1").percentage) == ("running", 60.0)

    world.given(roll_back(to_version=version(world) - 1))
    assert world.task("t1").state == "completed"


def test_what_the_rollback_frees_is_released_now() -> None:
    world = running_world("t1", "t2")
    to = version(world)
    start(world, "t1")
    world.given(assign("t2", pool_id="pool"))

    events = world.accept(roll_back(to_version=to))
    assert [event.type for event in events].count("ReservationReleased") == 2
    assert (world.agent().slots, world.pool().reservations) == ({}, {})
    assert world.agent().failed == 0
    check_world(world)


def test_what_runs_again_takes_its_holdings_again_and_gets_a_fresh_time_limit() -> None:
    world = running_world()
    world.given(systems.ConfigureSystem(default_timeout=300.0))
    world.given(add_task("t1", timeout=60.0, resource_requirements={"cpu": "2"}), add_task("t2"), add_task("t3"))
    world.given(*(tasks.ScheduleTask(task_id=one) for one in ("t1", "t2", "t3")))
    expires = world.clock() + timedelta(seconds=90)
    world.given(assign("t1", pool_id="pool", reservation_expires_at=expires), tasks.StartTask(task_id="t1"))
    world.given(assign("t2"), tasks.StartTask(task_id="t2"), assign("t3"))
    began, first, to = world.task("t1").started_at, world.task("t1").reservation_id, version(world)
    world.given(workflows.FailWorkflow(workflow_id="wf", error="wrong"))
    world.clock.pass_(1000)

    world.accept(roll_back(to_version=to))

    now, task = world.clock(), world.task("t1")
    assert (task.state, task.started_at, task.deadline) == ("running", began, now + timedelta(seconds=60))
    assert world.task("t2").deadline == now + timedelta(seconds=300)
    assert (world.task("t3").state, world.task("t3").deadline) == ("assigned", None)
    assert world.agent().slots["t1"] == Slot("wf", "medium", began)
    assert task.reservation_id != first
    reservation = world.pool().reservations[str(task.reservation_id)]
    assert (reservation.created_at, reservation.expires_at) == (now, now + timedelta(seconds=90))
    assert (world.workflow().state, world.workflow().error) == ("running", None)
    check_world(world)


def test_a_task_that_never_stopped_keeps_its_slot_its_limit_and_its_estimate() -> None:
    world = running_world("t1")
    world.given(systems.ConfigureSystem(default_timeout=300.0))
    start(world, "t1")
    held, to = world.task("t1"), version(world)
    world.given(workflows.AmendWorkflow(workflow_id="wf", context={"a": 1}))
    estimate = world.clock() + timedelta(minutes=9)
    world.given(tasks.ReportProgress(task_id="t1", percentage=50.0, estimated_completion=estimate))

    events = world.accept(roll_back(to_version=to))

    assert [event.type for event in events] == ["TaskRolledBack", "WorkflowRolledBack"]
    task = world.task("t1")
    assert (task.percentage, task.deadline, task.reservation_id) == (0.0, held.deadline, held.reservation_id)
    assert task.estimated_completion == estimate
    assert world.workflow().context == {}
    check_world(world)


def test_a_slot_can_pass_from_one_task_to_another() -> None:
    world = running_world("t1", "t2")
    world.given(agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=1))
    start(world, "t1")
    to = version(world)
    complete(world, "t1")
    start(world, "t2")

    world.accept(roll_back(to_version=to))
    assert set(world.agent().slots) == {"t1"}
    assert world.task("t2").state == "scheduled"


def lose_agent(world: World) -> None:
    world.given(agents.MarkOffline(agent_id="agent"))


def deregister_agent(world: World) -> None:
    world.given(agents.DeregisterAgent(agent_id="agent"))


def fill_agent(world: World) -> None:
    world.given(agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=1))
    world.given(create_workflow("w2"), add_task("t9", "w2"), tasks.ScheduleTask(task_id="t9"))
    world.given(workflows.StartWorkflow(workflow_id="w2"), assign("t9"))


def empty_pool(world: World) -> None:
    world.given(pools.Reserve(pool_id="pool", resources={"cpu": "9"}))


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        (lose_agent, "agent_unable"),
        (deregister_agent, "agent_unable"),
        (fill_agent, "agent_full"),
        (empty_pool, "pool_exhausted"),
    ],
)
def test_what_cannot_be_had_again_refuses_the_whole(meanwhile: Callable[[World], None], reason: str) -> None:
    world = running_world("t1", "t2")
    start(world, "t1")
    to = version(world)
    complete(world, "t1")
    world.given(assign("t2"), tasks.StartTask(task_id="t2"), tasks.CompleteTask(task_id="t2"))
    meanwhile(world)
    before = world.everything()

    world.refuse(roll_back(to_version=to), reason)
    assert world.everything() == before


def test_a_rollback_can_be_rolled_back() -> None:
    world = running_world("t1", "t2")
    to = version(world)
    start(world, "t1")
    complete(world, "t1")
    done = world.workflow()
    world.given(roll_back(to_version=to))
    assert world.task("t1").state == "scheduled"

    world.accept(roll_back(to_version=version(world) - 1))
    assert world.workflow().tasks == done.tasks
    assert world.task("t1").state == "completed"
    check_world(world)


def test_a_task_that_was_cancelled_by_a_rollback_comes_back_with_the_next() -> None:
    world = running_world()
    to = version(world)
    world.given(add_task("late"), tasks.ScheduleTask(task_id="late"), assign("late"), tasks.StartTask(task_id="late"))
    world.given(tasks.FailTask(task_id="late", error="broken"), roll_back(to_version=to))
    assert (world.task("late").state, world.workflow().tasks["late"].error) == ("cancelled", None)

    world.accept(roll_back(to_version=version(world) - 1))
    assert (world.task("late").state, world.workflow().tasks["late"].error) == ("failed", "broken")
    assert world.workflow().state == "failed"
    check_world(world)


@pytest.mark.parametrize("ending", ["complete", "fail", "cancel"])
def test_a_rollback_leaves_any_end_state(ending: str) -> None:
    world = running_world("t1")
    to = version(world)
    match ending:
        case "complete":
            start(world, "t1")
            complete(world, "t1")
        case "fail":
            world.given(workflows.FailWorkflow(workflow_id="wf", error="e"))
        case _:
            world.given(workflows.CancelWorkflow(workflow_id="wf", reason="r"))

    world.accept(roll_back(to_version=to))
    assert (world.workflow().state, world.workflow().ended_at) == ("running", None)
    check_world(world)


def test_the_workflow_alone_is_rolled_back_only_where_no_task_would_differ() -> None:
    world = running_world("t1")
    to = version(world)
    world.given(workflows.PauseWorkflow(workflow_id="wf"))

    world.accept(roll_back(to_version=to, workflow_only=True))
    assert world.workflow().state == "running"
    start(world, "t1")
    answer = world.refuse(roll_back(to_version=to, workflow_only=True), "rollback_needs_tasks")
    assert answer.problem is not None
    assert answer.problem.facts == {"workflow_id": "wf", "tasks": ["t1"]}


def test_there_is_nothing_before_the_beginning_beyond_the_end_and_at_this_moment() -> None:
    world = running_world("t1")
    last, now = version(world), world.clock()
    began = world.stream("workflow-wf")[0].recorded_at

    answer = world.refuse(roll_back(to_time=began - timedelta(microseconds=1)), "rollback_before_beginning")
    assert answer.problem is not None
    assert answer.problem.facts["began"] == iso(began)
    world.given(create_workflow("w2"))
    for number, reason in ((last + 1, "beyond_end"), (0, "before_beginning"), (-3, "before_beginning")):
        answer = world.refuse(roll_back(to_version=number), f"rollback_{reason}")
        assert answer.problem is not None
        assert answer.problem.facts == {"workflow_id": "wf", "versions": [1, last]}
        assert f"has versions 1 to {last}; there is no version {number} " in answer.problem.message
    end = len(world.log.events)
    for cut in ({"to_version": last}, {"to_time": now}, {"to_position": end}):
        world.refuse(roll_back(**cut), "rollback_to_now")
    answer = world.refuse(roll_back(to_position=end + 1), "rollback_beyond_end")
    assert answer.problem is not None
    assert f"The log ends at position {end}, before {end + 1}" in answer.problem.message
    for position in (0, -3):
        world.refuse(roll_back(to_position=position), "rollback_before_beginning")
    world.refuse(roll_back(to_time=now + timedelta(days=9)), "rollback_to_future")
    later = workflows.RollBackWorkflow(workflow_id="w2", to_position=1, reason="r", operator="o")
    world.refuse(later, "rollback_before_beginning")


def test_a_version_within_a_command_is_no_moment_that_there_was() -> None:
    world = running_world("t1")
    start(world, "t1")
    complete(world, "t1")  # two events on the workflow: the task's and its own completion
    end = version(world)
    world.given(roll_back(to_version=end - 2))

    answer = world.refuse(roll_back(to_version=end - 1), "rollback_divides_command")
    assert answer.problem is not None
    assert answer.problem.facts == {"workflow_id": "wf", "whole_version": end}
    position = world.stream("workflow-wf")[end - 2].position  # a position snaps down to the last whole command
    world.accept(roll_back(to_position=position))
    assert (world.workflow().state, world.task("t1").state) == ("running", "running")


@pytest.mark.parametrize("ahead", [1, 2])
def test_a_version_that_comes_only_of_its_own_transaction_is_no_moment_that_there_was(ahead: int) -> None:
    world = running_world("t1")
    before = version(world)
    amends = [workflows.AmendWorkflow(workflow_id="wf", context={"a": value}) for value in (1, 2)]
    answer = world.refuse(
        Transaction(commands=(*amends, roll_back(to_version=before + ahead))), "rollback_divides_command"
    )
    assert answer.problem is not None
    assert f"Version {before + ahead} of workflow wf comes only of this transaction; " in answer.problem.message
    assert answer.problem.facts["whole_version"] == before
    world.accept(Transaction(commands=(*amends, roll_back(to_version=before))))
    assert "a" not in world.workflow().context
