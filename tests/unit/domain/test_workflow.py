"""What the decisions of a workflow give, refuse, and leave alone."""

from typing import Any

import pytest

from domain import workflow
from domain.aggregate import Event
from domain.values import iso
from domain.workflow import (
    WORKFLOW,
    Workflow,
    WorkflowAmended,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowDependencySatisfied,
    WorkflowFailed,
    WorkflowPaused,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowRolledBack,
    WorkflowScheduled,
    WorkflowStarted,
)
from tests.support.decider import Decision, given
from tests.support.examples import AT, LATER, task_added, task_changed, workflow_created


def fold(*events: Event) -> Workflow:
    state = WORKFLOW.fold(events)
    assert state is not None
    return state


STARTED = WorkflowStarted(at=AT)
PAUSED = WorkflowPaused(at=AT)
COMPLETED = WorkflowCompleted(at=AT)
CANCELLED = WorkflowCancelled(at=AT, reason="no longer needed")
FAILED = WorkflowFailed(at=AT, error="broken", task_id="t1")
RETRIED = WorkflowRetried(at=AT, retry=1)
RUNNING = (workflow_created(), STARTED)
IN_STATE: dict[str, tuple[Event, ...]] = {
    "created": (workflow_created(),),
    "scheduled": (workflow_created(), WorkflowScheduled(at=AT)),
    "running": RUNNING,
    "paused": (*RUNNING, PAUSED),
    "completed": (*RUNNING, COMPLETED),
    "failed": (*RUNNING, FAILED),
    "cancelled": (*RUNNING, CANCELLED),
}
OPEN = ["created", "paused", "running", "scheduled"]


def test_a_workflow_is_created_once() -> None:
    given(WORKFLOW).when(lambda w: workflow.create(w, workflow_created())).then(workflow_created())
    given(WORKFLOW, workflow_created()).when(lambda w: workflow.create(w, workflow_created())).refused(
        "workflow_exists", workflow_id="w1"
    )


STATE_GATES: list[tuple[str, Decision, list[str], set[str]]] = [
    ("given another task", lambda w: workflow.add_task(w, task_added("t1")), OPEN, set()),
    ("scheduled", lambda w: workflow.schedule(w, LATER, None, AT), ["created", "scheduled"], set()),
    ("started", lambda w: workflow.start(w, AT), ["created", "scheduled"], {"running"}),
    ("paused", lambda w: workflow.pause(w, None, AT), ["running"], {"paused"}),
    ("resumed", lambda w: workflow.resume(w, AT), ["paused"], {"running"}),
    ("amended", lambda w: workflow.amend(w, {"a": 1}, None, AT), OPEN, set()),
    ("completed", lambda w: workflow.complete(w, AT), ["running"], {"completed"}),
    ("failed", lambda w: workflow.fail(w, "broken", None, AT), OPEN, {"failed"}),
    ("retried", lambda w: workflow.retry(w, AT), ["failed"], set()),
]


@pytest.mark.parametrize("gate", range(len(STATE_GATES)))
@pytest.mark.parametrize("state", IN_STATE)
def test_each_decision_has_its_states_and_elsewhere_is_refused_or_gives_nothing(state: str, gate: int) -> None:
    what, decide, allowed, already = STATE_GATES[gate]
    outcome = given(WORKFLOW, *IN_STATE[state]).when(decide)
    if state in allowed:
        assert outcome.events
    elif state in already:
        outcome.then()
    else:
        outcome.refused("workflow_state", workflow_id="w1", state=state, allowed=allowed)
        told = f"Workflow w1 is {state} and can't be {what}; it must be {' or '.join(allowed)}."
        assert str(outcome.refusal) == told


@pytest.mark.parametrize("state", IN_STATE)
def test_an_open_workflow_is_cancelled_once(state: str) -> None:
    outcome = given(WORKFLOW, *IN_STATE[state]).when(lambda w: workflow.cancel(w, "no longer needed", AT))
    if state in OPEN:
        outcome.then(CANCELLED)
    elif state == "cancelled":
        outcome.then()
    elif state == "completed":
        assert outcome.refusal is not None
        assert outcome.refusal.reason == "workflow_state"
        assert "is completed and can't be cancelled;" in outcome.refusal.message


def test_only_a_retry_or_a_rollback_leaves_a_failed_workflow() -> None:
    """DESIGN 3: so a failed workflow can't be cancelled."""
    outcome = given(WORKFLOW, *IN_STATE["failed"]).when(lambda w: workflow.cancel(w, "not needed", AT))
    outcome.refused("workflow_state", workflow_id="w1", state="failed", allowed=OPEN)


def test_a_schedule_is_set_changed_and_not_repeated() -> None:
    event = WorkflowScheduled(at=AT, start_at=LATER, scheduled_completion=LATER)
    given(WORKFLOW, workflow_created()).when(lambda w: workflow.schedule(w, LATER, LATER, AT)).then(event)
    given(WORKFLOW, workflow_created(), event).when(lambda w: workflow.schedule(w, LATER, LATER, AT)).then()
    given(WORKFLOW, workflow_created(), event).when(lambda w: workflow.schedule(w, LATER, None, AT)).then()
    given(WORKFLOW, workflow_created(), event).when(lambda w: workflow.schedule(w, AT, None, AT)).then(
        WorkflowScheduled(at=AT, start_at=AT)
    )
    assert fold(workflow_created(), event, WorkflowScheduled(at=AT, start_at=AT)).scheduled_completion == LATER


def test_a_workflow_starts_pauses_and_resumes() -> None:
    given(WORKFLOW, workflow_created()).when(lambda w: workflow.start(w, AT)).then(STARTED)
    given(WORKFLOW, *RUNNING).when(lambda w: workflow.pause(w, "audit", AT)).then(WorkflowPaused(at=AT, reason="audit"))
    given(WORKFLOW, *RUNNING, PAUSED).when(lambda w: workflow.resume(w, AT)).then(WorkflowResumed(at=AT))


def test_a_workflow_shows_its_state_and_its_times() -> None:
    shown = {name: fold(*events).state for name, events in IN_STATE.items()}
    assert shown == {name: name for name in IN_STATE}
    assert fold(*RUNNING, PAUSED, WorkflowResumed(at=AT)).state == "running"
    ended = fold(workflow_created(), WorkflowStarted(at=LATER), WorkflowCompleted(at=LATER))
    assert (ended.created_at, ended.started_at, ended.ended_at, ended.updated_at) == (AT, LATER, LATER, LATER)


def test_a_dependency_is_satisfied_once() -> None:
    event = WorkflowDependencySatisfied(at=AT, dependency="approval")
    first = workflow_created(dependencies=("data", "approval"))
    given(WORKFLOW, first).when(lambda w: workflow.satisfy_dependency(w, "approval", AT)).then(event)
    given(WORKFLOW, first, event).when(lambda w: workflow.satisfy_dependency(w, "approval", AT)).then()
    state = fold(first, event)
    assert (state.pending, state.satisfied) == (("data",), ("approval",))


def test_an_unknown_dependency_is_refused_with_those_that_are_pending() -> None:
    given(WORKFLOW, workflow_created(dependencies=("data",))).when(
        lambda w: workflow.satisfy_dependency(w, "approval", AT)
    ).refused("dependency_unknown", workflow_id="w1", dependency="approval", pending=["data"])


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_an_ended_workflow_takes_no_dependency(state: str) -> None:
    outcome = given(WORKFLOW, *IN_STATE[state]).when(lambda w: workflow.satisfy_dependency(w, "data", AT))
    outcome.refused("workflow_state", workflow_id="w1", state=state, allowed=OPEN)
    assert f"is {state} and can't be told that a dependency is satisfied;" in str(outcome.refusal)


def test_a_completion_before_the_planned_start_is_refused_until_it_was_started() -> None:
    scheduled = WorkflowScheduled(at=AT, start_at=LATER)
    planned = (workflow_created(), scheduled)
    given(WORKFLOW, *planned).when(lambda w: workflow.schedule(w, LATER, AT, AT)).refused(
        "schedule_times", workflow_id="w1", start_at=iso(LATER), scheduled_completion=iso(AT)
    )
    given(WORKFLOW, *planned).when(lambda w: workflow.amend(w, {}, AT, AT)).refused(
        "schedule_times", workflow_id="w1", start_at=iso(LATER), scheduled_completion=iso(AT)
    )
    given(WORKFLOW, *planned, STARTED).when(lambda w: workflow.amend(w, {}, AT, AT)).then(
        WorkflowAmended(at=AT, scheduled_completion=AT)
    )


def test_amending_records_only_what_changes_and_null_removes() -> None:
    first = workflow_created(context={"a": 1, "b": 2})
    event = WorkflowAmended(at=AT, context={"a": None, "c": 3}, scheduled_completion=LATER)
    given(WORKFLOW, first).when(lambda w: workflow.amend(w, {"a": None, "b": 2, "c": 3}, LATER, AT)).then(event)
    given(WORKFLOW, first, event).when(lambda w: workflow.amend(w, {"a": None, "c": 3}, LATER, AT)).then()
    assert fold(first, event).context == {"b": 2, "c": 3}
    given(WORKFLOW, first).when(lambda w: workflow.amend(w, {}, None, AT)).then()


@pytest.mark.parametrize(("before", "after"), [(0, False), (1, True), (True, 1)])
def test_a_truth_value_is_not_the_number_that_python_takes_for_it(before: int, after: int) -> None:
    first = workflow_created(context={"approved": before})
    outcome = given(WORKFLOW, first).when(lambda w: workflow.amend(w, {"approved": after}, None, AT))
    outcome.then(WorkflowAmended(at=AT, context={"approved": after}))


def test_amending_one_key_leaves_another_that_was_created_as_null() -> None:
    state = fold(workflow_created(context={"a": None, "b": 1}))
    for event in workflow.amend(state, {"b": 2}, None, AT):
        state = workflow.evolve(state, event)
    assert state.context == {"a": None, "b": 2}


def test_completing_needs_every_dependency() -> None:
    given(WORKFLOW, workflow_created(dependencies=("approval",)), STARTED).when(
        lambda w: workflow.complete(w, AT)
    ).refused("dependencies_pending", workflow_id="w1", pending=["approval"])


@pytest.mark.parametrize("state", ["failed", "timed_out"])
def test_completing_with_failed_tasks_is_refused_unless_told_to_go_on(state: str) -> None:
    task = (task_added("t1"), task_changed("t1", state))
    given(WORKFLOW, *RUNNING, *task).when(lambda w: workflow.complete(w, AT)).refused(
        "tasks_failed", workflow_id="w1", failed_tasks=1
    )
    given(WORKFLOW, workflow_created(on_task_failure="continue"), STARTED, *task).when(
        lambda w: workflow.complete(w, AT)
    ).then(COMPLETED)


def test_the_last_task_completes_a_workflow_that_waits_for_nothing() -> None:
    done = (task_added("t1"), task_changed("t1", "completed"))
    given(WORKFLOW, *RUNNING, *done).when(lambda w: workflow.settle(w, AT)).then(COMPLETED)
    cancelled = (task_added("t2"), task_changed("t2", "cancelled"))
    given(WORKFLOW, *RUNNING, *done, *cancelled).when(lambda w: workflow.settle(w, AT)).then(COMPLETED)


DONE = (task_added("t1"), task_changed("t1", "completed"))


@pytest.mark.parametrize(
    "events",
    [
        RUNNING,
        (*RUNNING, task_added("t1")),
        (*RUNNING, task_added("t1"), task_changed("t1", "cancelled")),
        (*RUNNING, *DONE, task_added("t2")),
        (*RUNNING, *DONE, task_added("t2"), task_changed("t2", "failed")),
        (
            workflow_created(on_task_failure="continue"),
            STARTED,
            *DONE,
            task_added("t2"),
            task_changed("t2", "failed", attempts_left=1),
        ),
        (workflow_created(completion="explicit"), STARTED, *DONE),
        (workflow_created(dependencies=("approval",)), STARTED, *DONE),
        (*RUNNING, *DONE, PAUSED),
        (workflow_created(), *DONE),
        (*RUNNING, *DONE, COMPLETED),
    ],
)
def test_nothing_completes_by_itself_while_something_stands_against_it(events: tuple[Event, ...]) -> None:
    given(WORKFLOW, *events).when(lambda w: workflow.settle(w, AT)).then()


def test_going_on_after_failures_a_failed_task_without_attempts_does_not_hold_the_workflow() -> None:
    events = (
        workflow_created(on_task_failure="continue"),
        STARTED,
        *DONE,
        task_added("t2"),
        task_changed("t2", "timed_out"),
    )
    given(WORKFLOW, *events).when(lambda w: workflow.settle(w, AT)).then(COMPLETED)


def test_a_failure_names_its_task_and_error_until_a_retry() -> None:
    given(WORKFLOW, *RUNNING).when(lambda w: workflow.fail(w, "broken", "t1", AT)).then(FAILED)
    failed = fold(*RUNNING, FAILED)
    assert (failed.error, failed.failed_task, failed.failed_at, failed.ended_at) == ("broken", "t1", AT, AT)
    again = fold(*RUNNING, FAILED, RETRIED)
    assert (again.error, again.failed_task, again.failed_at, again.ended_at) == (None, None, None, None)
    assert (again.state, again.retry_count) == ("running", 1)


def test_retries_end_at_their_maximum() -> None:
    first = workflow_created(max_retries=1)
    given(WORKFLOW, first, STARTED, FAILED).when(lambda w: workflow.retry(w, AT)).then(RETRIED)
    given(WORKFLOW, first, STARTED, FAILED, RETRIED, FAILED).when(lambda w: workflow.retry(w, AT)).refused(
        "retries_used_up", workflow_id="w1", max_retries=1
    )


@pytest.mark.parametrize("state", ["created", "scheduled"])
def test_a_workflow_that_failed_before_it_started_never_runs_without_a_start_time(state: str) -> None:
    workflow_now = fold(*IN_STATE[state], FAILED)
    for event in workflow.retry(workflow_now, LATER):
        workflow_now = workflow.evolve(workflow_now, event)
    assert workflow_now.state != "running" or workflow_now.started_at is not None


@pytest.mark.parametrize("state", IN_STATE)
def test_tasks_are_guarded_by_the_state_of_their_workflow(state: str) -> None:
    def check_open(w: Workflow) -> list[Event]:
        workflow.require_open(w, "changed")
        return []

    def check_running(w: Workflow) -> list[Event]:
        workflow.require_running(w, "changed")
        return []

    for check, allowed in ((check_open, OPEN), (check_running, ["running"])):
        outcome = given(WORKFLOW, *IN_STATE[state]).when(check)
        if state in allowed:
            outcome.then()
        else:
            outcome.refused("workflow_state", workflow_id="w1", state=state, allowed=allowed)
            assert f"is {state} and can't be changed;" in str(outcome.refusal)


@pytest.mark.parametrize(
    ("priority", "shown"), [("high", "high"), ("low", "low"), ("urgent", "medium"), ([1], "medium"), (None, "medium")]
)
def test_priority_is_what_the_context_says_if_it_is_one(priority: object, shown: str) -> None:
    assert fold(workflow_created(context={"priority": priority})).priority == shown


def test_a_rollback_restores_the_whole_state_even_with_deeply_nested_inputs() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"in": deep}
    state = fold(*RUNNING, task_added("t1", inputs=deep), task_changed("t1", "running", start_time=AT))
    event = WorkflowRolledBack(
        at=LATER, to_version=4, reason="wrong data", operator="ann", restored=workflow.to_json(state)
    )
    restored = fold(*RUNNING, CANCELLED, event)
    assert restored.updated_at == LATER
    assert restored.limited_from == LATER  # the longest duration counts anew
    restored.updated_at, restored.limited_from = state.updated_at, state.limited_from
    assert restored == state
