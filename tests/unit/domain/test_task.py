"""What the decisions of a task give, refuse, and leave alone."""

from datetime import timedelta
from typing import Any

import pytest

from domain import task
from domain.aggregate import Event
from domain.task import (
    TASK,
    Task,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskOutputsRecorded,
    TaskPhaseCompleted,
    TaskRequirementMet,
    TaskRetried,
    TaskRolledBack,
    TaskScheduled,
    TaskStarted,
    TaskTimedOut,
    TaskUnassigned,
)
from domain.values import iso
from tests.support.decider import Decision, given
from tests.support.examples import AT, LATER, task_created, task_progressed


def fold(*events: Event) -> Task:
    state = TASK.fold(events)
    assert state is not None
    return state


SCHEDULED = TaskScheduled(at=AT)
ASSIGNED = TaskAssigned(at=AT, agent_id="a1", reason="match", pool_id="p1", reservation_id="r1", allocated={"cpu": "2"})
STARTED = TaskStarted(at=AT, deadline=LATER)
COMPLETED = TaskCompleted(at=AT, outputs={"score": 1})
FAILED = TaskFailed(at=AT, error="broken")
TIMED_OUT = TaskTimedOut(at=AT, reason="time limit exceeded")
RETRIED = TaskRetried(at=AT, attempt=2)
CANCELLED = TaskCancelled(at=AT, reason="not needed")
UNASSIGNED = TaskUnassigned(at=AT, reason="agent offline")
TO_RUN = (SCHEDULED, ASSIGNED, STARTED)
RUNNING = (task_created(), *TO_RUN)
IN_STATE: dict[str, tuple[Event, ...]] = {
    "created": (task_created(),),
    "scheduled": (task_created(), SCHEDULED),
    "assigned": (task_created(), SCHEDULED, ASSIGNED),
    "running": RUNNING,
    "completed": (*RUNNING, COMPLETED),
    "failed": (*RUNNING, FAILED),
    "timed_out": (*RUNNING, TIMED_OUT),
    "cancelled": (*RUNNING, CANCELLED),
}
OPEN = ["assigned", "created", "running", "scheduled"]

STATE_GATES: list[tuple[str, Decision, list[str], set[str]]] = [
    ("scheduled", lambda t: task.schedule(t, AT), ["created"], {"scheduled"}),
    ("assigned", lambda t: task.assign(t, ASSIGNED), ["scheduled"], {"assigned"}),
    ("taken from its agent", lambda t: task.unassign(t, "agent offline", AT), ["assigned"], set()),
    ("started", lambda t: task.start(t, None, None, AT), ["assigned"], {"running"}),
    ("progressed", lambda t: task.report_progress(t, task_progressed(percentage=10)), ["running"], set()),
    ("moved to its next phase", lambda t: task.complete_phase(t, "parsing", AT), ["running"], set()),
    ("given outputs", lambda t: task.record_outputs(t, {"gaps": 5}, AT), ["completed", "running"], set()),
    ("completed", lambda t: task.complete(t, None, AT), ["running"], {"completed"}),
    ("failed", lambda t: task.fail(t, "broken", AT), ["running"], {"failed"}),
    ("timed out", lambda t: task.time_out(t, LATER), ["running"], {"timed_out"}),
    ("retried", lambda t: task.retry(t, AT), ["failed", "timed_out"], set()),
    ("cancelled", lambda t: task.cancel(t, "not needed", AT), sorted([*OPEN, "failed", "timed_out"]), {"cancelled"}),
]


@pytest.mark.parametrize("gate", range(len(STATE_GATES)))
@pytest.mark.parametrize("state", IN_STATE)
def test_each_decision_has_its_states_and_elsewhere_is_refused_or_gives_nothing(state: str, gate: int) -> None:
    what, decide, allowed, already = STATE_GATES[gate]
    outcome = given(TASK, *IN_STATE[state]).when(decide)
    if state in allowed:
        assert outcome.events
    elif state in already:
        outcome.then()
    else:
        outcome.refused("task_state", task_id="t1", state=state, allowed=allowed)
        told = f"Task t1 is {state} and can't be {what}; it must be {' or '.join(allowed)}."
        assert str(outcome.refusal) == told.replace("timed_out", "timed out")


def test_a_task_is_created_once() -> None:
    given(TASK).when(lambda t: task.create(t, task_created())).then(task_created())
    given(TASK, task_created()).when(lambda t: task.create(t, task_created())).refused(
        "task_exists", task_id="t1", workflow_id="w1"
    )


def test_a_requirement_is_met_once_and_only_if_it_is_one() -> None:
    first = task_created(requires=("t0",), awaits=("approval",))
    event = TaskRequirementMet(at=AT, requirement="approval")
    given(TASK, first).when(lambda t: task.meet_requirement(t, "approval", AT)).then(event)
    given(TASK, first, event).when(lambda t: task.meet_requirement(t, "approval", AT)).then()
    given(TASK, first).when(lambda t: task.meet_requirement(t, "other", AT)).then()
    assert fold(first, event).blocked_by == ("t0",)


@pytest.mark.parametrize("state", ["completed", "cancelled"])
def test_an_ended_task_takes_note_of_no_requirement(state: str) -> None:
    events = (task_created(requires=("t0",)), *IN_STATE[state][1:])
    given(TASK, *events).when(lambda t: task.meet_requirement(t, "t0", AT)).then()


def test_a_requirement_met_while_a_task_waits_for_its_retry_does_not_block_it_for_ever() -> None:
    """A task that is assigned and blocked times out with its reservation; what it requires is done; it is retried."""
    state = fold(task_created(requires=("t0",)), SCHEDULED, ASSIGNED, TIMED_OUT)
    state = TASK.fold(task.meet_requirement(state, "t0", AT), state) or state
    state = TASK.fold(task.retry(state, AT), state) or state
    assert (state.state, state.blocked_by) == ("scheduled", ())


def test_a_task_is_scheduled_and_assigned() -> None:
    given(TASK, task_created()).when(lambda t: task.schedule(t, AT)).then(SCHEDULED)
    given(TASK, task_created(), SCHEDULED).when(lambda t: task.assign(t, ASSIGNED)).then(ASSIGNED)
    state = fold(task_created(), SCHEDULED, ASSIGNED)
    assert (state.agent_id, state.pool_id, state.reservation_id) == ("a1", "p1", "r1")
    assert (state.assigned_at, state.assignment_reason, state.allocated) == (AT, "match", {"cpu": "2"})


def test_a_task_that_has_an_agent_is_not_given_to_another() -> None:
    other = TaskAssigned(at=AT, agent_id="a2", reason="match")
    for state in ("assigned", "running"):
        given(TASK, *IN_STATE[state]).when(lambda t: task.assign(t, other)).refused(
            "task_state", task_id="t1", state=state, allowed=["scheduled"]
        )


def test_a_task_taken_from_its_agent_can_be_given_to_another() -> None:
    given(TASK, *IN_STATE["assigned"]).when(lambda t: task.unassign(t, "agent offline", AT)).then(UNASSIGNED)
    state = fold(*IN_STATE["assigned"], UNASSIGNED)
    assert (state.state, state.agent_id, state.reservation_id, state.allocated) == ("scheduled", None, None, None)


def test_a_blocked_task_does_not_start() -> None:
    events = (task_created(requires=("t0",), awaits=("approval",)), SCHEDULED, ASSIGNED)
    met = TaskRequirementMet(at=AT, requirement="t0")
    given(TASK, *events).when(lambda t: task.start(t, None, None, AT)).refused(
        "task_blocked", task_id="t1", blocked_by=["t0", "approval"]
    )
    given(TASK, *events, met).when(lambda t: task.start(t, None, None, AT)).refused(
        "task_blocked", task_id="t1", blocked_by=["approval"]
    )
    given(TASK, *events, met, TaskRequirementMet(at=AT, requirement="approval")).when(
        lambda t: task.start(t, None, None, AT)
    ).then(TaskStarted(at=AT))


@pytest.mark.parametrize(
    ("own", "default", "seconds"), [(60, None, 60), (60, 10, 60), (None, 10, 10), (None, None, None)]
)
def test_a_started_task_has_its_own_time_limit_or_the_default(
    own: float | None, default: float | None, seconds: float | None
) -> None:
    deadline = None if seconds is None else AT + timedelta(seconds=seconds)
    given(TASK, task_created(time_limit=own), SCHEDULED, ASSIGNED).when(
        lambda t: task.start(t, LATER, default, AT)
    ).then(TaskStarted(at=AT, estimated_completion=LATER, deadline=deadline))


def test_a_task_fails_once() -> None:
    given(TASK, *RUNNING).when(lambda t: task.fail(t, "broken", AT)).then(FAILED)
    given(TASK, *RUNNING, FAILED).when(lambda t: task.fail(t, "otherwise", AT)).refused(
        "task_state", task_id="t1", state="failed", allowed=["running"]
    )


@pytest.mark.parametrize("ended", [COMPLETED, FAILED, TIMED_OUT, CANCELLED])
def test_what_has_ended_holds_nothing_and_still_says_who_did_it(ended: Event) -> None:
    state = fold(*RUNNING, ended)
    assert (state.pool_id, state.reservation_id, state.allocated, state.deadline) == (None,) * 4
    assert (state.agent_id, state.ended_at) == ("a1", AT)


def test_a_task_times_out_at_its_deadline_and_not_before() -> None:
    given(TASK, *RUNNING).when(lambda t: task.time_out(t, LATER)).then(
        TaskTimedOut(at=LATER, reason="time limit exceeded")
    )
    given(TASK, *RUNNING).when(lambda t: task.time_out(t, LATER - timedelta(microseconds=1))).refused(
        "task_within_limit", task_id="t1", deadline=iso(LATER)
    )


def test_a_task_without_a_limit_does_not_time_out() -> None:
    given(TASK, task_created(), SCHEDULED, ASSIGNED, TaskStarted(at=AT)).when(
        lambda t: task.time_out(t, LATER)
    ).refused("task_without_limit", task_id="t1")


@pytest.mark.parametrize("state", IN_STATE)
def test_a_task_that_loses_its_reservation_times_out_whether_it_was_started_or_not(state: str) -> None:
    outcome = given(TASK, *IN_STATE[state]).when(lambda t: task.lose_reservation(t, AT))
    if state in ("assigned", "running"):
        outcome.then(TaskTimedOut(at=AT, reason="reservation expired"))
    else:
        assert outcome.refusal is not None
        assert outcome.refusal.facts == {"task_id": "t1", "state": state, "allowed": ["assigned", "running"]}
        assert "can't be timed out; it must be assigned or running." in outcome.refusal.message


def test_a_retry_begins_an_attempt_afresh() -> None:
    given(TASK, *RUNNING, FAILED).when(lambda t: task.retry(t, AT)).then(RETRIED)
    told = task_progressed(percentage=50, memory_peak="1Gi", cpu_average=1.0, note="half", estimated_completion=LATER)
    state = fold(
        *RUNNING,
        told,
        TaskPhaseCompleted(at=AT, phase="x"),
        TaskOutputsRecorded(at=AT, outputs={"a": 1}),
        FAILED,
        RETRIED,
    )
    assert (state.state, state.attempt, state.retry_count, state.attempts_left) == ("scheduled", 2, 1, 0)
    assert (state.percentage, state.phases_completed, state.outputs, state.note) == (0.0, (), {}, None)
    assert (state.memory_peak, state.cpu_average, state.estimated_completion) == (None, None, None)
    assert (state.agent_id, state.started_at, state.ended_at, state.last_error) == (None, None, None, "broken")


def test_every_retry_is_counted() -> None:
    again = (*RUNNING, FAILED, RETRIED, ASSIGNED, STARTED, TIMED_OUT, TaskRetried(at=AT, attempt=1))
    assert (fold(*again).attempt, fold(*again).retry_count) == (1, 2)


def test_attempts_end_at_their_maximum() -> None:
    again = (*RUNNING, FAILED, RETRIED, ASSIGNED, STARTED, TIMED_OUT)
    given(TASK, *again).when(lambda t: task.retry(t, AT)).refused("attempts_used_up", task_id="t1", max_attempts=2)


def test_retrying_the_workflow_gives_failed_tasks_fresh_attempts_and_leaves_the_others() -> None:
    for state in IN_STATE:
        expected = [TaskRetried(at=AT, attempt=1)] if state in ("failed", "timed_out") else []
        given(TASK, *IN_STATE[state]).when(lambda t: task.renew_attempts(t, AT)).then(*expected)
    assert fold(*RUNNING, FAILED, RETRIED, ASSIGNED, STARTED, FAILED, TaskRetried(at=AT, attempt=1)).attempts_left == 1


def test_a_rollback_restores_the_whole_state_even_with_deeply_nested_inputs() -> None:
    deep: Any = 1
    for _ in range(31):
        deep = {"in": deep}
    state = fold(task_created(inputs=deep), *TO_RUN)
    event = TaskRolledBack(at=LATER, reason="wrong data", operator="ann", restored=task.to_json(state))
    restored = fold(*RUNNING, CANCELLED, event)
    assert restored.updated_at == LATER
    restored.updated_at = state.updated_at
    assert restored == state
