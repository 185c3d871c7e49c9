"""How much an aggregate may hold: one below each limit works, and the next is refused with what to do."""

from domain import system, task, workflow
from domain.aggregate import Event
from domain.room import LARGEST_WORKFLOW, MOST_COMPONENTS, MOST_PHASES, MOST_TASKS, MOST_WINDOWS, size_of
from domain.system import SYSTEM, ComponentHealthReported, MaintenanceCancelled, MaintenanceScheduled
from domain.task import TASK, TaskAssigned, TaskPhaseCompleted, TaskScheduled, TaskStarted
from domain.workflow import WORKFLOW, Workflow, WorkflowAmended, WorkflowRolledBack, WorkflowStarted
from tests.support.decider import given
from tests.support.examples import AT, LATER, task_added, task_changed, task_created, workflow_created

FULL = (
    workflow_created(context={"kept": "x" * 1_000_000}),
    task_added("t1", inputs={"text": "x" * 3_000_000}),
    WorkflowStarted(at=AT),
    task_changed("t1", "running", outputs={"found": "x" * 4_000_000}),
)


def fold(*events: Event) -> Workflow:
    state = WORKFLOW.fold(events)
    assert state is not None
    return state


def room() -> int:
    return LARGEST_WORKFLOW - fold(*FULL).size


def amended(size: int) -> WorkflowAmended:
    """Of so many bytes more."""
    return WorkflowAmended(at=AT, context={"more": "x" * (size - len(',"more":""'))})


def test_a_workflow_takes_what_fits_to_the_byte_and_no_more() -> None:
    fits, more = amended(room()), amended(room() + 1)
    given(WORKFLOW, *FULL).when(lambda w: workflow.amend(w, fits.context, None, AT)).then(fits)
    given(WORKFLOW, *FULL).when(lambda w: workflow.amend(w, more.context, None, AT)).refused(
        "workflow_too_large", workflow_id="w1", bytes=LARGEST_WORKFLOW + 1, limit=LARGEST_WORKFLOW
    )


def test_a_workflow_that_begins_too_large_is_refused() -> None:
    fits = workflow_created(context={"text": "x" * (LARGEST_WORKFLOW - len('[{"text":""}]'))})
    more = workflow_created(context={"text": fits.context["text"] + "x"})
    given(WORKFLOW).when(lambda w: workflow.create(w, fits)).then(fits)
    given(WORKFLOW).when(lambda w: workflow.create(w, more)).refused(
        "workflow_too_large", workflow_id="w1", bytes=LARGEST_WORKFLOW + 1, limit=LARGEST_WORKFLOW
    )


def test_tasks_and_outputs_count_too() -> None:
    large = task_added("t2", inputs={"text": "x" * room()})
    outcome = given(WORKFLOW, *FULL).when(lambda w: workflow.add_task(w, large))
    assert outcome.refusal is not None
    assert outcome.refusal.reason == "workflow_too_large"
    assert "keep what is large elsewhere" in outcome.refusal.message
    told = task_changed("t1", "completed", outputs={"found": "x" * (4_000_000 + room() + 1)})
    outcome = given(WORKFLOW, *FULL).when(lambda w: workflow.change_task(w, told))
    assert outcome.refusal is not None
    assert outcome.refusal.facts["bytes"] == LARGEST_WORKFLOW + 1


def test_a_full_workflow_still_goes_on_to_its_end_and_gets_smaller() -> None:
    full = (*FULL, amended(room()))
    given(WORKFLOW, *full).when(lambda w: workflow.amend(w, {"kept": "x" * 9}, None, AT)).then(
        WorkflowAmended(at=AT, context={"kept": "x" * 9})
    )
    failed = task_changed("t1", "failed", error="x" * 10_000)
    given(WORKFLOW, *full).when(lambda w: workflow.change_task(w, failed)).then(failed)
    ended = task_changed("t1", "completed", outputs={})
    given(WORKFLOW, *full).when(lambda w: workflow.change_task(w, ended)).then(ended)
    assert fold(*full, failed).size > LARGEST_WORKFLOW  # what happened is told all the same


def test_the_size_is_that_of_what_is_held_whatever_became_of_it() -> None:
    """What is counted along is what counting from the beginning gives, also after a rollback."""
    states = [
        fold(
            *FULL, amended(99), task_changed("t1", "failed", error="x"), WorkflowAmended(at=AT, context={"more": None})
        )
    ]
    back = WorkflowRolledBack(at=AT, to_version=1, reason="r", operator="o", restored=workflow.to_json(states[0]))
    states += [
        fold(*FULL, back),
        workflow.with_tasks(states[0], states[0].tasks),
        workflow.from_json(workflow.to_json(states[0])),
    ]
    view = states[0].tasks["t1"]
    told = size_of(states[0].context) + size_of("t1", view.definition_id, (), (), view.inputs)
    assert {one.size for one in states} == {told + size_of(view.outputs, "x")}
    assert "size" not in workflow.to_json(states[0])


def test_a_workflow_has_so_many_tasks_and_no_more() -> None:
    tasks = [task_added(f"t{number}") for number in range(MOST_TASKS)]
    last = tasks.pop()
    given(WORKFLOW, workflow_created(), *tasks).when(lambda w: workflow.add_task(w, last)).then(last)
    given(WORKFLOW, workflow_created(), *tasks, last).when(lambda w: workflow.add_task(w, task_added("more"))).refused(
        "too_many_tasks", workflow_id="w1", limit=MOST_TASKS
    )


def test_a_task_that_names_no_phases_completes_so_many_and_no_more() -> None:
    running = (task_created(), TaskScheduled(at=AT), TaskAssigned(at=AT, agent_id="a", reason="r"), TaskStarted(at=AT))
    done = [TaskPhaseCompleted(at=AT, phase=f"p{number}") for number in range(MOST_PHASES)]
    last = done.pop()
    given(TASK, *running, *done).when(lambda t: task.complete_phase(t, last.phase, AT)).then(last)
    given(TASK, *running, *done, last).when(lambda t: task.complete_phase(t, "more", AT)).refused(
        "too_many_phases", task_id="t1", limit=MOST_PHASES
    )
    given(TASK, *running, *done, last).when(lambda t: task.complete_phase(t, "p0", AT)).then()


def test_the_system_knows_so_many_components_and_no_more() -> None:
    known = [ComponentHealthReported(at=AT, component=f"c{n}", health="healthy") for n in range(MOST_COMPONENTS)]
    last = known.pop()
    given(SYSTEM, *known).when(lambda s: system.report_component(s, last.component, "healthy", AT)).then(last)
    given(SYSTEM, *known, last).when(lambda s: system.report_component(s, "more", "healthy", AT)).refused(
        "too_many_components", component="more", limit=MOST_COMPONENTS
    )
    changed = ComponentHealthReported(at=AT, component="c0", health="degraded")
    given(SYSTEM, *known, last).when(lambda s: system.report_component(s, "c0", "degraded", AT)).then(changed)


def test_the_system_has_so_many_maintenance_windows_until_one_is_cancelled() -> None:
    def window(name: str) -> MaintenanceScheduled:
        return MaintenanceScheduled(at=AT, window_id=name, start=AT, end=LATER, kind="scheduled", description="d")

    windows = [window(f"m{number}") for number in range(MOST_WINDOWS)]
    given(SYSTEM, *windows).when(lambda s: system.schedule_maintenance(s, window("more"))).refused(
        "too_many_windows", window_id="more", limit=MOST_WINDOWS
    )
    cancelled = MaintenanceCancelled(at=AT, window_id="m0")
    given(SYSTEM, *windows, cancelled).when(lambda s: system.schedule_maintenance(s, window("more"))).then(
        window("more")
    )
