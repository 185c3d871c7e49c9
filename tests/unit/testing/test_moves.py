"""What an event was allowed to follow: each kind is judged or said not to be, and what is allowed is found so."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from domain import agent, pool, system, task, workflow
from domain.aggregate import Event
from domain.all_events import AGGREGATES
from dora_state.testing.moves import BEGINNINGS, BEGINNINGS_OF_LOGS, LOOKED_INTO, ONLY_IN
from tests.support.forged_moves import (
    AGENT,
    BEFORE,
    CANCELLED,
    DEGRADED,
    FAILED,
    IMPORT_BEGUN,
    LATER,
    NOW,
    OFFLINE,
    PAUSED,
    POOL,
    POOL_CREATED,
    RESERVED,
    RESUMED,
    SOON,
    SYSTEM,
    TASK,
    UNHEALTHY,
    WORKFLOW,
    added,
    amended,
    configured,
    import_ended,
    progressed,
    roll_back,
    scheduled,
    window,
)
from tests.support.forging import insert, say
from tests.support.told_story import Story

FOLLOWS_ON_ANY = {
    "WorkflowTaskChanged",  # as the task's own event, which is judged
    "WorkflowRolledBack",  # this and the next are held to what was (rollbacks.py)
    "TaskRolledBack",
    "AgentTaskEstimated",  # these two of a slot, without which the fold fails
    "AgentSlotFreed",
    "PoolResized",  # the limit is an invariant
    "PoolPoliciesChanged",
    "ReservationReleased",
    "SystemConfigured",
    "ComponentHealthReported",
    "MaintenanceCancelled",
}


def test_each_type_of_event_is_judged_or_said_not_to_be() -> None:
    judged = BEGINNINGS | BEGINNINGS_OF_LOGS | LOOKED_INTO | {type for types in ONLY_IN.values() for type in types}
    assert not judged & FOLLOWS_ON_ANY
    known = {event.type for aggregate in AGGREGATES.values() for event in aggregate.events}
    assert judged | FOLLOWS_ON_ANY == known


def test_states_are_those_that_there_are_and_events_stand_in_their_own_streams() -> None:
    for category, types in ONLY_IN.items():
        aggregate = AGGREGATES[category]
        assert types.keys() <= {event.type for event in aggregate.events}
    assert {one for states in ONLY_IN["workflow"].values() for one in states} <= workflow.ALL
    assert {one for states in ONLY_IN["agent"].values() for one in states} <= agent.ABLE_TO_WORK | {
        "registered",
        "unhealthy",
        "offline",
        "deregistered",
    }
    ended = {"completed", "failed", "timed_out", "cancelled"}
    assert {one for states in ONLY_IN["task"].values() for one in states} <= task.OPEN | ended


CANCELLED_MAINTENANCE = (SYSTEM, system.MaintenanceCancelled(at=NOW, window_id="m"))
UNLIMITED = (SYSTEM, system.SystemConfigured(at=NOW, unset=("default_timeout",)))
WORKFLOW_FAILED = (WORKFLOW, workflow.WorkflowFailed(at=NOW, error="why"))
TASK_CANCELLED = (TASK, task.TaskCancelled(at=NOW, reason="why"))
TIMED_OUT = (TASK, task.TaskTimedOut(at=NOW, reason="time limit exceeded"))
BACK = (AGENT, agent.AgentReturned(at=NOW, state="healthy"))


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("StartTask", [PAUSED, RESUMED]),
        ("StartTask", [window(blocks_starts=False)]),
        ("StartTask", [window(minutes=1)]),
        ("StartTask", [window(minutes=-60)]),
        ("StartTask", [configured(30.0), UNLIMITED]),
        ("StartTask", [window(), CANCELLED_MAINTENANCE]),
        ("StartWorkflow", [window(), CANCELLED_MAINTENANCE]),
        ("AssignTask", [UNHEALTHY, DEGRADED]),
        ("AssignTask", [OFFLINE, BACK]),
        (None, [FAILED, (TASK, task.TaskRetried(at=NOW, attempt=2))]),
        (None, [CANCELLED, TASK_CANCELLED]),
        (None, [WORKFLOW_FAILED, TASK_CANCELLED]),
        ("StartWorkflow", [scheduled(SOON, SOON), amended(SOON), scheduled(None, BEFORE), scheduled(SOON, LATER)]),
        ("StartWorkflow", [scheduled(SOON, None), (WORKFLOW, workflow.WorkflowAmended(at=NOW, context={"a": 1}))]),
        (None, [amended(BEFORE)]),
        ("CreateWorkflow", [IMPORT_BEGUN, import_ended()]),
        (
            None,
            [
                FAILED,
                WORKFLOW_FAILED,
                (WORKFLOW, workflow.WorkflowRetried(at=SOON, retry=1)),
                (TASK, task.TaskRetried(at=SOON, attempt=1)),
            ],
        ),
        (None, [progressed(50.0), progressed(None), progressed(50.0, "one"), progressed(60.0, "two")]),
        (None, [window(), CANCELLED_MAINTENANCE, window()]),
        (None, [POOL_CREATED, RESERVED, (POOL, pool.ReservationExpired(at=SOON, reservation_id="r")), RESERVED]),
    ],
)
def test_what_is_allowed_is_found_so(before: str | None, told: Sequence[tuple[str, Event]]) -> None:
    story = Story()
    insert(story, before, *told)
    assert [fault for fault in story.faults() if fault.promise == "moves"] == []


@pytest.mark.parametrize(
    ("version", "tasks"), [(2, None), (6, None), (1, {"t": {"definition_id": "d", "state": "cancelled"}})]
)
def test_a_workflow_may_go_back_to_what_it_was(version: int, tasks: dict[str, object] | None) -> None:
    """Tasks that came later stay in its document, as cancelled."""
    story = Story()
    roll_back(story, version, version, **({} if tasks is None else {"tasks": tasks}))
    assert [fault for fault in story.faults() if fault.promise == "moves"] == []


@pytest.mark.parametrize("satisfied", [False, True])
def test_what_a_workflow_waits_for_or_waited_for_may_be_awaited_and_is_no_task_s_name(satisfied: bool) -> None:
    met = [(WORKFLOW, workflow.WorkflowDependencySatisfied(at=NOW, dependency="data"))] * satisfied
    for told, broken in ((added(awaits=("data",)), set()), (added(task_id="data"), {"it had data already."})):
        story = Story()
        say(story, 0, dependencies=["data"])
        insert(story, "StartWorkflow", *met, told)
        assert {fault.says.rpartition(": ")[2] for fault in story.faults() if fault.promise == "moves"} == broken


@pytest.mark.parametrize(("deadline", "broken"), [(SOON, False), (None, True), (LATER, True)])
def test_the_limit_of_a_task_is_its_own_and_not_the_system_s(deadline: datetime | None, broken: bool) -> None:
    story = Story()
    say(story, 1, time_limit=3600)
    insert(story, "StartTask", configured(30.0), (TASK, task.TaskStarted(at=NOW, deadline=deadline)))
    del story.log[-3:]  # its start as it was
    assert ("moves" in story.promises_broken()) == broken


def test_a_task_times_out_at_its_limit_and_not_before() -> None:
    deadline = NOW + timedelta(seconds=30)
    started = (TASK, task.TaskStarted(at=NOW, deadline=deadline))
    for at, broken in ((deadline, False), (deadline - timedelta(microseconds=1), True)):
        story = Story()
        timed_out = (TASK, task.TaskTimedOut(at=at, reason="time limit exceeded"))
        insert(story, "StartTask", configured(30.0), started, timed_out)
        del story.log[-3:]  # its start as it was
        assert ("moves" in story.promises_broken()) == broken


def test_a_task_times_out_once_its_reservation_has_expired() -> None:
    held = RESERVED[1].model_copy(update={"task_id": "t", "agent_id": "agent"})
    given = task.TaskAssigned(at=NOW, agent_id="agent", reason="why", pool_id="p", reservation_id="r")
    lost = (TASK, task.TaskTimedOut(at=SOON, reason="reservation expired"))
    expired = (POOL, pool.ReservationExpired(at=SOON, reservation_id="r"))
    for told, broken in (([expired, lost], False), ([lost, expired], True)):
        story = Story()
        insert(story, "AssignTask", POOL_CREATED, (POOL, held), (TASK, given), *told)
        del story.log[-6:]  # its assignment and start as they were
        assert ("moves" in story.promises_broken()) == broken


@pytest.mark.parametrize("ended", [False, True])
def test_an_imported_log_tells_of_limits_that_are_not_here_until_it_ends(ended: bool) -> None:
    """There, a task may start with any limit, and time out without one that is known."""
    for told in ([(TASK, task.TaskStarted(at=NOW, deadline=SOON))], [TIMED_OUT]):
        story = Story()
        insert(story, "CreateWorkflow", IMPORT_BEGUN)
        insert(story, "StartTask", *[import_ended()] * ended, *told)
        del story.log[-3:]  # its start as it was
        assert ("moves" in story.promises_broken()) == ended


@pytest.mark.parametrize(("phase", "words"), [("two", []), ("three", ["it has no phase three."])])
def test_a_task_that_has_named_its_phases_has_no_others(phase: str, words: list[str]) -> None:
    story = Story()
    say(story, 1, phases=["one", "two"])
    insert(story, None, progressed(phase=phase))
    assert [fault.says.rpartition(": ")[2] for fault in story.faults() if fault.promise == "moves"] == words


STREAMS = (WORKFLOW, TASK, AGENT, POOL, SYSTEM, "other-x")
TOLD = (FAILED, PAUSED, UNHEALTHY, POOL_CREATED, RESERVED, window())


@pytest.mark.parametrize(
    ("stream_id", "event"), [(one, event) for one in STREAMS for stream_id, event in TOLD if one != stream_id]
)
def test_an_event_in_a_stream_of_another_kind_is_a_fault_and_no_crash(stream_id: str, event: Event) -> None:
    story = Story()
    insert(story, None, POOL_CREATED, configured(30.0), (stream_id, event))
    assert "invariants" in story.promises_broken()
