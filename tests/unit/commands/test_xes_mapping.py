"""Each row of the mapping's table: what an event of an XES log does to the open items of its activity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from commands.xes_mapping import MAX_NAMES, NOBODY, Step, XesMapping, escape, name_for_nobody


@dataclass(frozen=True)
class Logged:
    transition: str | None
    activity: str | None = "A"
    resource: str | None = "anna"
    trace_id: str = "case"
    last_of_trace: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)


def steps(*events: Logged | str, mapping: XesMapping | None = None) -> list[Step]:
    mapping = mapping or XesMapping()
    return [mapping.step(Logged(event) if isinstance(event, str) else event) for event in events]


def told(*events: Logged | str) -> list[tuple[str, ...]]:
    """The number of the item with the operations, for each event."""
    found = steps(*events)
    return [((step.task_id or "").rpartition("#")[2], *step.operations) for step in found]


@pytest.mark.parametrize(
    ("events", "last"),
    [
        # schedule: always a new task
        (["schedule"], ("1", "create")),
        (["schedule", "schedule"], ("2", "create")),
        # start: the oldest that is scheduled and not started, else one of that moment
        (["schedule", "schedule", "start"], ("1", "start")),
        (["schedule", "start", "start"], ("2", "create", "start")),
        (["start"], ("1", "create", "start")),
        # complete: the oldest running, else the oldest scheduled, else a task of one moment
        (["start", "start", "complete"], ("1", "complete")),
        (["schedule", "schedule", "complete"], ("1", "start", "complete")),
        (["complete"], ("1", "create", "start", "complete")),
        (["schedule", "start", "complete", "complete"], ("2", "create", "start", "complete")),
        # suspend and resume
        (["start", "suspend"], ("1", "suspend")),
        (["start", "start", "suspend", "suspend"], ("2", "suspend")),
        (["start", "start", "suspend", "suspend", "resume"], ("1", "resume")),
        (["start", "suspend", "complete"], ("1", "complete")),
        (["schedule", "resume"], ("1", "start")),
        (["start", "resume"], ("2", "create", "start")),
        # cancelling
        (["schedule", "start", "ate_abort"], ("1", "cancel")),
        (["schedule", "schedule", "start", "pi_abort"], ("1", "cancel")),
        (["start", "schedule", "withdraw"], ("1", "cancel")),
        (["start", "complete", "schedule", "autoskip"], ("2", "cancel")),
        (["schedule", "manualskip"], ("1", "cancel")),
        (["start", "suspend", "withdraw"], ("1", "cancel")),
        # nothing to do
        (["suspend"], ("",)),
        (["schedule", "suspend"], ("",)),
        (["complete", "withdraw"], ("",)),
        (["start", "reassign"], ("",)),
    ],
)  # fmt: skip
def test_what_an_event_does(events: list[str], last: tuple[str, ...]) -> None:
    assert told(*events)[-1] == last


def test_ones_own_running_item_is_completed_first() -> None:
    anna, ben, carl = (Logged("start", resource=name) for name in ("anna", "ben", "carl"))
    done = [Logged("complete", resource=name) for name in ("ben", "dora")]
    assert told(anna, ben, carl, *done)[3:] == [("2", "complete"), ("1", "complete")]


def test_items_of_other_activities_and_traces_do_not_mix() -> None:
    found = steps("start", Logged("complete", activity="B"), Logged("complete", trace_id="other"), "complete")
    assert [step.task_id for step in found] == ["case/A#1", "case/B#1", "other/A#1", "case/A#1"]


def test_more_than_the_last_operation_is_inferred() -> None:
    assert [step.inferred for step in steps("complete", "schedule", "start")] == [True, False, False]


def test_events_without_a_resource_are_one_agents_of_a_name_that_no_resource_has() -> None:
    mapping = XesMapping(name_for_nobody(["anna", NOBODY, f"{NOBODY}-2"]))
    (step,) = steps(Logged("start", resource=None), mapping=mapping)
    assert step.agent_id == "no-resource-3"
    assert name_for_nobody([]) == NOBODY


def test_no_two_pairs_of_trace_and_activity_share_a_tasks_id() -> None:
    assert escape("a/b#c%d") == "a%2Fb%23c%25d"
    pairs = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "b#1"), ("a", "b%231")]
    found = [steps(Logged("schedule", activity=activity, trace_id=trace))[0].task_id for trace, activity in pairs]
    assert len(set(found)) == len(pairs)


def test_an_agents_capacity_is_the_most_that_it_ever_had_at_once_over_all_traces() -> None:
    mapping = XesMapping()
    steps(
        "start",
        Logged("start", trace_id="other"),
        Logged("start", resource="ben"),
        Logged("complete", resource="dora"),  # the oldest: anna's slot is freed
        "start",
        Logged("complete", trace_id="other"),
        Logged("complete", activity="B"),
        mapping=mapping,
    )
    profiles = {name: (one.capacity, one.busy, one.capabilities) for name, one in mapping.agents.items()}
    assert profiles == {"anna": (2, 1, {"A", "B"}), "ben": (1, 1, {"A"})}


def test_what_cannot_be_used_is_counted_and_named() -> None:
    mapping = XesMapping()
    found = steps(
        "suspend",
        "withdraw",
        Logged("start", activity=None),
        Logged("start", activity=" A"),
        Logged("start", resource="a\nb"),
        Logged("start", activity="x" * 250),
        Logged("start", trace_id=" case"),
        Logged("reassign"),
        Logged(None),
        mapping=mapping,
    )
    assert found == [Step()] * 9
    assert mapping.skipped == {
        "suspend without a running item that is not suspended": 1,
        "withdraw without an open item": 1,
        "event without an activity": 1,
        "event of a trace whose id is no usable name": 1,
        "event whose activity or resource is no usable name": 2,
        "event whose trace and activity are too long together for a task's id": 1,
    }
    assert mapping.transitions == {"reassign": 1, "none": 1}
    assert mapping.agents == {}


def test_odd_transitions_without_end_take_no_memory_without_end() -> None:
    mapping = XesMapping()
    steps(*(f"odd-{number}" for number in range(100)), mapping=mapping)
    assert len(mapping.transitions) == MAX_NAMES + 1
    assert mapping.transitions["other"] == 100 - MAX_NAMES


def test_a_trace_that_has_ended_is_forgotten() -> None:
    mapping = XesMapping()
    steps("start", Logged("schedule", last_of_trace=True), mapping=mapping)
    assert mapping._cases == {}
