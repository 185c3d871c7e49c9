"""All commands in any order on one small world: what holds between the aggregates holds after each of them."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from commands.messages import Command, agent, pool, system, task, workflow
from commands.messages.transaction import Transaction
from domain.agent import AGENT
from domain.pool import POOL
from domain.task import TASK
from domain.workflow import WORKFLOW
from dora_state.testing.commands import TASKS, any_command, dependencies, resources, task_ids, workflow_ids
from tests.property.commands.purposes import Purposes
from tests.support.command_world import (
    add_task,
    assign,
    at_once,
    create_pool,
    create_workflow,
    envelope,
    register_agent,
)
from tests.support.exported import check_exports, check_round_trip
from tests.support.former_release import check_upcasts
from tests.support.invariants import check_moves, check_world
from tests.support.time_travel import check_past

AGENTS = {"a1": ("read", "write"), "a2": ("read",)}
agent_ids = st.sampled_from(sorted(AGENTS))
ahead = st.sampled_from([None, 5, 60, 600])
"""Seconds from now."""
several = st.integers(0, 7)

TASK_PLAN = st.fixed_dictionaries(
    {
        "resource_requirements": st.just({}) | resources,
        "capabilities": st.sampled_from([(), (), ("read",), ("write",)]),
        "awaits": st.sampled_from([(), (), (), ("approval",)]),
    },
    optional={
        "max_attempts": st.integers(1, 2),
        "phases": st.just(("one", "two")),
        "timeout": st.just(50.0),
    },
)


def running_tasks(machine: "Commands") -> list[str]:
    return [task_id for task_id, one in machine.world.of_kind(TASK).items() if one.state == "running"]


def reservations(machine: "Commands") -> list[tuple[str, str]]:
    pools = machine.world.of_kind(POOL)
    return [(pool_id, one) for pool_id in pools for one in sorted(pools[pool_id].reservations)]


def busy_agents(machine: "Commands") -> list[str]:
    return [agent_id for agent_id, one in machine.world.of_kind(AGENT).items() if one.slots]


class Commands(Purposes):
    """Each rule does what would come next, or what spoils it; what is refused is as welcome as what is accepted."""

    looked_back_at = False

    @initialize(
        shape=st.fixed_dictionaries(
            {
                "completion": st.sampled_from(["automatic", "explicit"]),
                "on_task_failure": st.sampled_from(["fail", "continue"]),
                "dependencies": st.just(("approval", "data")),
            }
        ),
        plans=st.lists(TASK_PLAN, min_size=6, max_size=6),
        requires=st.booleans(),
        approved=st.booleans(),
        timeout=st.sampled_from([None, 30.0]),
        retries=st.integers(0, 2),
        looked_back_at=st.sampled_from([False, False, True]),
    )
    def a_world(
        self,
        shape: dict[str, Any],
        plans: list[dict[str, Any]],
        requires: bool,
        approved: bool,
        timeout: float | None,
        retries: int,
        looked_back_at: bool,
    ) -> None:
        world = self.world
        self.looked_back_at = looked_back_at
        world.accept(system.ConfigureSystem(environment="test", default_timeout=timeout, retry_attempts=retries))
        world.given(create_pool("p1", "6"), pool.ResizePool(pool_id="p1", total={"cpu": "6", "memory": "4Gi"}))
        for agent_id, capabilities in AGENTS.items():
            world.given(register_agent(agent_id, 3, capabilities=capabilities))
        for workflow_id, task_list in TASKS.items():
            world.given(create_workflow(workflow_id, **shape))
            for number, task_id in enumerate(task_list[:-1]):
                needed = (task_list[0],) if requires and number == 1 else ()
                world.given(add_task(task_id, workflow_id, requires=needed, **plans.pop()))
            world.given(workflow.StartWorkflow(workflow_id=workflow_id))
            if approved:
                world.given(workflow.SatisfyDependency(workflow_id=workflow_id, dependency="approval"))

    def later(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self.world.clock() + timedelta(seconds=seconds)

    def state(self, aggregate: Any, aggregate_id: str) -> str | None:
        found = self.world.find(aggregate, aggregate_id)
        return found.state if found else None

    def running_task(self, which: int) -> str:
        """One of the running tasks."""
        running = running_tasks(self)
        return running[which % len(running)]

    def further(self, task_id: str, agent_id: str, pool_id: str | None, seconds: int | None) -> None:
        """The next step towards a task's end."""
        match self.state(TASK, task_id):
            case "scheduled":
                expires_at = self.later(seconds) if pool_id else None
                self.do(assign(task_id, agent_id, pool_id=pool_id, reservation_expires_at=expires_at))
            case "assigned":
                self.do(task.StartTask(task_id=task_id, estimated_completion=self.later(seconds)))
            case "running":
                self.do(task.CompleteTask(task_id=task_id, outputs={"score": 0.5}))
            case "failed" | "timed_out":
                self.do(task.RetryTask(task_id=task_id))
            case "created":
                self.do(task.ScheduleTask(task_id=task_id))

    # --- what goes forward ----------------------------------------------------------------------------------

    @rule(task_id=task_ids, agent_id=agent_ids, seconds=ahead, pool_id=st.sampled_from(["p1", None]))
    def a_step(self, task_id: str, agent_id: str, seconds: int | None, pool_id: str | None) -> None:
        self.further(task_id, agent_id, pool_id, seconds)

    @rule(task_id=task_ids, agent_id=agent_ids, seconds=ahead, steps=st.integers(2, 5))
    def steps(self, task_id: str, agent_id: str, seconds: int | None, steps: int) -> None:
        for _ in range(steps):
            self.further(task_id, agent_id, "p1", seconds)

    @rule(agent_id=agent_ids, seconds=ahead)
    def all_tasks_start(self, agent_id: str, seconds: int | None) -> None:
        for task_id in [one for ids in TASKS.values() for one in ids]:
            while self.state(TASK, task_id) in ("created", "scheduled", "assigned"):
                before = self.state(TASK, task_id)
                self.further(task_id, agent_id, "p1", seconds)
                if self.state(TASK, task_id) == before:
                    break

    @precondition(lambda self: bool(running_tasks(self)))
    @rule(which=several, percentage=st.sampled_from([None, 10.0, 50.0]), seconds=ahead)
    def progress(self, which: int, percentage: float | None, seconds: int | None) -> None:
        task_id = self.running_task(which)
        self.do(task.ReportProgress(task_id=task_id, percentage=percentage, estimated_completion=self.later(seconds)))

    @rule(workflow_id=workflow_ids, dependency=dependencies)
    def satisfy(self, workflow_id: str, dependency: str) -> None:
        self.do(workflow.SatisfyDependency(workflow_id=workflow_id, dependency=dependency))

    @rule(seconds=st.sampled_from([0.000001, 1, 10, 40, 700]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.pass_(seconds)

    @rule(workflow_id=workflow_ids)
    def workflow_goes_on(self, workflow_id: str) -> None:
        kinds: dict[str | None, Callable[..., Command]] = {
            "failed": workflow.RetryWorkflow,
            "paused": workflow.ResumeWorkflow,
            "running": workflow.CompleteWorkflow,
        }
        kind = kinds.get(self.state(WORKFLOW, workflow_id), workflow.StartWorkflow)
        self.do(kind(workflow_id=workflow_id))

    @rule(agent_id=agent_ids)
    def agent_comes_back(self, agent_id: str) -> None:
        match self.state(AGENT, agent_id):
            case "deregistered":
                self.do(register_agent(agent_id, 2, capabilities=AGENTS[agent_id]))
            case "offline":
                self.do(agent.Heartbeat(agent_id=agent_id, queue_size=1))
            case _:
                self.do(agent.ReportHealth(agent_id=agent_id, state="healthy", checks={}))

    # --- what spoils it -------------------------------------------------------------------------------------

    @precondition(lambda self: bool(running_tasks(self)))
    @rule(which=several, again=st.booleans())
    def a_task_fails(self, which: int, again: bool) -> None:
        task_id = self.running_task(which)
        self.do(task.FailTask(task_id=task_id, error="broken"))
        if again:
            self.do(task.RetryTask(task_id=task_id))

    @precondition(lambda self: bool(running_tasks(self)))
    @rule(which=several, seconds=st.sampled_from([0, 400]))
    def a_task_times_out(self, which: int, seconds: int) -> None:
        self.world.clock.pass_(seconds)
        self.do(task.TimeOutTask(task_id=self.running_task(which)))

    @precondition(lambda self: bool(busy_agents(self)))
    @rule(which=several, kind=st.sampled_from([agent.MarkOffline, agent.DeregisterAgent]))
    def an_agent_is_lost(self, which: int, kind: Callable[..., Command]) -> None:
        busy = busy_agents(self)
        self.do(kind(agent_id=busy[which % len(busy)]))

    @precondition(lambda self: bool(reservations(self)))
    @rule(seconds=st.sampled_from([0, 10, 700]))
    def reservations_expire(self, seconds: int) -> None:
        self.world.clock.pass_(seconds)
        self.do(pool.ExpireReservations(pool_id="p1"))

    @rule(workflow_id=workflow_ids, how=st.sampled_from(["pause", "pause", "fail", "fail", "cancel"]))
    def workflow_stops(self, workflow_id: str, how: str) -> None:
        match how:
            case "pause":
                self.do(workflow.PauseWorkflow(workflow_id=workflow_id))
            case "fail":
                self.do(workflow.FailWorkflow(workflow_id=workflow_id, error="why"))
            case _:
                self.do(workflow.CancelWorkflow(workflow_id=workflow_id, reason="why"))

    @rule(workflow_id=workflow_ids, data=st.data(), alone=st.sampled_from([False, False, False, True]))
    def roll_back(self, workflow_id: str, data: st.DataObject, alone: bool) -> None:
        events = self.world.stream(f"workflow-{workflow_id}")
        to = data.draw(st.sampled_from(events[-12:]))
        cut: dict[str, Any] = data.draw(
            st.sampled_from(
                [
                    {"to_version": to.version},
                    {"to_position": to.position + to.following},
                    {"to_position": to.position + 1},
                    {"to_time": to.recorded_at},
                    {"to_time": to.recorded_at + timedelta(seconds=5)},
                ]
            )
        )
        command = workflow.RollBackWorkflow(
            workflow_id=workflow_id, reason="corruption", operator="admin", workflow_only=alone, **cut
        )
        self.do(command)

    @rule(data=st.data())
    def anything(self, data: st.DataObject) -> None:
        self.do(data.draw(any_command(self.world.clock())))

    @rule(data=st.data(), times=st.integers(2, 8))
    def anything_in_one_group(self, data: st.DataObject, times: int) -> None:
        commands = [data.draw(any_command(self.world.clock())) for _ in range(times)]
        answers = self.world.commit(*map(envelope, commands))
        assert {answer.outcome for answer in answers} <= {"accepted", "unchanged", "refused"}
        check_world(self.world)

    @rule(data=st.data(), times=st.integers(2, 5))
    def anything_as_one(self, data: st.DataObject, times: int) -> None:
        commands = [data.draw(any_command(self.world.clock())) for _ in range(times)]
        told = [one for one in commands if not isinstance(one, agent.Heartbeat)]
        if told:
            before = len(self.world.log.events)
            (answer,) = self.world.commit(envelope(Transaction(commands=tuple(told))))
            assert answer.outcome in ("accepted", "unchanged", "refused")
            recorded = self.world.log.events[before:]
            assert bool(recorded) == (answer.outcome == "accepted")
            assert [event.following for event in recorded] == list(range(len(recorded)))[::-1]

    @precondition(lambda self: bool(reservations(self)))
    @rule(which=several)
    def release(self, which: int) -> None:
        active = reservations(self)
        pool_id, reservation_id = active[which % len(active)]
        self.do(pool.Release(pool_id=pool_id, reservation_id=reservation_id))

    @invariant()
    def it_holds(self) -> None:
        check_world(self.world)

    def teardown(self) -> None:
        """All of the past takes twice as long as to come there, so not each life is looked back at."""
        check_moves(self.world.log.events)
        if self.looked_back_at:
            at_once(check_past(self.world.log, spacing=3))
            at_once(check_upcasts(self.world.log))
            asyncio.run(check_exports(self.world.log))
            asyncio.run(check_round_trip(self.world.log))


TestCommands = Commands.TestCase
TestCommands.settings = settings(
    max_examples=round(settings().max_examples * 0.4),
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
