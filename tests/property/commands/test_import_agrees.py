"""A small log imported through the aggregates' own decisions is never refused and agrees with the oracle."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from commands.messages.importing import ImportEvent, NewAgent, NewWorkflow
from commands.xes_mapping import XesMapping, name_for_nobody
from tests.oracle.raw_xes import NO_RESOURCE, RawEvent, RawLog, state_at
from tests.support.command_world import BEGINNING, World
from tests.support.invariants import check_moves, check_world

RESOURCES = st.sampled_from(["anna", "ben", "no-resource", None])
TRANSITIONS = st.sampled_from(
    ["schedule", "start", "start", "complete", "complete", "suspend", "resume", "ate_abort", "withdraw", "reassign"]
)


class Logged(NamedTuple):
    trace_id: str
    activity: str
    transition: str
    resource: str | None
    seconds: int


@dataclass(frozen=True)
class InPlace:
    """An event in its place in the sorted log."""

    trace_id: str
    activity: str
    transition: str
    resource: str | None
    first_of_trace: bool
    last_of_trace: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)


LOGS = st.lists(
    st.builds(
        Logged, st.sampled_from(["1", "2/#"]), st.sampled_from(["A", "B%"]), TRANSITIONS, RESOURCES, st.integers(0, 3)
    ),
    min_size=1,
    max_size=25,
)  # `seconds` since the event before; 0 makes a tie


def in_place(log: list[Logged]) -> list[InPlace]:
    left = Counter(event.trace_id for event in log)
    seen: set[str] = set()
    found = []
    for trace_id, activity, transition, resource, _ in log:
        left[trace_id] -= 1
        found.append(InPlace(trace_id, activity, transition, resource, trace_id not in seen, left[trace_id] == 0))
        seen.add(trace_id)
    return found


def run_import(world: World, log: list[Logged]) -> str:
    """Two passes, as the import makes them: who can do what, then the events. Gives nobody's name."""
    nobody = name_for_nobody(event.resource for event in log if event.resource)
    events = in_place(log)
    profiles = XesMapping(nobody)
    for event in events:
        profiles.step(event)
    mapping, registered = XesMapping(nobody), set[str]()
    for event, logged in zip(events, log, strict=True):
        world.clock.pass_(logged.seconds)
        step = mapping.step(event)
        new = step.agent_id if step.agent_id in profiles.agents and step.agent_id not in registered else None
        profile = profiles.agents[new] if new is not None else None
        if new is not None:
            registered.add(new)
        command = ImportEvent(
            workflow_id=event.trace_id,
            begins=NewWorkflow(definition_id="log", context={}) if event.first_of_trace else None,
            ends=event.last_of_trace,
            operations=step.operations,
            task_id=step.task_id,
            activity=step.activity,
            agent_id=step.agent_id,
            registers=(
                NewAgent(capabilities=tuple(sorted(profile.capabilities)), capacity=profile.capacity)
                if profile
                else None
            ),
            attributes={"resource": event.resource},
        )
        answer = world.do(command)
        assert answer.outcome in ("accepted", "unchanged"), answer.problem
    return nobody


@given(LOGS)
def test_what_is_imported_agrees_with_the_raw_log(log: list[Logged]) -> None:
    world = World()
    nobody = run_import(world, log)

    at, traces = BEGINNING, dict[str, list[RawEvent]]()
    for trace_id, activity, transition, resource, seconds in log:
        at += timedelta(seconds=seconds)
        raw = RawEvent(trace_id, at, activity, transition, resource or NO_RESOURCE)
        traces.setdefault(trace_id, []).append(raw)
    for trace_id in traces:
        expected = state_at(RawLog(traces, len(log), {}), trace_id, at)
        assert expected is not None
        workflow = world.workflow(trace_id)
        assert (workflow.state, workflow.ended_at) == (expected.workflow_state, expected.completed_at)
        assert (workflow.created_at, workflow.started_at) == (expected.created_at, expected.started_at)
        assert {
            task_id: (view.state, view.assigned_agent, view.start_time, view.end_time)
            for task_id, view in workflow.tasks.items()
        } == {
            task_id: (
                task.state,
                nobody if task.assigned_agent is NO_RESOURCE else task.assigned_agent,
                task.start_time,
                task.end_time,
            )
            for task_id, task in expected.tasks.items()
        }


@given(LOGS)
def test_every_invariant_holds_for_what_was_imported(log: list[Logged]) -> None:
    world = World()
    run_import(world, log)
    check_world(world)
    check_moves(world.log.events)
