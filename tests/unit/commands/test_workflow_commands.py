"""What the commands on a workflow do: to it, to its tasks, and to what those hold."""

import pytest

from commands.messages import Command
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.values import iso
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
        assert answer.problem.facts == {"window_id": "m", "until": iso(end)}
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
