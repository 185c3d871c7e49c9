"""How a workflow ends and goes on: completion, failure, retry, cancelling, and what becomes of its tasks."""

from typing import Any

import pytest

from commands.messages import Command
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from tests.support.command_world import World, add_task, assign, create_workflow, running_world, start

COMPLETE = workflows.CompleteWorkflow(workflow_id="wf")
RETRY = workflows.RetryWorkflow(workflow_id="wf")
START = workflows.StartWorkflow(workflow_id="wf")
PAUSE = workflows.PauseWorkflow(workflow_id="wf")
RESUME = workflows.ResumeWorkflow(workflow_id="wf")
FAIL = workflows.FailWorkflow(workflow_id="wf", error="the source is gone")
CANCEL = workflows.CancelWorkflow(workflow_id="wf", reason="not needed")


def complete(*task_ids: str) -> list[Command]:
    return [tasks.CompleteTask(task_id=task_id) for task_id in task_ids]


def fail(*task_ids: str) -> list[Command]:
    return [tasks.FailTask(task_id=task_id, error="broken") for task_id in task_ids]


def free(world: World) -> bool:
    """Nothing is held at the agent or in the pool."""
    return not world.agent().slots and not world.pool().reservations and not any(world.pool().allocated.values())


# --- completion -----------------------------------------------------------------------------------------------


def test_with_automatic_completion_the_last_task_completes_the_workflow_in_the_same_append() -> None:
    world = running_world("t1", "t2")
    start(world, "t1", "t2")
    world.given(*complete("t1"))

    events = world.accept(*complete("t2"))
    assert [event.type for event in events][-1] == "WorkflowCompleted"
    assert (world.workflow().state, world.workflow().ended_at) == ("completed", world.clock())
    world.unchanged(COMPLETE)


def test_cancelling_the_last_open_task_completes_a_workflow_in_which_one_was_completed() -> None:
    world = running_world("t1", "t2")
    world.given(tasks.CancelTask(task_id="t2", reason="late"))
    assert world.workflow().state == "running"  # nothing was completed yet
    start(world, "t1")
    world.accept(*complete("t1"))
    assert world.workflow().state == "completed"


def test_with_explicit_completion_tasks_may_come_late() -> None:
    world = running_world("t1", completion="explicit")
    start(world, "t1")
    world.given(*complete("t1"))
    assert world.workflow().state == "running"

    world.given(add_task("t2"))
    world.refuse(COMPLETE, "tasks_open")
    world.given(tasks.CancelTask(task_id="t2", reason="late"), COMPLETE)
    assert world.workflow().state == "completed"
    world.refuse(add_task("t3"), "workflow_state")


def test_a_workflow_without_tasks_waits_for_the_command() -> None:
    world = running_world()
    assert world.workflow().state == "running"
    world.accept(COMPLETE)


def test_a_failed_task_stands_against_completion_unless_the_workflow_goes_on_after_failures() -> None:
    strict, lax = (
        running_world("t1", "t2", completion="explicit", on_task_failure=told) for told in ("fail", "continue")
    )
    for world in (strict, lax):
        world.given(add_task("t3", max_attempts=2), tasks.ScheduleTask(task_id="t3"))
        start(world, "t1", "t2", "t3")
        world.given(*fail("t3"), *complete("t1", "t2"))
        assert world.workflow().state == "running"

    strict.refuse(COMPLETE, "tasks_failed")
    lax.accept(COMPLETE)


# --- failure and retry ----------------------------------------------------------------------------------------


def test_a_task_without_attempts_left_fails_its_workflow_which_keeps_nothing_busy() -> None:
    world = running_world("t1", "t2", "t3", "t4")
    start(world, "t1", "t2")
    world.given(assign("t3", pool_id="pool"))

    world.accept(*fail("t1"))

    workflow = world.workflow()
    assert (workflow.state, workflow.error, workflow.failed_task) == ("failed", "task t1 failed: broken", "t1")
    assert [world.task(one).state for one in ("t1", "t2", "t3", "t4")] == ["failed", "failed", "scheduled", "scheduled"]
    assert world.task("t2").last_error == "workflow failed"
    assert free(world)
    assert world.agent().failed == 2


def test_a_workflow_told_to_continue_goes_on_and_completes_with_the_failure() -> None:
    world = running_world("t1", "t2", on_task_failure="continue")
    start(world, "t1", "t2")

    world.given(*fail("t1"))
    assert world.workflow().state == "running"
    world.given(*complete("t2"))
    assert world.workflow().state == "completed"


def test_a_task_with_attempts_left_holds_the_workflow_open() -> None:
    world = running_world("t1", on_task_failure="continue")
    world.given(add_task("t2", max_attempts=2), tasks.ScheduleTask(task_id="t2"))
    start(world, "t1", "t2")
    world.given(*fail("t2"), *complete("t1"))

    assert world.workflow().state == "running"
    world.given(tasks.RetryTask(task_id="t2"))
    start(world, "t2")
    world.given(*fail("t2"))
    assert world.workflow().state == "completed"


def test_failing_a_workflow_stops_what_runs_in_it() -> None:
    world = running_world("t1", "t2")
    start(world, "t1")

    world.accept(FAIL)
    assert (world.workflow().state, world.workflow().error) == ("failed", "the source is gone")
    assert (world.task("t1").state, world.task("t2").state) == ("failed", "scheduled")
    assert free(world)
    world.unchanged(FAIL)
    world.refuse(assign("t2"), "workflow_state")
    world.refuse(tasks.RetryTask(task_id="t1"), "attempts_used_up")


def test_retrying_a_workflow_gives_what_failed_fresh_attempts_as_often_as_it_may() -> None:
    world = running_world("t1", "t2", max_retries=1)
    world.refuse(RETRY, "workflow_state")
    start(world, "t1", "t2")
    world.given(*complete("t2"), *fail("t1"))

    world.accept(RETRY)
    workflow = world.workflow()
    assert (workflow.state, workflow.retry_count, workflow.error, workflow.ended_at) == ("running", 1, None, None)
    task = world.task("t1")
    assert (task.state, task.attempt, task.retry_count, task.agent_id) == ("scheduled", 1, 1, None)
    assert world.task("t2").state == "completed"

    start(world, "t1")
    world.given(*fail("t1"))
    world.refuse(RETRY, "retries_used_up")


def test_a_workflow_that_failed_before_its_start_is_started_by_its_retry() -> None:
    world = World()
    world.given(create_workflow(), FAIL, RETRY)

    assert world.workflow().started_at is not None


def test_a_retried_workflow_with_nothing_left_to_do_is_completed() -> None:
    world = running_world("t1", dependencies=("approval",))
    start(world, "t1")
    world.given(*complete("t1"), FAIL)
    world.refuse(workflows.SatisfyDependency(workflow_id="wf", dependency="approval"), "workflow_state")
    world.given(RETRY, workflows.SatisfyDependency(workflow_id="wf", dependency="approval"))

    assert world.workflow().state == "completed"


# --- cancel ---------------------------------------------------------------------------------------------------


def test_cancelling_a_workflow_cancels_its_open_tasks_and_frees_what_they_held_in_one_append() -> None:
    world = running_world("t1", "t2", "t3", "t4")
    world.given(add_task("t5", max_attempts=2), tasks.ScheduleTask(task_id="t5"))
    start(world, "t1", "t2", "t5")
    world.given(assign("t3", pool_id="pool"), *complete("t1"), *fail("t5"))

    world.accept(CANCEL)

    assert [world.task(f"t{n}").state for n in range(1, 6)] == ["completed", *["cancelled"] * 4]
    assert (world.workflow().state, world.workflow().ended_at) == ("cancelled", world.clock())
    assert free(world)
    world.unchanged(CANCEL)
    world.refuse(tasks.ScheduleTask(task_id="t4"), "task_state")


@pytest.mark.parametrize(
    ("first", "then", "reason"), [(COMPLETE, CANCEL, "workflow_state"), (CANCEL, FAIL, "workflow_state")]
)
def test_an_ended_workflow_does_not_end_otherwise(first: Command, then: Command, reason: str) -> None:
    world = running_world()
    world.given(first)

    world.refuse(then, reason)


def test_only_a_retry_or_a_rollback_leaves_an_end_state() -> None:
    world = running_world("t1")
    world.given(FAIL)

    world.refuse(CANCEL, "workflow_state")
    world.refuse(COMPLETE, "workflow_state")
    world.given(RETRY, CANCEL)
    assert (world.workflow().state, world.task("t1").state) == ("cancelled", "cancelled")


def test_long_reasons_are_cut_where_they_are_passed_on() -> None:
    world = running_world("t1")
    start(world, "t1")
    long: dict[str, Any] = {"workflow_id": "wf", "reason": "x" * 10_000}

    world.accept(workflows.CancelWorkflow(**long))
    assert world.task("t1").state == "cancelled"


def test_a_workflow_fails_for_taking_too_long_only_while_it_does() -> None:
    world = running_world()
    overlong = workflows.FailWorkflow(workflow_id="wf", error="too long", longer_than=60)

    world.refuse(overlong, "workflow_within_limit")
    world.given(PAUSE, CANCEL)
    world.clock.pass_(60)
    world.refuse(overlong, "workflow_within_limit")

    world = running_world()
    world.clock.pass_(60)
    world.accept(overlong)
    assert world.workflow().state == "failed"
