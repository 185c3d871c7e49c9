"""What is said to have been recorded is what the aggregates would have decided there, or it is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commands.messages import task as messages
from commands.messages import workflow as workflow_messages
from commands.redeciding import redecide_task, redecide_workflow
from domain.aggregate import Event
from domain.errors import Refusal
from domain.task import (
    Task,
    TaskAssigned,
    TaskOutputsRecorded,
    TaskRequirementMet,
    TaskRolledBack,
    TaskStarted,
    to_json,
)
from domain.workflow import (
    Workflow,
    WorkflowAmended,
    WorkflowCreated,
    WorkflowFailed,
    WorkflowStarted,
    WorkflowTaskChanged,
)
from tests.support.command_world import BEGINNING, World, add_task, assign, create_workflow, running_world, start

AT = BEGINNING + timedelta(hours=1)
LATER = AT + timedelta(minutes=9)


def no_past(version: int) -> Workflow | None:
    raise AssertionError(f"nobody asks for version {version}")


def told_of_task(world: World, event: Event, task_id: str = "t1") -> Event:
    version = len(world.stream(f"task-{task_id}"))
    return redecide_task(world.task(task_id), event, version, world.workflow())


def told_of_workflow(world: World, event: Event) -> Event:
    return redecide_workflow(world.workflow(), event, no_past)


def refused(event: Event, redecide: Callable[[], Event]) -> None:
    with pytest.raises(Refusal) as refusal:
        redecide()
    assert (refusal.value.reason, refusal.value.facts) == ("recorded_otherwise", {"event_type": event.type})
    assert refusal.value.message.startswith(f"{event.type} can't have been recorded there; ")


class TestATask:
    def test_is_needed_and_so_is_its_workflow(self) -> None:
        world = running_world("t1")
        event = TaskAssigned(at=AT, agent_id="agent", reason="r")
        assert told_of_task(world, event) == event
        refused(event, lambda: redecide_task(None, event, 2, world.workflow()))
        refused(event, lambda: redecide_task(world.task("t1"), event, 2, None))

    @pytest.mark.parametrize(
        ("event", "what"),
        [
            (TaskAssigned(at=AT, agent_id="agent", reason="r"), "given assigned tasks"),
            (TaskStarted(at=AT), "given started tasks"),
        ],
        ids=["assigned", "started"],
    )
    def test_moves_only_while_its_workflow_runs(self, event: Event, what: str) -> None:
        world = running_world("t1")
        if isinstance(event, TaskStarted):
            world.given(assign("t1"))
        assert told_of_task(world, event) == event
        world.given(workflow_messages.PauseWorkflow(workflow_id="wf"))
        with pytest.raises(Refusal, match=f"Workflow wf is paused and can't be {what}; it must be running"):
            told_of_task(world, event)

    def test_that_ran_already_was_not_started(self) -> None:
        world = running_world("t1")
        start(world, "t1")
        event = TaskStarted(at=AT)
        refused(event, lambda: told_of_task(world, event))

    @pytest.mark.parametrize(
        ("limit", "deadline", "is_so"),
        [
            (None, None, True),
            (None, AT + timedelta(microseconds=333_333), True),  # by a default that the system had
            (None, AT, True),  # by one that was shorter than clocks tell
            (None, AT - timedelta(microseconds=1), False),
            (60.0, AT + timedelta(seconds=60), True),
            (60.0, AT + timedelta(seconds=61), False),
            (60.0, AT - timedelta(seconds=1), False),
            (60.0, None, False),
        ],
    )
    def test_has_until_its_limit_says(self, limit: float | None, deadline: Any, is_so: bool) -> None:
        world = running_world()
        world.given(add_task("t1", timeout=limit), messages.ScheduleTask(task_id="t1"), assign("t1"))
        event = TaskStarted(at=AT, deadline=deadline, estimated_completion=LATER)
        if is_so:
            assert told_of_task(world, event) == event
        else:
            refused(event, lambda: told_of_task(world, event))

    def test_left_outputs_where_they_are_new(self) -> None:
        world = running_world("t1")
        start(world, "t1")
        event = TaskOutputsRecorded(at=AT, outputs={"score": 1})
        assert told_of_task(world, event) == event
        world.given(messages.RecordOutputs(task_id="t1", outputs={"score": 1}))
        refused(event, lambda: told_of_task(world, event))


class TestARequirement:
    def world(self) -> World:
        world = running_world("done", "open", dependencies=("approval", "data"))
        world.given(add_task("t1", requires=("done", "open"), awaits=("approval", "data")))
        start(world, "done")
        world.given(
            messages.CompleteTask(task_id="done"),
            workflow_messages.SatisfyDependency(workflow_id="wf", dependency="approval"),
        )
        return world

    def unaware(self, world: World) -> Task:
        return replace(world.task("t1"), satisfied=())

    @pytest.mark.parametrize("name", ["done", "approval"])
    def test_that_is_met_was_met(self, name: str) -> None:
        world, event = self.world(), TaskRequirementMet(at=AT, requirement=name)
        assert redecide_task(self.unaware(world), event, 1, world.workflow()) == event

    @pytest.mark.parametrize("name", ["open", "data", "nothing"])
    def test_that_is_not_was_not(self, name: str) -> None:
        world, event = self.world(), TaskRequirementMet(at=AT, requirement=name)
        refused(event, lambda: redecide_task(self.unaware(world), event, 1, world.workflow()))


class TestATaskThatWasRolledBack:
    def redecide(self, phases: tuple[str, ...], version: int = 9, **restored: Any) -> Event:
        world = running_world()
        world.given(add_task("t1", phases=phases, max_attempts=3))
        task = world.task("t1")
        back = to_json(replace(task, **restored))
        event = TaskRolledBack(at=AT, reason="wrong", operator="me", restored=back)
        return redecide_task(task, event, version, world.workflow())

    @pytest.mark.parametrize(
        ("phases", "restored", "is_so"),
        [
            (("read", "write"), {}, True),
            (("read", "write"), {"phases_completed": ("read",), "current_phase": "write"}, True),
            (("read", "write"), {"phases_completed": ("read", "write")}, True),
            (("read", "write"), {"phases_completed": ("sing",)}, False),
            (("read", "write"), {"current_phase": "sing"}, False),
            ((), {"phases_completed": ("sing",), "current_phase": "dance"}, True),
        ],
    )
    def test_has_the_phases_that_it_was_given_or_any_if_it_was_given_none(
        self, phases: tuple[str, ...], restored: dict[str, Any], is_so: bool
    ) -> None:
        if is_so:
            assert self.redecide(phases, **restored).type == "TaskRolledBack"
        else:
            with pytest.raises(Refusal, match="TaskRolledBack can't have been recorded there"):
                self.redecide(phases, **restored)

    def test_was_retried_less_often_than_it_has_versions(self) -> None:
        assert self.redecide((), version=3, retry_count=2).type == "TaskRolledBack"
        for retries in (3, -1):
            with pytest.raises(Refusal, match="TaskRolledBack can't have been recorded there"):
                self.redecide((), version=3, retry_count=retries)


class TestAWorkflow:
    def test_was_created_once(self) -> None:
        event = WorkflowCreated(at=AT, workflow_id="wf", definition_id="d", definition_version="1")
        assert redecide_workflow(None, event, no_past) == event
        with pytest.raises(Refusal) as refusal:
            told_of_workflow(running_world(), event)
        assert refusal.value.reason == "workflow_exists"

    @pytest.mark.parametrize(
        "event",
        [
            WorkflowAmended(at=AT, context={"a": 1}, scheduled_completion=LATER),
            WorkflowFailed(at=AT, error="task t1 failed: broken", task_id="t1"),
            WorkflowFailed(at=AT, error="wrong"),
            WorkflowTaskChanged(at=AT, task_id="t1", state="scheduled", attempts_left=5),
        ],
        ids=["amended", "failed by a task", "failed", "a task of it changed"],
    )
    def test_was_told_all_that_the_event_says(self, event: Event) -> None:
        assert told_of_workflow(running_world("t1"), event) == event

    @pytest.mark.parametrize(
        "event",
        [WorkflowStarted(at=AT), WorkflowTaskChanged(at=AT, task_id="t9", state="scheduled")],
        ids=["started while it runs", "a task that it does not have changed"],
    )
    def test_was_not_told_what_is_nothing_new(self, event: Event) -> None:
        world = running_world("t1")
        refused(event, lambda: told_of_workflow(world, event))

    def test_is_needed(self) -> None:
        event = WorkflowStarted(at=AT)
        refused(event, lambda: redecide_workflow(None, event, no_past))
        world = World()
        world.given(create_workflow())
        assert told_of_workflow(world, event) == event
