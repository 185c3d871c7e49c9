"""Each rule of what holds of aggregates, and between them, is told when it alone is broken, and not at its bounds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain import agent, task, workflow
from dora_state.testing.invariants import broken
from tests.support.true_states import (
    Change,
    States,
    gone,
    of_another_kind,
    only,
    reserved,
    retold,
    together,
    true_states,
)
from tests.support.untrue_states import (
    NOW,
    OF_AGENTS,
    OF_PLACES,
    OF_POOLS,
    OF_TASKS,
    OF_WORKFLOWS,
    SLOT,
    TWO_STORIES,
    lent,
)

NOBODY = {"agent_id": None, "assigned_at": None}


def found(change: Change, *touched: str) -> list[str]:
    states = true_states()
    change(states)
    return list(broken(states, touched))


# --- what is allowed --------------------------------------------------------------------------------------


def test_what_commands_left_is_unbroken() -> None:
    states = true_states()
    assert list(broken(states, states)) == []


def test_the_states_are_all_that_there_are_and_what_may_be_used_up_is() -> None:
    """So that it says something that nothing is broken."""
    states = true_states()
    for prefix, all_states in (
        ("task-", {*task.OPEN, "completed", "failed", "timed_out", "cancelled"}),
        ("workflow-", workflow.ALL),
        ("agent-", agent.ABLE_TO_WORK | {"registered", "unhealthy", "offline", "deregistered"}),
    ):
        assert {state.state for name, state in states.items() if name.startswith(prefix)} == all_states
    busy, full, pool = (states[name] for name in ("task-busy", "agent-agent", "pool-pool"))
    assert (busy.attempt, busy.percentage) == (busy.max_attempts, 100)
    assert set(busy.capabilities) == set(full.capabilities)
    assert states["workflow-failed"].retry_count == states["workflow-failed"].max_retries > 0
    assert len(full.slots) == full.max_concurrent_tasks
    assert full.timed == full.completed > 0
    assert pool.allocated == lent(4)
    assert pool.limit("cpu") == 4
    assert any(one.task_id is None for one in pool.reservations.values())


@pytest.mark.parametrize(
    ("stream_id", "change"),
    [
        ("task-busy", only("task-busy", percentage=99.5)),
        ("task-busy", retold("busy", max_attempts=3)),
        # It failed in an attempt before this one; that is no error in the workflow's document.
        ("task-busy", only("task-busy", last_error="another")),
        ("task-busy", only("agent-agent", capabilities=("more", "read", "write"))),
        # Nobody tells a task that has come to such an end of what it waited for.
        ("task-dropped", retold("dropped", awaits=("data",))),
        # What it did not wait for is nothing to it.
        ("task-fresh", only("workflow-wf", satisfied=("data", "later"))),
        ("workflow-wf", only("workflow-wf", retry_count=3)),
        ("workflow-failed", only("workflow-failed", on_task_failure="continue")),
        ("workflow-failed", retold("of-failed", state="timed_out")),
        ("workflow-failed", retold("unbegun", state="scheduled")),
        ("workflow-lenient", retold("of-lenient", state="timed_out")),
        ("workflow-created", retold("of-created", state="cancelled", ended_at=NOW)),
        ("workflow-scheduled", retold("of-scheduled", state="created")),
        ("workflow-paused", only("workflow-paused", counts={"running": 2, "failed": 0})),
        ("agent-agent", only("agent-agent", max_concurrent_tasks=3)),
        ("agent-agent", only("agent-agent", completed=2, execution_time=0.0)),
        ("pool-pool", only("pool-pool", total={"cpu": Decimal(3)})),
        (
            "pool-pool",
            together(reserved("busy", resources={"cpu": "1500m"}), reserved("given", resources={"cpu": "1.5"})),
        ),
    ],
)
def test_what_is_allowed_is_found_so(stream_id: str, change: Change) -> None:
    assert found(change, stream_id) == []


def test_an_agent_named_none_is_not_the_agent_of_a_task_that_has_none() -> None:
    def name_it(states: States) -> None:
        states["agent-None"] = replace(states["agent-idle"], agent_id="None", slots={"next": SLOT})

    assert found(name_it, "task-next") == []


# --- what is not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sentence", "change"), [*OF_TASKS, *OF_PLACES, *OF_WORKFLOWS, *OF_AGENTS, *OF_POOLS])
def test_a_rule_that_alone_is_broken_is_told(sentence: str, change: Change) -> None:
    assert found(change, sentence.partition(":")[0]) == [f"{sentence}."]


@pytest.mark.parametrize(("task_id", "what", "change"), TWO_STORIES)
def test_a_task_and_its_workflow_both_tell_that_they_tell_two_stories(task_id: str, what: str, change: Change) -> None:
    for stream_id in (f"task-{task_id}", "workflow-wf"):
        assert found(change, stream_id) == [f"{stream_id}: {what}."]


@pytest.mark.parametrize(
    "change",
    [
        gone("task-busy"),
        of_another_kind("task-busy"),
        only("task-busy", pool_id="other"),
        only("task-busy", reservation_id="other"),
        only("task-busy", pool_id=None, reservation_id=None),
    ],
)
def test_a_reservation_of_a_task_that_does_not_hold_it_is_told(change: Change) -> None:
    reservation_id = true_states()["task-busy"].reservation_id
    assert found(change, "pool-pool") == [
        f"pool-pool: reservation {reservation_id} is of task busy, which does not hold it."
    ]


@pytest.mark.parametrize(
    ("change", "stream_id", "sentences"),
    [
        # Nobody has a slot for the task of nobody.
        (
            retold("hardly", **NOBODY),
            "task-hardly",
            [
                "it is running without an agent, or has ended",
                "it is in an agent's hands that has no slot for it",
            ],
        ),
        # Who was started has made its workflow start.
        (
            only("workflow-wf", state="scheduled"),
            "workflow-wf",
            ["it is scheduled and was started", "it is scheduled, and 5 of its tasks have begun"],
        ),
    ],
)
def test_rules_that_can_only_be_broken_together_are_both_told(
    change: Change, stream_id: str, sentences: list[str]
) -> None:
    assert found(change, stream_id) == [f"{stream_id}: {sentence}." for sentence in sentences]


def test_what_is_reserved_is_added_without_loss() -> None:
    """Beyond the digits that a sum of decimals keeps by itself."""
    of_both_and_of_nobody = Decimal("500000000000000000000001.000000001")
    change = together(
        reserved("busy", resources={"cpu": "5E23"}),
        reserved("given", resources={"cpu": "1E-9"}),
        only("pool-pool", total={"cpu": Decimal("1E24")}, allocated={**lent(0), "cpu": of_both_and_of_nobody}),
    )
    assert [one for one in found(change, "pool-pool") if "is allocated" in one] == []


# --- of several streams -----------------------------------------------------------------------------------

OF_EACH_KIND = {
    "task-fresh": "its progress is -1",
    "workflow-paused": "unsettled tasks are miscounted",
    "agent-agent": "its execution time is -1",
    "pool-pool": "4 of cpu is beyond the limit",
}
BREAK_ALL = together(
    only("task-fresh", percentage=-1),
    only("workflow-paused", unsettled=0),
    only("agent-agent", execution_time=-1),
    only("pool-pool", overcommit={}),
)


@pytest.mark.parametrize("order", [1, -1])
def test_each_stream_that_was_touched_is_told_of_in_its_turn(order: int) -> None:
    """No rule is of the system, which is between the others and hides none of them."""
    among = [one for stream_id in OF_EACH_KIND for one in ("system-platform", stream_id, "task-done")][::order]
    assert found(BREAK_ALL, *among) == [
        f"{stream_id}: {OF_EACH_KIND[stream_id]}." for stream_id in among if stream_id in OF_EACH_KIND
    ]


def test_of_what_was_not_touched_nothing_is_told() -> None:
    assert found(BREAK_ALL, "system-platform", "task-done", "workflow-wf", "agent-idle") == []
    assert found(BREAK_ALL) == []
