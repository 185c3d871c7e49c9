"""What a running task tells of itself: progress, phases and outputs."""

from functools import partial
from typing import Any

from domain import task
from domain.aggregate import Event
from domain.task import (
    TASK,
    Task,
    TaskAssigned,
    TaskCompleted,
    TaskFailed,
    TaskOutputsRecorded,
    TaskPhaseCompleted,
    TaskRetried,
    TaskScheduled,
    TaskStarted,
)
from tests.support.decider import given
from tests.support.examples import AT, LATER, task_created, task_progressed

SCHEDULED = TaskScheduled(at=AT)
ASSIGNED = TaskAssigned(at=AT, agent_id="a1", reason="match")
STARTED = TaskStarted(at=AT)
COMPLETED = TaskCompleted(at=AT, outputs={"score": 1})
FAILED = TaskFailed(at=AT, error="broken")
RETRIED = TaskRetried(at=AT, attempt=2)
TO_RUN = (SCHEDULED, ASSIGNED, STARTED)
RUNNING = (task_created(), *TO_RUN)


def fold(*events: Event) -> Task:
    state = TASK.fold(events)
    assert state is not None
    return state


def test_progress_is_recorded_when_it_says_anything_new() -> None:
    told: dict[str, Any] = {
        "percentage": 40,
        "phase": "parsing",
        "memory_peak": "1Gi",
        "cpu_average": 1.5,
        "estimated_completion": LATER,
    }
    given(TASK, *RUNNING).when(lambda t: task.report_progress(t, task_progressed(**told))).then(task_progressed(**told))
    given(TASK, *RUNNING, task_progressed(**told)).when(
        lambda t: task.report_progress(t, task_progressed(**told))
    ).then()
    given(TASK, *RUNNING).when(lambda t: task.report_progress(t, task_progressed())).then()
    for name, value in told.items():
        event = task_progressed(**{name: value})
        given(TASK, *RUNNING).when(partial(task.report_progress, event=event)).then(event)


def test_a_note_is_recorded_once() -> None:
    event = task_progressed(note="suspended")
    given(TASK, *RUNNING).when(lambda t: task.report_progress(t, event)).then(event)
    given(TASK, *RUNNING, event).when(lambda t: task.report_progress(t, event)).then()


def test_progress_never_falls_within_an_attempt() -> None:
    given(TASK, *RUNNING, task_progressed(percentage=60)).when(
        lambda t: task.report_progress(t, task_progressed(percentage=59.5))
    ).refused("progress_falls", task_id="t1", percentage=60.0, reported=59.5)
    again = (*RUNNING, task_progressed(percentage=60), FAILED, RETRIED, ASSIGNED, STARTED)
    given(TASK, *again).when(lambda t: task.report_progress(t, task_progressed(percentage=5))).then(
        task_progressed(percentage=5)
    )


def test_phases_go_on_in_their_order_and_are_completed_once() -> None:
    events = (task_created(phases=("preparation", "parsing")), *TO_RUN)
    done = TaskPhaseCompleted(at=AT, phase="preparation")
    assert fold(*events).current_phase == "preparation"
    given(TASK, *events).when(lambda t: task.complete_phase(t, "preparation", AT)).then(done)
    given(TASK, *events, done).when(lambda t: task.complete_phase(t, "preparation", AT)).then()
    assert fold(*events, done).current_phase == "parsing"
    last = TaskPhaseCompleted(at=AT, phase="parsing")
    state = fold(*events, done, last)
    assert (state.current_phase, state.phases_completed) == (None, ("preparation", "parsing"))


def test_completing_a_task_completes_each_of_its_phases_once() -> None:
    done = TaskPhaseCompleted(at=AT, phase="parsing")
    state = fold(task_created(phases=("preparation", "parsing")), *TO_RUN, done, COMPLETED)
    assert sorted(state.phases_completed) == ["parsing", "preparation"]
    assert (state.percentage, state.current_phase) == (100.0, None)


def test_an_unknown_phase_and_one_that_is_completed_are_refused() -> None:
    events = (task_created(phases=("preparation", "parsing")), *TO_RUN)
    for decide in (
        lambda t: task.complete_phase(t, "painting", AT),
        lambda t: task.report_progress(t, task_progressed(phase="painting")),
    ):
        given(TASK, *events).when(decide).refused(
            "phase_unknown", task_id="t1", phase="painting", phases=["preparation", "parsing"]
        )
    given(TASK, *events, TaskPhaseCompleted(at=AT, phase="preparation")).when(
        lambda t: task.report_progress(t, task_progressed(phase="preparation"))
    ).refused("phase_completed", task_id="t1", phase="preparation")


def test_outputs_add_up_and_are_not_repeated() -> None:
    event = TaskOutputsRecorded(at=AT, outputs={"gaps": 5})
    given(TASK, *RUNNING).when(lambda t: task.record_outputs(t, {"gaps": 5}, AT)).then(event)
    given(TASK, *RUNNING, event).when(lambda t: task.record_outputs(t, {"gaps": 5}, AT)).then()
    assert fold(*RUNNING, event, COMPLETED).outputs == {"gaps": 5, "score": 1}


def test_an_output_that_is_true_is_not_one_that_is_1() -> None:
    event = TaskOutputsRecorded(at=AT, outputs={"compliant": 1})
    given(TASK, *RUNNING, event).when(lambda t: task.record_outputs(t, {"compliant": True}, AT)).then(
        TaskOutputsRecorded(at=AT, outputs={"compliant": True})
    )


def test_a_task_completes_once_with_its_outputs() -> None:
    given(TASK, *RUNNING).when(lambda t: task.complete(t, {"score": 1}, AT)).then(COMPLETED)
    given(TASK, *RUNNING, COMPLETED).when(lambda t: task.complete(t, {"score": 1}, AT)).then()
    given(TASK, *RUNNING, COMPLETED).when(lambda t: task.complete(t, {"score": 2}, AT)).refused(
        "task_state", task_id="t1", state="completed", allowed=["running"]
    )
