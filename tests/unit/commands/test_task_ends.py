"""How a task ends and begins again: what it held, its workflow, and reservations that expire."""

from datetime import timedelta

import pytest

from commands.messages import Command
from commands.messages import pool as pools
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from tests.support.command_world import (
    add_task,
    assign,
    running_world,
    start,
)

START = tasks.StartTask(task_id="t1")
COMPLETE = tasks.CompleteTask(task_id="t1", outputs={"score": 0.78})
FAIL = tasks.FailTask(task_id="t1", error="broken")
TIME_OUT = tasks.TimeOutTask(task_id="t1")
RETRY = tasks.RetryTask(task_id="t1")
CANCEL = tasks.CancelTask(task_id="t1", reason="late")


# --- the ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "state", "counted"),
    [
        (COMPLETE, "completed", (1, 0)),
        (FAIL, "failed", (0, 1)),
        (TIME_OUT, "timed_out", (0, 1)),
        (CANCEL, "cancelled", (0, 0)),
    ],
    ids=["complete", "fail", "time out", "cancel"],
)
def test_ending_a_task_frees_the_slot_and_the_reservation_and_moves_the_workflow_in_one_append(
    command: Command, state: str, counted: tuple[int, int]
) -> None:
    world = running_world("t2")
    world.given(add_task("t1", timeout=10.0, max_attempts=2, resource_requirements={"cpu": "2"}))
    world.given(tasks.ScheduleTask(task_id="t1"))
    start(world, "t1")
    world.clock.pass_(10)

    events = world.accept(command)

    assert {"AgentSlotFreed", "ReservationReleased", "WorkflowTaskChanged"} < {event.type for event in events}
    task, view = world.task("t1"), world.workflow().tasks["t1"]
    assert (task.state, task.ended_at, task.reservation_id, task.deadline) == (state, world.clock(), None, None)
    assert (view.state, view.end_time, view.assigned_agent) == (state, world.clock(), "agent")
    assert (world.agent().slots, world.pool().reservations) == ({}, {})
    assert (world.agent().completed, world.agent().failed) == counted
    world.unchanged(command)


def test_a_completed_task_counts_how_long_it_took() -> None:
    world = running_world("t1", "t2")
    start(world, "t1")
    world.clock.pass_(44)
    world.given(COMPLETE)
    assert (world.agent().timed, world.agent().execution_time) == (1, 45.0)

    start(world, "t2")
    world.clock.pass_(-60)  # another process, whose clock is behind
    world.given(tasks.CompleteTask(task_id="t2"))
    assert (world.agent().timed, world.agent().execution_time) == (2, 45.0)


def test_an_ended_task_does_not_end_otherwise() -> None:
    world = running_world("t1")
    start(world, "t1")
    world.given(COMPLETE)

    for command in (FAIL, TIME_OUT, RETRY, CANCEL, START, assign("t1")):
        world.refuse(command, "task_state")
    world.refuse(tasks.CompleteTask(task_id="t1", outputs={"score": 1}), "task_state")


def test_a_task_times_out_only_after_its_limit() -> None:
    world = running_world("t1", "t2")
    world.given(assign("t1"), START)
    world.refuse(TIME_OUT, "task_without_limit")

    world.given(systems.ConfigureSystem(default_timeout=30.0), assign("t2"), tasks.StartTask(task_id="t2"))
    world.clock.pass_(28.9)
    late = tasks.TimeOutTask(task_id="t2")
    world.refuse(late, "task_within_limit")
    world.clock.pass_(0.1)
    world.accept(late)
    assert (world.task("t2").state, world.workflow().state) == ("timed_out", "failed")
    assert world.workflow().error == "task t2 failed: time limit exceeded"


def test_a_failed_task_waits_for_its_retry_and_begins_again() -> None:
    world = running_world()
    world.given(add_task("t1", max_attempts=2, phases=("one",)), tasks.ScheduleTask(task_id="t1"))
    start(world, "t1")
    world.given(
        tasks.ReportProgress(task_id="t1", percentage=50.0, note="n"),
        tasks.RecordOutputs(task_id="t1", outputs={"a": 1}),
        FAIL,
    )
    assert (world.workflow().state, world.workflow().tasks["t1"].error) == ("running", "broken")

    world.accept(RETRY)
    task, view = world.task("t1"), world.workflow().tasks["t1"]
    assert (task.state, task.attempt, task.retry_count, task.percentage, task.outputs) == ("scheduled", 2, 1, 0.0, {})
    assert (task.agent_id, task.started_at, task.ended_at, task.last_error) == (None, None, None, "broken")
    assert (view.state, view.error, view.outputs, view.attempts_left) == ("scheduled", None, {}, 0)
    world.refuse(RETRY, "task_state")
    start(world, "t1")
    world.given(FAIL)
    world.refuse(RETRY, "attempts_used_up")
    assert world.workflow().state == "failed"


def test_a_failed_task_may_be_cancelled_while_its_workflow_is_open() -> None:
    world = running_world("t2")
    world.given(add_task("t1", max_attempts=2), tasks.ScheduleTask(task_id="t1"))
    start(world, "t1", "t2")
    world.given(FAIL, CANCEL)
    assert (world.task("t1").state, world.workflow().tasks["t1"].error) == ("cancelled", None)
    world.given(tasks.CompleteTask(task_id="t2"))
    assert world.workflow().state == "completed"

    world = running_world("t1")
    world.given(workflows.FailWorkflow(workflow_id="wf", error="e"))
    world.refuse(CANCEL, "workflow_state")


# --- reservations that expire ---------------------------------------------------------------------------------


def test_a_reservation_that_expires_times_out_its_task_whether_it_was_started_or_not() -> None:
    world = running_world("t1", "t2", "t3", on_task_failure="continue")
    expires = world.clock() + timedelta(seconds=60)
    for task_id in ("t1", "t2"):
        world.given(assign(task_id, pool_id="pool", reservation_expires_at=expires))
    world.given(START, assign("t3", pool_id="pool"))
    expire = pools.ExpireReservations(pool_id="pool")
    world.unchanged(expire)

    world.clock.now = expires
    events = world.accept(expire)

    assert [event.type for event in events].count("ReservationExpired") == 2
    assert "ReservationReleased" not in {event.type for event in events}
    assert [world.task(one).state for one in ("t1", "t2", "t3")] == ["timed_out", "timed_out", "assigned"]
    assert world.task("t1").last_error == "reservation expired"
    assert set(world.agent().slots) == {"t3"}
    assert world.pool().allocated["cpu"] == 2
    world.unchanged(expire)


def test_reservations_of_one_workflow_that_expire_together_are_each_given_back_once() -> None:
    world = running_world("t1", "t2")
    expires = world.clock() + timedelta(seconds=60)
    start(world, "t1", "t2", reservation_expires_at=expires)
    world.clock.now = expires

    events = world.accept(pools.ExpireReservations(pool_id="pool"))

    gone = [event.type for event in events if event.type in ("ReservationExpired", "ReservationReleased")]
    assert sorted(gone) == ["ReservationExpired", "ReservationReleased"]  # the first one failed the workflow
    assert (world.workflow().state, world.pool().reservations, world.agent().slots) == ("failed", {}, {})
