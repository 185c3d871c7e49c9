"""Whatever is decided in whatever order, an agent keeps what DESIGN 3 says of it."""

from datetime import datetime
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain import agent
from domain.agent import (
    ABLE_TO_WORK,
    AGENT,
    Agent,
    AgentCapacityChanged,
    AgentRegistered,
    AgentSlotFreed,
    AgentSlotTaken,
    AgentTaskStarted,
    Check,
    Health,
    SlotOutcome,
)
from domain.aggregate import Event
from tests.support.aggregate_machine import LIVES, AggregateMachine, times

CAPABILITIES = ["parse", "sign", "seal"]
tasks = st.sampled_from(["t1", "t2", "t3", "t4"])
some_capabilities = st.lists(st.sampled_from(CAPABILITIES), unique=True).map(tuple)


class AgentMachine(AggregateMachine):
    aggregate = AGENT
    state: Agent

    @initialize(at=times, capabilities=some_capabilities, slots=st.integers(1, 3))
    def begin(self, at: datetime, capabilities: tuple[str, ...], slots: int) -> None:
        self.register(at, capabilities, slots, "healthy")

    @rule(
        at=times,
        capabilities=some_capabilities,
        slots=st.integers(1, 3),
        state=st.sampled_from(["registered", "healthy"]),
    )
    def register(self, at: datetime, capabilities: tuple[str, ...], slots: int, state: Any) -> None:
        event = AgentRegistered(
            at=at, agent_id="a", agent_type="x", capabilities=capabilities, max_concurrent_tasks=slots, state=state
        )
        self.decide(lambda a: agent.register(a, event))

    @rule(at=times, task_id=tasks, needs=some_capabilities)
    def take_slot(self, at: datetime, task_id: str, needs: tuple[str, ...]) -> None:
        event = AgentSlotTaken(at=at, task_id=task_id, workflow_id="w")
        before = self.state.copy()
        for _ in self.decide(lambda a: agent.take_slot(a, needs, event)):
            assert before.state in ABLE_TO_WORK
            assert set(needs) <= set(before.capabilities)
            assert task_id not in before.slots

    @rule(at=times, task_id=tasks, estimate=st.none() | times)
    def start_task(self, at: datetime, task_id: str, estimate: datetime | None) -> None:
        before = self.state.copy()
        for _ in self.decide(lambda a: agent.start_task(a, task_id, estimate, at)):
            assert before.state in ABLE_TO_WORK

    @rule(at=times, task_id=tasks, estimate=st.none() | times)
    def estimate_task(self, at: datetime, task_id: str, estimate: datetime | None) -> None:
        self.decide(lambda a: agent.estimate_task(a, task_id, estimate, at))

    @rule(at=times, task_id=tasks, outcome=st.sampled_from(get_args(SlotOutcome)), seconds=st.floats(0, 1e6))
    def free_slot(self, at: datetime, task_id: str, outcome: SlotOutcome, seconds: float) -> None:
        time = seconds if outcome == "completed" else None
        self.decide(lambda a: agent.free_slot(a, task_id, outcome, time, at))

    @rule(
        at=times,
        state=st.sampled_from(get_args(Health)),
        checks=st.dictionaries(st.sampled_from(["cpu", "disk"]), st.sampled_from(get_args(Check))),
    )
    def report_health(self, at: datetime, state: Health, checks: dict[str, Check]) -> None:
        self.decide(lambda a: agent.report_health(a, state, checks, at))

    @rule(at=times)
    def hear_from(self, at: datetime) -> None:
        before = self.state.copy()
        for _ in self.decide(lambda a: agent.hear_from(a, at)):
            assert before.state == "offline"
            assert self.state.state == before.health

    @rule(at=times, slots=st.integers(1, 4))
    def change_capacity(self, at: datetime, slots: int) -> None:
        self.decide(lambda a: agent.change_capacity(a, slots, at))

    @rule(at=times, version=st.sampled_from(["1", "2"]), config_hash=st.none() | st.just("abc"))
    def update_configuration(self, at: datetime, version: str, config_hash: str | None) -> None:
        self.decide(lambda a: agent.update_configuration(a, version, config_hash, at))

    @rule(at=times)
    def go_offline(self, at: datetime) -> None:
        self.decide(lambda a: agent.go_offline(a, "no heartbeat", at))

    @precondition(lambda self: self.state is not None and not self.state.slots)
    @rule(at=times)
    def deregister(self, at: datetime) -> None:
        self.decide(lambda a: agent.deregister(a, "retired", at))

    def check_step(self, before: Agent | None, event: Event, after: Agent) -> None:
        assert 0 <= len(after.slots) <= after.max_concurrent_tasks
        assert after.available_slots == after.max_concurrent_tasks - len(after.slots)
        assert after.able_to_work == (after.state in ("healthy", "degraded"))
        freed = [e for e in (*self.events, event) if isinstance(e, AgentSlotFreed)]
        assert after.completed == sum(e.outcome == "completed" for e in freed)
        if before is not None and isinstance(event, AgentSlotFreed):
            started = before.slots[event.task_id].started_at is not None
            assert after.failed - before.failed == (started and event.outcome in ("failed", "timed_out"))
        assert after.timed == sum(e.execution_time is not None for e in freed)
        assert after.execution_time == sum(e.execution_time or 0.0 for e in freed)
        if before is not None and not isinstance(event, AgentSlotTaken):
            assert set(after.slots) <= set(before.slots)
        if before is not None and not isinstance(event, AgentSlotFreed | AgentRegistered):
            assert set(after.slots) >= set(before.slots)
        if before is not None and not isinstance(event, AgentTaskStarted):
            assert all(
                slot.started_at == before.slots[name].started_at
                for name, slot in after.slots.items()
                if name in before.slots
            )
        if before is not None and not isinstance(event, AgentCapacityChanged | AgentRegistered):
            assert after.max_concurrent_tasks == before.max_concurrent_tasks


AgentMachine.TestCase.settings = LIVES
TestAgent = AgentMachine.TestCase
