"""What the commands on a task do: to it, to its workflow, to its agent and to the pool."""

from datetime import timedelta

import pytest

from commands.messages import Command
from commands.messages import agent as agents
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.agent import Slot
from domain.pool import Reservation
from tests.support.command_world import (
    World,
    add_task,
    assign,
    create_pool,
    create_workflow,
    register_agent,
    running_world,
    start,
)

START = tasks.StartTask(task_id="t1")
COMPLETE = tasks.CompleteTask(task_id="t1", outputs={"score": 0.78})
FAIL = tasks.FailTask(task_id="t1", error="broken")
TIME_OUT = tasks.TimeOutTask(task_id="t1")
RETRY = tasks.RetryTask(task_id="t1")
CANCEL = tasks.CancelTask(task_id="t1", reason="late")


@pytest.mark.parametrize(
    "command",
    [
        START, COMPLETE, FAIL, TIME_OUT, RETRY, CANCEL, assign("t1"),
        tasks.ScheduleTask(task_id="t1"),
        tasks.ReportProgress(task_id="t1", percentage=1.0),
        tasks.CompletePhase(task_id="t1", phase="one"),
        tasks.RecordOutputs(task_id="t1", outputs={}),
    ],
    ids=lambda command: command.type,
)  # fmt: skip
def test_a_task_that_is_not_there_is_refused(command: Command) -> None:
    world = World()
    world.given(register_agent())

    answer = world.refuse(command, "unknown_id")
    assert answer.problem is not None
    assert answer.problem.facts == {"kind": "task", "id": "t1"}


@pytest.mark.parametrize(
    "command",
    [
        START, COMPLETE, FAIL, TIME_OUT, RETRY,
        tasks.ReportProgress(task_id="t1", percentage=1.0),
        tasks.CompletePhase(task_id="t1", phase="one"),
        tasks.RecordOutputs(task_id="t1", outputs={"a": 1}),
    ],
    ids=lambda command: command.type,
)  # fmt: skip
def test_a_task_that_waits_can_only_be_scheduled_assigned_and_cancelled(command: Command) -> None:
    running_world("t1").refuse(command, "task_state")


# --- schedule and assign --------------------------------------------------------------------------------------


def test_a_task_is_scheduled_once_in_an_open_workflow() -> None:
    world = World()
    world.given(create_workflow(), add_task("t1"), add_task("t2"))
    schedule = tasks.ScheduleTask(task_id="t1")

    world.accept(schedule)
    assert (world.task("t1").state, world.workflow().tasks["t1"].state) == ("scheduled", "scheduled")
    world.unchanged(schedule)
    world.given(workflows.FailWorkflow(workflow_id="wf", error="e"))
    world.refuse(tasks.ScheduleTask(task_id="t2"), "workflow_state")


def test_assigning_takes_a_slot_and_a_reservation_in_one_append() -> None:
    world = running_world("t1")
    expires = world.clock() + timedelta(minutes=30)
    command = assign("t1", pool_id="pool", reservation_expires_at=expires)

    events = world.accept(command)

    assert {event.type for event in events} == {
        "TaskAssigned",
        "WorkflowTaskChanged",
        "AgentSlotTaken",
        "ResourcesReserved",
    }
    task, now = world.task("t1"), world.clock()
    assert (task.state, task.agent_id, task.assigned_at, task.assignment_reason) == (
        "assigned",
        "agent",
        now,
        "capability_match",
    )
    assert (task.pool_id, task.allocated) == ("pool", {"cpu": "2"})
    assert world.agent().slots == {"t1": Slot("wf", "medium")}
    assert world.pool().reservations == {
        str(task.reservation_id): Reservation({"cpu": "2"}, now, "t1", "agent", expires)
    }
    assert world.workflow().tasks["t1"].assigned_agent == "agent"
    world.unchanged(command)


def test_without_a_pool_or_without_requirements_nothing_is_reserved() -> None:
    world = running_world("t1")
    world.given(add_task("t2"), tasks.ScheduleTask(task_id="t2"))

    world.given(assign("t1"), assign("t2", pool_id="pool"))
    assert world.pool().reservations == {}
    assert (world.task("t1").pool_id, world.task("t2").pool_id) == (None, None)


def test_an_assignment_that_cannot_have_all_takes_nothing() -> None:
    world = running_world("t1", "t2")
    world.given(
        register_agent("full", 1),
        register_agent("new", state="registered"),
        create_pool("small", "1"),
        add_task("t3", capabilities=("fly",)),
        tasks.ScheduleTask(task_id="t3"),
    )
    world.given(assign("t2", "full"))

    world.refuse(assign("t1", "nobody"), "unknown_id")
    world.refuse(assign("t1", "full"), "agent_full")
    world.refuse(assign("t1", "new"), "agent_unable")
    world.refuse(assign("t3"), "capability_missing")
    world.refuse(assign("t1", pool_id="small"), "pool_exhausted")
    world.refuse(assign("t1", pool_id="nowhere"), "unknown_id")
    world.refuse(assign("t1", pool_id="pool", reservation_expires_at=world.clock()), "reservation_in_the_past")
    world.refuse(assign("t2"), "task_state")  # another agent has it
    assert world.agent().slots == {}
    assert world.pool().reservations == {}


def test_nothing_is_assigned_before_its_workflow_runs() -> None:
    world = World()
    world.given(create_workflow(), register_agent(), add_task("t1"), tasks.ScheduleTask(task_id="t1"))

    world.refuse(assign("t1"), "workflow_state")


# --- start and progress ---------------------------------------------------------------------------------------


def test_starting_notes_the_estimate_and_the_time_limit_of_its_own_or_the_systems() -> None:
    world = running_world("t1", "t2")
    world.given(add_task("t3", timeout=60.0), tasks.ScheduleTask(task_id="t3"))
    world.given(assign("t1"), START, systems.ConfigureSystem(default_timeout=300.0))
    assert world.task("t1").deadline is None
    estimate = world.clock() + timedelta(minutes=3)

    world.given(assign("t2"), assign("t3"))
    world.accept(tasks.StartTask(task_id="t2", estimated_completion=estimate))
    world.accept(tasks.StartTask(task_id="t3"))

    now = world.clock()
    assert world.task("t2").deadline == now + timedelta(seconds=300)
    assert world.task("t3").deadline == now + timedelta(seconds=60)
    assert world.agent().slots["t2"] == Slot("wf", "medium", now, estimate)
    assert world.workflow().tasks["t2"].start_time == now
    world.unchanged(tasks.StartTask(task_id="t2"))


def test_an_agent_that_became_unable_starts_nothing() -> None:
    world = running_world("t1")
    world.given(assign("t1"), agents.ReportHealth(agent_id="agent", state="unhealthy"))

    world.refuse(START, "agent_unable")


def test_a_task_of_a_paused_workflow_is_not_started() -> None:
    world = running_world("t1")
    world.given(assign("t1"), workflows.PauseWorkflow(workflow_id="wf"))

    world.refuse(START, "workflow_state")


def test_progress_rises_within_an_attempt_and_tells_the_agent_of_a_new_estimate() -> None:
    world = running_world("t1")
    start(world, "t1")
    estimate = world.clock() + timedelta(minutes=3)
    report = tasks.ReportProgress(
        task_id="t1",
        percentage=60.0,
        phase="analysis",
        memory_peak="3.2Gi",
        cpu_average=1.8,
        estimated_completion=estimate,
        note="slow",
    )

    world.accept(report)
    task = world.task("t1")
    assert (task.percentage, task.current_phase, task.memory_peak, task.cpu_average, task.note) == (
        60.0,
        "analysis",
        "3.2Gi",
        1.8,
        "slow",
    )
    assert world.agent().slots["t1"].estimated_completion == task.estimated_completion == estimate
    world.unchanged(report)
    world.refuse(tasks.ReportProgress(task_id="t1", percentage=59.0), "progress_falls")
    events = world.accept(tasks.ReportProgress(task_id="t1", percentage=61.0))
    assert [event.type for event in events] == ["TaskProgressed"]  # nothing but its own stream is touched


def test_a_phase_is_completed_once_and_must_be_one_of_the_tasks() -> None:
    world = running_world()
    world.given(add_task("t1", phases=("parsing", "analysis")), tasks.ScheduleTask(task_id="t1"))
    start(world, "t1")
    done = tasks.CompletePhase(task_id="t1", phase="parsing")

    world.accept(done)
    assert (world.task("t1").current_phase, world.task("t1").phases_completed) == ("analysis", ("parsing",))
    world.unchanged(done)
    world.refuse(tasks.CompletePhase(task_id="t1", phase="dreaming"), "phase_unknown")
    world.refuse(tasks.ReportProgress(task_id="t1", phase="dreaming"), "phase_unknown")
    world.refuse(tasks.ReportProgress(task_id="t1", phase="parsing"), "phase_completed")


def test_outputs_are_recorded_while_it_runs_and_after_it_is_completed() -> None:
    world = running_world("t1")
    start(world, "t1")
    record = tasks.RecordOutputs(task_id="t1", outputs={"gaps": 5})

    world.accept(record)
    world.unchanged(record)
    world.given(COMPLETE)
    world.accept(tasks.RecordOutputs(task_id="t1", outputs={"late": None}))
    outputs = {"gaps": 5, "score": 0.78, "late": None}
    assert world.task("t1").outputs == world.workflow().tasks["t1"].outputs == outputs
