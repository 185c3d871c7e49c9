"""What the commands on a workflow do: to it, to its tasks, and to what those hold."""

from typing import Any

import pytest

from commands.messages import Command
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from tests.support.command_world import BEGINNING, World, add_task, assign, create_workflow, running_world, start

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


# --- create, add, schedule ------------------------------------------------------------------------------------


def test_a_workflow_is_created_once() -> None:
    world = World()
    world.accept(create_workflow(priority="high", context={"organization": "bank"}, dependencies=("approval",)))

    workflow = world.workflow()
    assert (workflow.state, workflow.completion, workflow.on_task_failure) == ("created", "automatic", "fail")
    assert (workflow.definition_version, workflow.max_retries, workflow.pending) == ("1.0.0", 3, ("approval",))
    assert workflow.context == {"organization": "bank", "priority": "high"}
    world.refuse(create_workflow(), "workflow_exists")


@pytest.mark.parametrize(
    "command",
    [
        add_task("t1"), START, PAUSE, RESUME, COMPLETE, FAIL, RETRY, CANCEL,
        workflows.ScheduleWorkflow(workflow_id="wf"),
        workflows.SatisfyDependency(workflow_id="wf", dependency="approval"),
        workflows.AmendWorkflow(workflow_id="wf", context={"a": 1}),
        workflows.RollBackWorkflow(workflow_id="wf", to_version=1, reason="r", operator="o"),
    ],
    ids=lambda command: command.type,
)  # fmt: skip
def test_a_workflow_that_is_not_there_is_refused(command: Command) -> None:
    answer = World().refuse(command, "unknown_id")

    assert answer.problem is not None
    assert answer.problem.facts == {"kind": "workflow", "id": "wf"}


def test_a_task_is_added_with_its_workflows_priority_and_told_what_is_met_already() -> None:
    world = running_world("t1", "t2", priority="high", dependencies=("data", "approval"))
    start(world, "t1")
    world.given(*complete("t1"), workflows.SatisfyDependency(workflow_id="wf", dependency="data"))

    world.accept(add_task("t3", requires=("t1", "t2"), awaits=("data", "approval")))

    task = world.task("t3")
    assert (task.priority, task.max_attempts) == ("high", 1)
    assert (task.satisfied, task.blocked_by) == (("t1", "data"), ("t2", "approval"))
    world.refuse(add_task("t3"), "task_id_taken")
    world.refuse(add_task("data"), "task_id_taken")
    world.refuse(add_task("t4", requires=("nobody",)), "required_task_unknown")
    world.refuse(add_task("t4", awaits=("nothing",)), "dependency_unknown")
    world.given(create_workflow("other"))
    world.refuse(add_task("t1", "other"), "task_exists")
    world.refuse(add_task("t4", "other", requires=("t1",)), "required_task_unknown")


def test_an_ended_workflow_takes_no_task() -> None:
    world = running_world("t1")
    world.given(CANCEL)

    world.refuse(add_task("t2"), "workflow_state")


def test_attempts_come_from_the_task_else_from_the_systems_configuration() -> None:
    world = running_world()
    world.given(add_task("default"), systems.ConfigureSystem(retry_attempts=3))
    world.given(add_task("configured"), add_task("own", max_attempts=2))

    assert [world.task(one).max_attempts for one in ("default", "configured", "own")] == [1, 4, 2]


def test_a_workflow_may_be_scheduled_and_scheduled_otherwise_until_it_starts() -> None:
    world = World()
    world.given(create_workflow(scheduled_completion=BEGINNING))
    schedule = workflows.ScheduleWorkflow(workflow_id="wf", start_at=BEGINNING)

    world.accept(schedule)
    world.unchanged(schedule)
    world.accept(workflows.ScheduleWorkflow(workflow_id="wf"))
    assert (world.workflow().state, world.workflow().scheduled_completion) == ("scheduled", BEGINNING)
    world.given(START)
    world.refuse(schedule, "workflow_state")


# --- start ----------------------------------------------------------------------------------------------------


def test_a_workflow_starts_once() -> None:
    world = World()
    world.given(create_workflow())

    world.accept(START)
    assert (world.workflow().state, world.workflow().started_at) == ("running", world.clock())
    world.unchanged(START)
    world.given(CANCEL)
    world.refuse(START, "workflow_state")


def test_the_limit_of_concurrent_workflows_counts_what_is_active() -> None:
    world = World()
    world.given(*(create_workflow(name) for name in ("wf", "w2", "w3")), systems.ConfigureSystem(environment="test"))
    world.given(START, workflows.StartWorkflow(workflow_id="w2"))  # no limit by default
    world.given(systems.ConfigureSystem(max_concurrent_workflows=2), PAUSE)
    start_third = workflows.StartWorkflow(workflow_id="w3")

    answer = world.refuse(start_third, "too_many_workflows")
    assert answer.problem is not None
    assert answer.problem.facts == {"active_workflows": 2, "limit": 2}
    world.unchanged(workflows.StartWorkflow(workflow_id="w2"))
    world.given(CANCEL)
    world.accept(start_third)


def test_a_maintenance_window_that_blocks_lets_nothing_start() -> None:
    world = running_world("t1")
    world.given(create_workflow("w2"), assign("t1"))
    end = world.clock.pass_(0).replace(hour=11)
    window = systems.ScheduleMaintenance(
        window_id="m", start=world.clock(), end=end, description="database", blocks_starts=True
    )
    world.given(window)

    for command in (workflows.StartWorkflow(workflow_id="w2"), tasks.StartTask(task_id="t1")):
        answer = world.refuse(command, "maintenance")
        assert answer.problem is not None
        assert answer.problem.facts == {"window_id": "m", "until": end.isoformat()}
    world.clock.now = end
    world.given(workflows.StartWorkflow(workflow_id="w2"), tasks.StartTask(task_id="t1"))


# --- pause, resume, dependencies, amend -----------------------------------------------------------------------


def test_a_paused_workflow_finishes_what_runs_and_starts_nothing() -> None:
    world = running_world("t1", "t2")
    start(world, "t1")
    world.accept(workflows.PauseWorkflow(workflow_id="wf", reason="night"))
    world.unchanged(PAUSE)

    world.refuse(assign("t2"), "workflow_state")
    world.given(*complete("t1"), tasks.CancelTask(task_id="t2", reason="late"))
    assert world.workflow().state == "paused"
    world.refuse(COMPLETE, "workflow_state")
    world.accept(RESUME)
    assert world.workflow().state == "completed"  # all was done meanwhile
    world.refuse(RESUME, "workflow_state")


def test_only_a_running_workflow_can_be_paused() -> None:
    world = World()
    world.given(create_workflow())

    world.refuse(PAUSE, "workflow_state")
    world.refuse(RESUME, "workflow_state")
    world.given(START)
    world.unchanged(RESUME)


def test_a_dependency_gates_the_tasks_that_name_it_and_the_completion() -> None:
    world = running_world("t1", dependencies=("approval",))
    world.given(add_task("t2", awaits=("approval",)), tasks.ScheduleTask(task_id="t2"), assign("t2"))
    satisfy = workflows.SatisfyDependency(workflow_id="wf", dependency="approval")

    world.refuse(tasks.StartTask(task_id="t2"), "task_blocked")
    world.accept(satisfy)
    assert (world.workflow().satisfied, world.workflow().pending) == (("approval",), ())
    assert world.task("t2").blocked_by == ()
    world.unchanged(satisfy)
    world.refuse(workflows.SatisfyDependency(workflow_id="wf", dependency="moon"), "dependency_unknown")
    world.given(tasks.StartTask(task_id="t2"))


def test_a_pending_dependency_holds_the_completion_until_it_is_satisfied() -> None:
    world = running_world("t1", dependencies=("approval",))
    start(world, "t1")
    world.given(*complete("t1"))

    assert world.workflow().state == "running"
    world.refuse(COMPLETE, "dependencies_pending")
    world.accept(workflows.SatisfyDependency(workflow_id="wf", dependency="approval"))
    assert world.workflow().state == "completed"


def test_a_completed_task_unblocks_those_that_require_it() -> None:
    world = running_world("t1")
    world.given(add_task("t2", requires=("t1",)), tasks.ScheduleTask(task_id="t2"), assign("t2"))
    start(world, "t1")

    world.refuse(tasks.StartTask(task_id="t2"), "task_blocked")
    world.given(*complete("t1"), tasks.StartTask(task_id="t2"))


def test_amending_sets_and_removes_keys_and_moves_the_plan() -> None:
    world = World()
    world.given(create_workflow(context={"organization": "bank", "triggered_by": "somebody"}))
    amend = workflows.AmendWorkflow(
        workflow_id="wf", context={"organization": None, "n": 1}, scheduled_completion=BEGINNING, priority="low"
    )

    world.accept(amend)
    workflow = world.workflow()
    assert workflow.context == {"triggered_by": "somebody", "n": 1, "priority": "low"}
    assert (workflow.scheduled_completion, workflow.priority) == (BEGINNING, "low")
    world.unchanged(amend)
    world.given(CANCEL)
    world.refuse(amend, "workflow_state")


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
