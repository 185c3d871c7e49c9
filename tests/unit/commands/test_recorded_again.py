"""Each thing that can be recorded of a workflow and its tasks comes back from our export; none is taken on trust."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.messages import Command
from commands.messages import agent as agents
from commands.messages import pool as pools
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.redeciding import redecide_task, redecide_workflow
from commands.soundness import require_sound
from domain.agent import AgentDeregistered
from domain.aggregate import Event
from domain.errors import Refusal
from domain.task import TASK, TaskCreated, TaskScheduled
from domain.workflow import WORKFLOW, WorkflowCreated, WorkflowStarted, WorkflowTaskAdded
from tests.support.command_world import World, add_task, assign, create_workflow, register_agent, running_world, start
from tests.support.exported import check_round_trip, exported
from tests.unit.commands.test_recorded_traces import Events, data_of, done_world, forge, refused

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)


class TestComesBack:
    async def test_a_task_that_was_taken_from_its_agent(self) -> None:
        world = running_world("t1")
        world.given(assign("t1"), agents.DeregisterAgent(agent_id="agent"), register_agent("other"))
        start(world, "t1", agent_id="other", pool_id=None)
        assert "TaskUnassigned" in world.types("task-t1")
        await check_round_trip(world.log)

    async def test_progress_with_an_estimate_which_its_agent_shows_too(self) -> None:
        world = running_world("t1")
        start(world, "t1")
        soon = world.clock.pass_(0)
        world.given(tasks.ReportProgress(task_id="t1", percentage=40, estimated_completion=soon))
        await check_round_trip(world.log)

    async def test_what_was_recorded_a_moment_after_it_was_decided(self) -> None:
        world = running_world("t1")
        decided = world.clock
        world.log._clock = lambda: decided() + timedelta(milliseconds=3)
        start(world, "t1")
        await check_round_trip(world.log)

    @pytest.mark.parametrize("end", ["fail", "time out", "expire"])
    async def test_an_attempt_that_failed_and_the_next_one(self, end: str) -> None:
        world = running_world(on_task_failure="continue")
        world.given(add_task("t1", timeout=10, max_attempts=2, resource_requirements={"cpu": "2"}))
        world.given(tasks.ScheduleTask(task_id="t1"))
        expiry = world.clock.pass_(0).replace(minute=5)
        start(world, "t1", reservation_expires_at=expiry)
        world.clock.pass_(600)
        ends: dict[str, tuple[Command, str]] = {
            "fail": (tasks.FailTask(task_id="t1", error="out of memory"), "TaskFailed"),
            "time out": (tasks.TimeOutTask(task_id="t1"), "TaskTimedOut"),
            "expire": (pools.ExpireReservations(pool_id="pool"), "TaskTimedOut"),
        }
        command, type = ends[end]
        world.given(command, tasks.RetryTask(task_id="t1"))
        assert {type, "TaskRetried"} <= set(world.types("task-t1"))
        await check_round_trip(world.log)

    async def test_a_workflow_that_was_scheduled_and_told_to_complete(self) -> None:
        world = World()
        later = world.clock.now.replace(day=18)
        world.given(
            create_workflow(completion="explicit"),
            workflows.ScheduleWorkflow(workflow_id="wf", start_at=later, scheduled_completion=later),
            register_agent(),
            workflows.StartWorkflow(workflow_id="wf"),
            add_task("t1"),
            tasks.ScheduleTask(task_id="t1"),
        )
        start(world, "t1", pool_id=None)
        world.given(tasks.CompleteTask(task_id="t1"), workflows.CompleteWorkflow(workflow_id="wf"))
        await check_round_trip(world.log)


class TestNotOnTrust:
    async def refused_after(self, world: World, type: str, **values: Any) -> set[str]:
        def change(events: Events) -> None:
            data_of(events, type).update(values)

        _, codes = await refused(forge(await exported(world.log, "xes"), change))
        return codes

    @pytest.mark.parametrize("version", [-1, 0, 99])
    async def test_a_rollback_to_a_version_that_there_never_was(self, version: int) -> None:
        world = done_world()
        world.given(workflows.RollBackWorkflow(workflow_id="wf", to_version=3, reason="wrong", operator="me"))
        assert await self.refused_after(world, "WorkflowRolledBack", to_version=version) == {"recorded_otherwise"}

    async def test_a_task_whose_requirement_was_met_without_its_knowledge(self) -> None:
        def change(events: Events) -> None:
            events[:] = [event for event in events if event[1] != "TaskRequirementMet"]

        _, codes = await refused(forge(await exported(done_world().log, "xes"), change))
        assert "recorded_otherwise" in codes

    async def test_a_task_that_requires_what_its_workflow_does_not_have(self) -> None:
        world = World()
        world.given(create_workflow(), add_task("t1"))

        def change(events: Events) -> None:
            for type in ("TaskCreated", "WorkflowTaskAdded"):
                data_of(events, type)["requires"] = ["nothing"]

        back, codes = await refused(forge(await exported(world.log, "xes"), change))
        assert codes
        assert back.workflow().tasks == {}

    def test_a_task_that_requires_what_was_never_told_of(self) -> None:
        created = TaskCreated(at=AT, task_id="t1", workflow_id="wf", definition_id="d", requires=("nothing",))
        added = WorkflowTaskAdded(
            at=AT, task_id="t1", definition_id="d", requires=("nothing",), attempts_left=created.max_attempts - 1
        )
        begun = WorkflowCreated(at=AT, workflow_id="wf", definition_id="d", definition_version="1")
        workflow, task = WORKFLOW.fold([begun, added]), TASK.fold([created])
        assert workflow is not None
        assert task is not None
        with pytest.raises(Refusal, match="What is told of task t1 can't be all that was recorded"):
            require_sound(workflow, [task])

    @pytest.mark.parametrize(
        "event", [TaskScheduled(at=AT), AgentDeregistered(at=AT)], ids=["of a task", "of something else"]
    )
    def test_what_happened_to_what_is_not_there(self, event: Event) -> None:
        with pytest.raises(Refusal, match="can't have been recorded there"):
            redecide_task(None, event, 0, None)
        with pytest.raises(Refusal, match="can't have been recorded there"):
            redecide_workflow(None, event, lambda _: None)

    def test_an_event_that_is_of_another_kind(self) -> None:
        world = done_world()
        with pytest.raises(Refusal, match="WorkflowStarted can't have been recorded there"):
            redecide_task(world.task("t1"), WorkflowStarted(at=AT), 3, world.workflow())
        with pytest.raises(Refusal, match="TaskScheduled can't have been recorded there"):
            redecide_workflow(world.workflow(), TaskScheduled(at=AT), lambda _: None)
