"""What a workflow knows of its tasks, and what it lets become of them."""

from dataclasses import fields, replace
from typing import Any

import pytest

from domain import workflow
from domain.aggregate import Event
from domain.workflow import (
    WORKFLOW,
    TaskView,
    Workflow,
    WorkflowCompleted,
    WorkflowDependencySatisfied,
    WorkflowStarted,
    WorkflowTaskChanged,
)
from tests.support.decider import given
from tests.support.examples import AT, task_added, task_changed, workflow_created

COMPLETED = WorkflowCompleted(at=AT)
RUNNING = (workflow_created(), WorkflowStarted(at=AT))


def fold(*events: Event) -> Workflow:
    state = WORKFLOW.fold(events)
    assert state is not None
    return state


def test_a_task_is_added_with_what_it_requires_and_awaits() -> None:
    event = task_added("t2", requires=("t1",), awaits=("approval",), inputs={"depth": 2}, attempts_left=1)
    before = (workflow_created(dependencies=("approval",)), task_added("t1"))
    outcome = given(WORKFLOW, *before).when(lambda w: workflow.add_task(w, event))
    outcome.then(event)
    assert fold(*before, event).tasks["t2"] == TaskView(
        "analysis", requires=("t1",), awaits=("approval",), inputs={"depth": 2}, attempts_left=1
    )


def test_a_task_may_await_a_dependency_that_is_satisfied_already() -> None:
    satisfied = WorkflowDependencySatisfied(at=AT, dependency="approval")
    event = task_added("t1", awaits=("approval",))
    given(WORKFLOW, workflow_created(dependencies=("approval",)), satisfied).when(
        lambda w: workflow.add_task(w, event)
    ).then(event)


def test_a_task_that_requires_an_unknown_task_is_refused() -> None:
    given(WORKFLOW, workflow_created()).when(
        lambda w: workflow.add_task(w, task_added("t2", requires=("t1",)))
    ).refused("required_task_unknown", workflow_id="w1", task_id="t1")


def test_a_task_that_requires_itself_is_refused() -> None:
    given(WORKFLOW, workflow_created()).when(
        lambda w: workflow.add_task(w, task_added("t1", requires=("t1",)))
    ).refused("required_task_unknown", workflow_id="w1", task_id="t1")


def test_a_task_that_awaits_an_unknown_dependency_is_refused() -> None:
    given(WORKFLOW, workflow_created()).when(
        lambda w: workflow.add_task(w, task_added("t1", awaits=("gone",)))
    ).refused("dependency_unknown", workflow_id="w1", dependency="gone")


def test_adding_a_task_that_is_there_never_starts_it_over() -> None:
    state = fold(*RUNNING, task_added("t1"), task_changed("t1", "completed"))
    outcome = given(WORKFLOW, *RUNNING, task_added("t1"), task_changed("t1", "completed")).when(
        lambda w: workflow.add_task(w, task_added("t1"))
    )
    outcome.refused("task_id_taken", workflow_id="w1", task_id="t1")
    assert WORKFLOW.fold(outcome.events or [], state.copy()) == state


def test_requirements_that_are_met_at_once_are_named() -> None:
    state = fold(
        workflow_created(dependencies=("approval", "data")),
        WorkflowDependencySatisfied(at=AT, dependency="data"),
        task_added("t1"),
        task_added("t2"),
        task_changed("t1", "completed"),
    )
    assert workflow.requirements_met(state, ("t1", "t2"), ("approval", "data")) == ["t1", "data"]


def test_open_tasks_that_wait_for_a_requirement_are_named() -> None:
    state = fold(
        workflow_created(dependencies=("approval",)),
        task_added("t1"),
        task_added("t2", requires=("t1",)),
        task_added("t3", requires=("t1",)),
        task_added("t4", awaits=("approval",)),
        task_added("t5", requires=("t1",)),
        task_changed("t3", "cancelled"),
        task_changed("t5", "completed"),
    )
    assert workflow.waiting_for(state, "t1") == ["t2"]
    assert workflow.waiting_for(state, "approval") == ["t4"]


@pytest.mark.parametrize("state", ["failed", "timed_out"])
def test_a_task_that_waits_for_its_retry_still_waits_for_what_it_requires(state: str) -> None:
    """It may have been assigned while it was blocked, and lost its reservation before it started."""
    events = (workflow_created(), task_added("t1"), task_added("t2", requires=("t1",)))
    workflow_now = fold(*events, task_changed("t2", state, attempts_left=1))
    assert workflow.waiting_for(workflow_now, "t1") == ["t2"]


def test_a_dependency_of_a_required_tasks_name_does_not_unblock_who_requires_the_task() -> None:
    """Task ids and dependencies are two kinds of names, so one must not stand for the other."""
    events = [workflow_created(dependencies=("approval",)), task_added("t1"), task_added("t2", requires=("t1",))]
    taken = given(WORKFLOW, *events).when(lambda w: workflow.add_task(w, task_added("approval")))
    if taken.refusal is not None:
        return
    state = fold(*events, task_added("approval"), task_added("t3", requires=("approval",)))
    [satisfied] = workflow.satisfy_dependency(state, "approval", AT)
    assert "t3" not in workflow.waiting_for(workflow.evolve(state, satisfied), "approval")


def test_a_task_that_moved_is_noted_once() -> None:
    event = task_changed("t1", "running", assigned_agent="a1", start_time=AT, outputs={"x": 1})
    given(WORKFLOW, workflow_created(), task_added("t1")).when(lambda w: workflow.change_task(w, event)).then(event)
    given(WORKFLOW, workflow_created(), task_added("t1"), event).when(lambda w: workflow.change_task(w, event)).then()


def test_what_a_change_does_not_tell_stays_as_it_was() -> None:
    told = {field.name for field in fields(TaskView)} & WorkflowTaskChanged.model_fields.keys()
    view = TaskView("d", requires=("r",), awaits=("w",), inputs={"a": 1}, outputs={"b": 2})
    assert all(getattr(view, kept.name) != _default(kept) for kept in fields(TaskView) if kept.name not in told)
    state = workflow.with_tasks(fold(workflow_created()), {"t1": view})
    changed = workflow.evolve(state, task_changed("t1", "running")).tasks["t1"]
    assert changed == replace(view, **{name: getattr(changed, name) for name in told})
    assert changed.outputs == view.outputs


def _default(field: Any) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def test_outputs_that_did_not_change_need_not_be_told_again() -> None:
    event = task_changed("t1", "running", outputs={"x": 1})
    given(WORKFLOW, workflow_created(), task_added("t1"), event).when(
        lambda w: workflow.change_task(w, task_changed("t1", "running"))
    ).then()


@pytest.mark.parametrize(
    "told",
    [
        {"state": "running"},
        {"state": "created", "assigned_agent": "a1"},
        {"state": "created", "start_time": AT},
        {"state": "created", "end_time": AT},
        {"state": "created", "outputs": {"x": 1}},
        {"state": "created", "error": "broken"},
        {"state": "created", "attempts_left": 1},
    ],
)
def test_each_thing_that_the_document_shows_is_worth_noting(told: dict[str, Any]) -> None:
    event = task_changed("t1", **told)
    given(WORKFLOW, workflow_created(), task_added("t1")).when(lambda w: workflow.change_task(w, event)).then(event)


def test_an_output_that_is_true_is_not_one_that_is_1() -> None:
    before = task_changed("t1", "running", outputs={"compliant": 1})
    event = task_changed("t1", "running", outputs={"compliant": True})
    outcome = given(WORKFLOW, workflow_created(), task_added("t1"), before).when(
        lambda w: workflow.change_task(w, event)
    )
    outcome.then(event)


@pytest.mark.parametrize("state", ["running", "created", "failed", "timed_out"])
def test_no_task_of_a_completed_workflow_opens_or_fails(state: str) -> None:
    events = (*RUNNING, task_added("t1"), task_changed("t1", "completed"), COMPLETED)
    outcome = given(WORKFLOW, *events).when(lambda w: workflow.change_task(w, task_changed("t1", state)))
    assert not outcome.events
    assert "is completed and can't be given another state of task t1;" in str(outcome.refusal)


def test_other_tasks_bring_counts_to_match() -> None:
    tasks = {
        "t1": TaskView("d", state="running"),
        "t2": TaskView("d", state="failed", attempts_left=1),
        "t3": TaskView("d", state="failed"),
        "t4": TaskView("d", state="completed"),
    }
    state = workflow.with_tasks(fold(*RUNNING, task_added("t9")), tasks)
    assert state.counts == {"running": 1, "failed": 2, "completed": 1}
    assert (state.unsettled, state.open_tasks, state.failed_tasks) == (2, 1, 2)


def test_completing_needs_every_task_ended() -> None:
    given(WORKFLOW, *RUNNING, task_added("t1"), task_added("t2")).when(lambda w: workflow.complete(w, AT)).refused(
        "tasks_open", workflow_id="w1", open_tasks=2
    )
