"""What the decisions of an agent give, refuse, and leave alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import agent
from domain.agent import (
    AGENT,
    Agent,
    AgentCapacityChanged,
    AgentConfigurationUpdated,
    AgentDeregistered,
    AgentHealthReported,
    AgentRegistered,
    AgentReturned,
    AgentSlotFreed,
    AgentSlotTaken,
    AgentTaskEstimated,
    AgentTaskStarted,
    AgentWentOffline,
    Slot,
)
from domain.aggregate import Event
from domain.values import iso
from tests.support.decider import given

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def registered(**fields: Any) -> AgentRegistered:
    named: dict[str, Any] = {
        "agent_id": "a1",
        "agent_type": "analyzer",
        "capabilities": ("parse",),
        "max_concurrent_tasks": 2,
    }
    return AgentRegistered(at=AT, **(named | fields))


def taken(task_id: str) -> AgentSlotTaken:
    return AgentSlotTaken(at=AT, task_id=task_id, workflow_id="w1")


def fold(*events: Event) -> Agent:
    state = AGENT.fold(events)
    assert state is not None
    return state


HEALTHY = AgentHealthReported(at=AT, state="healthy")
OFFLINE = AgentWentOffline(at=AT, reason="no heartbeat")
GONE = AgentDeregistered(at=AT)
AT_WORK = (registered(), HEALTHY)
FREED = AgentSlotFreed(at=AT, task_id="t1", outcome="completed", execution_time=5)
STARTED = AgentTaskStarted(at=AT, task_id="t1")


def test_an_agent_registers_once() -> None:
    given(AGENT).when(lambda a: agent.register(a, registered())).then(registered())
    given(AGENT, registered()).when(lambda a: agent.register(a, registered())).then()


def test_an_agent_is_the_same_whatever_the_order_of_its_capabilities() -> None:
    first, again = registered(capabilities=("parse", "sign")), registered(capabilities=("sign", "parse", "sign"))
    given(AGENT, first).when(lambda a: agent.register(a, again)).then()


@pytest.mark.parametrize(
    "other",
    [{"agent_type": "x"}, {"node_id": "n"}, {"instance_id": "i"}, {"capabilities": ()}, {"max_concurrent_tasks": 3}],
)
def test_an_agent_that_is_registered_otherwise_is_refused(other: dict[str, Any]) -> None:
    given(AGENT, registered()).when(lambda a: agent.register(a, registered(**other))).refused(
        "agent_exists", agent_id="a1", state="registered"
    )


def test_a_deregistered_agent_may_come_back_and_keeps_its_record() -> None:
    events = (*AT_WORK, taken("t1"), FREED, GONE)
    again = registered(agent_type="other")
    given(AGENT, *events).when(lambda a: agent.register(a, again)).then(again)
    state = fold(*events, again)
    assert (state.completed, state.timed, state.execution_time, state.agent_type) == (1, 1, 5.0, "other")


def test_an_agent_that_registers_again_tells_what_is_new_of_it() -> None:
    again = registered(state="healthy", configuration_version="2", config_hash="sha256:abc")
    configured = AgentConfigurationUpdated(at=LATER, configuration_version="2", config_hash="sha256:abc")
    returned, healthy = AgentReturned(at=LATER, state="registered"), AgentHealthReported(at=LATER, state="healthy")
    given(AGENT, registered(), OFFLINE).when(lambda a: agent.register(a, again.model_copy(update={"at": LATER}))).then(
        configured, returned, healthy
    )
    given(AGENT, registered(), configured, healthy).when(lambda a: agent.register(a, again)).then()
    given(AGENT, registered(), configured, healthy).when(lambda a: agent.register(a, registered())).then()


def test_a_slot_is_taken_once() -> None:
    given(AGENT, *AT_WORK).when(lambda a: agent.take_slot(a, ("parse",), taken("t1"))).then(taken("t1"))
    given(AGENT, *AT_WORK, taken("t1")).when(lambda a: agent.take_slot(a, ("parse",), taken("t1"))).then()
    assert fold(*AT_WORK, taken("t1")).available_slots == 1


def test_a_slot_that_a_rollback_gives_back_has_its_times() -> None:
    given_back = taken("t1").model_copy(update={"started_at": AT, "estimated_completion": LATER, "priority": "high"})
    assert fold(*AT_WORK, given_back).slots == {"t1": Slot("w1", "high", AT, LATER)}


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (None, "registered"),
        (AgentHealthReported(at=AT, state="unhealthy"), "unhealthy"),
        (OFFLINE, "offline"),
        (GONE, "deregistered"),
    ],
)
def test_an_agent_that_is_not_able_to_work_takes_and_starts_nothing(event: Event | None, state: str) -> None:
    events = [registered(), *([event] if event else [])]
    given(AGENT, *events).when(lambda a: agent.take_slot(a, (), taken("t1"))).refused(
        "agent_unable", agent_id="a1", state=state
    )
    given(AGENT, *events).when(lambda a: agent.start_task(a, "t1", None, AT)).refused(
        "agent_unable", agent_id="a1", state=state
    )


def test_a_degraded_agent_still_works() -> None:
    given(AGENT, registered(), AgentHealthReported(at=AT, state="degraded")).when(
        lambda a: agent.take_slot(a, (), taken("t1"))
    ).then(taken("t1"))


def test_an_agent_without_a_capability_is_refused_with_what_is_missing() -> None:
    given(AGENT, *AT_WORK).when(lambda a: agent.take_slot(a, ("parse", "sign", "seal"), taken("t1"))).refused(
        "capability_missing", agent_id="a1", missing=["sign", "seal"]
    )


def test_a_full_agent_is_refused() -> None:
    given(AGENT, *AT_WORK, taken("t1"), taken("t2")).when(lambda a: agent.take_slot(a, (), taken("t3"))).refused(
        "agent_full", agent_id="a1", max_concurrent_tasks=2
    )


def test_a_task_starts_in_its_slot() -> None:
    event = AgentTaskStarted(at=LATER, task_id="t1", estimated_completion=LATER)
    given(AGENT, *AT_WORK, taken("t1")).when(lambda a: agent.start_task(a, "t1", LATER, LATER)).then(event)
    slot = fold(*AT_WORK, taken("t1"), event).slots["t1"]
    assert (slot.started_at, slot.estimated_completion) == (LATER, LATER)


def test_a_task_that_has_started_keeps_its_start_time() -> None:
    state = fold(*AT_WORK, taken("t1"), STARTED)
    for event in agent.start_task(state, "t1", None, LATER):
        state = agent.evolve(state, event)
    assert state.slots["t1"].started_at == AT


def test_a_task_that_the_agent_does_not_have_leaves_no_event_that_cannot_be_folded() -> None:
    state = fold(*AT_WORK)
    outcome = given(AGENT, *AT_WORK).when(lambda a: agent.start_task(a, "t9", None, AT))
    assert AGENT.fold(outcome.events or [], state.copy()) == state


def test_an_estimate_is_noted_when_it_changes() -> None:
    event = AgentTaskEstimated(at=AT, task_id="t1", estimated_completion=LATER)
    events = (*AT_WORK, taken("t1"), STARTED)
    given(AGENT, *events).when(lambda a: agent.estimate_task(a, "t1", LATER, AT)).then(event)
    given(AGENT, *events, event).when(lambda a: agent.estimate_task(a, "t1", LATER, AT)).then()
    given(AGENT, *events).when(lambda a: agent.estimate_task(a, "t1", None, AT)).then()
    given(AGENT, *events).when(lambda a: agent.estimate_task(a, "t9", LATER, AT)).then()


def test_a_slot_is_freed_once() -> None:
    given(AGENT, *AT_WORK, taken("t1")).when(lambda a: agent.free_slot(a, "t1", "completed", 5, AT)).then(FREED)
    given(AGENT, *AT_WORK, taken("t1"), FREED).when(lambda a: agent.free_slot(a, "t1", "completed", 5, AT)).then()


@pytest.mark.parametrize(
    ("outcome", "completed", "failed"),
    [
        ("completed", 1, 0),
        ("failed", 0, 1),
        ("timed_out", 0, 1),
        ("cancelled", 0, 0),
        ("unassigned", 0, 0),
        ("rolled_back", 0, 0),
    ],
)
def test_counters_follow_from_what_became_of_a_task(outcome: str, completed: int, failed: int) -> None:
    freed = AgentSlotFreed.model_validate({"at": AT, "task_id": "t1", "outcome": outcome})
    state = fold(*AT_WORK, taken("t1"), STARTED, freed)
    assert (state.completed, state.failed, state.timed, state.execution_time) == (completed, failed, 0, 0.0)


@pytest.mark.parametrize("outcome", ["failed", "timed_out"])
def test_what_was_never_started_is_nobodys_failure(outcome: str) -> None:
    freed = AgentSlotFreed.model_validate({"at": AT, "task_id": "t1", "outcome": outcome})
    assert fold(*AT_WORK, taken("t1"), freed).failed == 0


def test_health_is_recorded_when_it_changes() -> None:
    event = AgentHealthReported(at=AT, state="degraded", checks={"cpu": "warning"})
    given(AGENT, *AT_WORK).when(lambda a: agent.report_health(a, "degraded", {"cpu": "warning"}, AT)).then(event)
    given(AGENT, *AT_WORK, event).when(lambda a: agent.report_health(a, "degraded", {"cpu": "warning"}, LATER)).then()
    given(AGENT, *AT_WORK, event).when(lambda a: agent.report_health(a, "degraded", {}, AT)).then(
        AgentHealthReported(at=AT, state="degraded")
    )
    given(AGENT, *AT_WORK, event, OFFLINE).when(
        lambda a: agent.report_health(a, "degraded", {"cpu": "warning"}, AT)
    ).then(event)


def test_a_heartbeat_is_an_event_only_from_an_agent_thought_to_be_away() -> None:
    degraded = AgentHealthReported(at=AT, state="degraded")
    given(AGENT, *AT_WORK).when(lambda a: agent.hear_from(a, AT)).then()
    given(AGENT, registered(), degraded, OFFLINE).when(lambda a: agent.hear_from(a, AT)).then(
        AgentReturned(at=AT, state="degraded")
    )
    assert fold(*AT_WORK, OFFLINE, AgentReturned(at=LATER, state="healthy")).heard_at == LATER


def test_an_agent_that_never_reported_its_health_is_not_healthy_for_having_been_away() -> None:
    state = fold(registered(), OFFLINE)
    for event in agent.hear_from(state, AT):
        state = agent.evolve(state, event)
    assert not state.able_to_work


def test_capacity_changes_but_not_below_what_is_in_use() -> None:
    given(AGENT, *AT_WORK).when(lambda a: agent.change_capacity(a, 5, AT)).then(
        AgentCapacityChanged(at=AT, max_concurrent_tasks=5)
    )
    given(AGENT, *AT_WORK).when(lambda a: agent.change_capacity(a, 2, AT)).then()
    given(AGENT, *AT_WORK, taken("t1"), taken("t2")).when(lambda a: agent.change_capacity(a, 1, AT)).refused(
        "capacity_in_use", agent_id="a1", current_tasks=2, max_concurrent_tasks=1
    )


def test_configuration_is_recorded_when_it_changes() -> None:
    event = AgentConfigurationUpdated(at=AT, configuration_version="1.2", config_hash="sha256:abc")
    given(AGENT, *AT_WORK).when(lambda a: agent.update_configuration(a, "1.2", "sha256:abc", AT)).then(event)
    given(AGENT, *AT_WORK, event).when(lambda a: agent.update_configuration(a, "1.2", "sha256:abc", AT)).then()
    assert fold(*AT_WORK, event).configured_at == AT
    assert fold(registered(configuration_version="1")).configured_at == AT
    assert fold(registered()).configured_at is None


def test_an_agent_goes_offline_once() -> None:
    given(AGENT, *AT_WORK).when(lambda a: agent.go_offline(a, "no heartbeat", AT)).then(OFFLINE)
    given(AGENT, *AT_WORK, OFFLINE).when(lambda a: agent.go_offline(a, "no heartbeat", AT)).then()


def test_an_agent_that_was_heard_of_meanwhile_does_not_go_offline_for_its_silence() -> None:
    given(AGENT, *AT_WORK).when(lambda a: agent.go_offline(a, "no heartbeat", AT, silent_since=AT)).then(OFFLINE)
    before = AT - timedelta(seconds=1)
    given(AGENT, *AT_WORK).when(lambda a: agent.go_offline(a, "no heartbeat", AT, silent_since=before)).refused(
        "agent_not_silent", agent_id="a1", heard_at=iso(AT), silent_since=iso(before)
    )


def test_an_agent_is_deregistered_once() -> None:
    given(AGENT, *AT_WORK).when(lambda a: agent.deregister(a, None, AT)).then(GONE)
    given(AGENT, *AT_WORK, GONE).when(lambda a: agent.deregister(a, None, AT)).then()
    given(AGENT, *AT_WORK).when(lambda a: agent.deregister(a, "replaced", AT)).then(
        AgentDeregistered(at=AT, reason="replaced")
    )


def test_a_deregistered_agent_must_register_first() -> None:
    for decide in (
        lambda a: agent.report_health(a, "healthy", {}, AT),
        lambda a: agent.hear_from(a, AT),
        lambda a: agent.change_capacity(a, 3, AT),
        lambda a: agent.update_configuration(a, "2", None, AT),
        lambda a: agent.go_offline(a, "gone", AT),
    ):
        given(AGENT, *AT_WORK, GONE).when(decide).refused("agent_deregistered", agent_id="a1")


def test_an_agent_that_registers_again_after_it_was_offline_is_back() -> None:
    again = registered(state="healthy")
    given(AGENT, *AT_WORK, OFFLINE).when(lambda a: agent.register(a, again)).then(AgentReturned(at=AT, state="healthy"))


def test_an_agent_that_registers_again_healthy_is_so_from_then_on() -> None:
    given(AGENT, registered()).when(lambda a: agent.register(a, registered(state="healthy"))).then(HEALTHY)
