"""What can't have become of a workflow and its tasks, whatever was recorded: one promise broken at a time."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from commands.soundness import require_sound
from domain.errors import Refusal
from domain.task import Task, TaskState
from domain.workflow import TaskView, Workflow, WorkflowState, with_tasks

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
ENDS: dict[str, Any] = {"started_at": AT, "ended_at": AT}
LIKE: dict[str, dict[str, Any]] = {
    "created": {},
    "scheduled": {},
    "running": {"started_at": AT},
    "paused": {"started_at": AT},
    "completed": ENDS,
    "cancelled": ENDS,
    "failed": {**ENDS, "error": "broken"},
}
"""What a workflow in a state has by all means."""
HELD: dict[str, Any] = {"agent_id": "agent", "assigned_at": AT}
DONE: dict[str, Any] = {**HELD, **ENDS}
OF_TASK: dict[str, dict[str, Any]] = {
    "created": {},
    "scheduled": {},
    "assigned": HELD,
    "running": {**HELD, "started_at": AT},
    "completed": DONE,
    "failed": {**DONE, "last_error": "broken"},
    "timed_out": {**DONE, "last_error": "time limit exceeded"},
    "cancelled": {"ended_at": AT},
}
"""What a task in a state has by all means."""


def workflow(state: str = "running", tasks: tuple[Task, ...] = (), **other: Any) -> Workflow:
    """Sound, but for what is told otherwise. It does not complete by itself."""
    values: dict[str, Any] = {"state": state, "completion": "explicit", **LIKE[state], **other}
    made = Workflow("wf", "d", "1", AT, AT, **values)
    return with_tasks(made, {task.task_id: shown(task) for task in tasks})


def task(state: str = "running", task_id: str = "t1", **other: Any) -> Task:
    """Sound, but for what is told otherwise."""
    values: dict[str, Any] = {"state": state, "max_attempts": 2, **OF_TASK[state], **other}
    return Task(task_id, "wf", "d", AT, AT, **values)


def shown(of: Task) -> TaskView:
    """As its workflow's document shows it."""
    error = of.last_error if of.state in ("failed", "timed_out") else None
    left = of.max_attempts - of.attempt
    times = (of.agent_id, of.started_at, of.ended_at)
    return TaskView("d", of.state, *times, of.requires, of.awaits, of.inputs, of.outputs, error, left)


def unsound(of: Workflow, *tasks: Task) -> object:
    """Of what it is told that it can't be so; None: it can."""
    refusal = refusal_of(of, tasks)
    if refusal is None:
        return None
    what = refusal.facts["what"]
    assert (refusal.reason, refusal.facts) == ("recorded_otherwise", {"what": what})
    assert refusal.message.startswith(f"What is told of {what} can't be all that was recorded")
    return what


def refusal_of(of: Workflow, tasks: tuple[Task, ...]) -> Refusal | None:
    try:
        require_sound(of, tasks)
    except Refusal as refusal:
        return refusal
    return None


class TestAWorkflow:
    @pytest.mark.parametrize("state", LIKE)
    def test_of_each_state_is_sound(self, state: str) -> None:
        assert unsound(workflow(state)) is None

    @pytest.mark.parametrize(
        ("state", "otherwise"),
        [
            *((state, {"ended_at": None}) for state in ("completed", "cancelled", "failed")),
            *((state, {"ended_at": AT}) for state in ("created", "scheduled", "running", "paused")),
            *((state, {"error": "broken"}) for state in LIKE if state != "failed"),
            ("failed", {"error": None}),
            *((state, {"started_at": None}) for state in ("running", "paused")),
            ("running", {"retry_count": 4, "max_retries": 3}),
            ("running", {"satisfied": ("approval", "data"), "pending": ("data",)}),
        ],
    )
    def test_is_not_where_one_promise_is_broken(self, state: str, otherwise: dict[str, Any]) -> None:
        assert unsound(workflow(state, **otherwise)) == "workflow wf"

    @pytest.mark.parametrize(
        "other",
        [
            {"retry_count": 3, "max_retries": 3},
            {"satisfied": ("approval",), "pending": ("data",)},
        ],
    )
    def test_is_at_the_edge_of_a_promise(self, other: dict[str, Any]) -> None:
        assert unsound(workflow(**other)) is None

    @pytest.mark.parametrize("state", ["completed", "cancelled", "failed"])
    def test_may_end_before_it_was_started(self, state: str) -> None:
        assert unsound(workflow(state, started_at=None)) is None


WAITING = ("created", "scheduled")
HOLDING = ("assigned", "running")
FAILED = ("failed", "timed_out")
ENDED = ("completed", "cancelled", *FAILED)
TASKS_OF: dict[tuple[str, str], set[str]] = {
    ("created", "fail"): {*WAITING, "cancelled"},
    ("scheduled", "fail"): {*WAITING, "cancelled"},
    ("running", "fail"): set(OF_TASK),
    ("paused", "fail"): set(OF_TASK),
    ("completed", "fail"): {"completed", "cancelled"},
    ("completed", "continue"): set(ENDED),
    ("cancelled", "fail"): set(ENDED),
    ("failed", "fail"): {*WAITING, *ENDED},
}
"""The states that tasks may be in, by the workflow's state and what it was told to do when one fails."""


class TestAWorkflowAndItsTasks:
    def test_of_all_states_are_looked_at(self) -> None:
        assert {state for state, _ in TASKS_OF} == set(get_args(WorkflowState))
        assert set(OF_TASK) == set(get_args(TaskState))

    @pytest.mark.parametrize("state", OF_TASK)
    @pytest.mark.parametrize(("of", "on_failure"), TASKS_OF)
    def test_are_in_states_that_go_together(self, of: str, on_failure: str, state: str) -> None:
        found = unsound(workflow(of, (task(state),), on_task_failure=on_failure))
        assert found == (None if state in TASKS_OF[of, on_failure] else "workflow wf")

    def test_a_completed_one_waits_for_nothing(self) -> None:
        assert unsound(workflow("completed", (task("completed"),), satisfied=("approval",))) is None
        assert unsound(workflow("completed", (task("completed"),), pending=("approval",))) == "workflow wf"

    def test_one_that_completes_by_itself_has_done_so_when_all_is_done(self) -> None:
        done, open_one = task("completed"), task("scheduled", "t2")
        assert unsound(workflow("running", (done,), completion="automatic")) == "workflow wf"
        assert unsound(workflow("running", (done, open_one), completion="automatic")) is None


class TestATask:
    @pytest.mark.parametrize("state", OF_TASK)
    def test_of_each_state_is_sound(self, state: str) -> None:
        one = task(state)
        assert unsound(workflow(tasks=(one,)), one) is None

    @pytest.mark.parametrize(
        ("state", "otherwise"),
        [
            ("running", {"attempt": 0}),
            ("running", {"attempt": 3, "max_attempts": 2}),
            ("running", {"percentage": -0.1}),
            ("running", {"percentage": 100.1}),
            ("running", {"assigned_at": None}),
            *((state, {"agent_id": None, "assigned_at": None}) for state in HOLDING),
            *((state, HELD) for state in WAITING),
            *(
                (state, {name: value})
                for state in (*WAITING, *ENDED)
                for name, value in {"pool_id": "p", "reservation_id": "r", "allocated": {}, "deadline": AT}.items()
            ),
            *((state, {"ended_at": AT}) for state in (*WAITING, *HOLDING)),
            *((state, {"ended_at": None}) for state in ENDED),
            ("running", {"started_at": None}),
            ("running", {"requires": ("t0",)}),
            ("running", {"awaits": ("approval",)}),
        ],
    )
    def test_is_not_where_one_promise_is_broken(self, state: str, otherwise: dict[str, Any]) -> None:
        one = task(state, **otherwise)
        of = workflow(tasks=(task("scheduled", "t0"), one), pending=("approval",))
        assert unsound(of, one) == "task t1"

    @pytest.mark.parametrize(
        ("state", "other"),
        [
            ("running", {"attempt": 2}),
            ("running", {"percentage": 0.0}),
            ("running", {"percentage": 100.0}),
            ("running", {"pool_id": "p", "reservation_id": "r", "allocated": {}, "deadline": AT}),
            ("completed", {"agent_id": None, "assigned_at": None}),
            ("assigned", {"requires": ("t0",), "awaits": ("approval",)}),
            ("scheduled", {"inputs": {"a": 1}}),
        ],
    )
    def test_is_at_the_edge_of_a_promise(self, state: str, other: dict[str, Any]) -> None:
        one = task(state, **other)
        of = workflow(tasks=(task("scheduled", "t0"), one), pending=("approval",))
        assert unsound(of, one) is None

    @pytest.mark.parametrize(
        "otherwise",
        [
            {"definition_id": "other"},
            {"state": "assigned"},
            {"assigned_agent": "other"},
            {"start_time": None},
            {"end_time": AT},
            {"requires": ("t0",)},
            {"awaits": ("approval",)},
            {"inputs": {"a": 1}},
            {"outputs": {"a": 1}},
            {"error": "broken"},
            {"attempts_left": 0},
        ],
        ids=lambda otherwise: next(iter(otherwise)),
    )
    def test_is_as_its_workflow_shows_it(self, otherwise: dict[str, Any]) -> None:
        one = task()
        assert unsound(with_tasks(workflow(), {"t1": replace(shown(one), **otherwise)}), one) == "task t1"

    def test_is_one_that_its_workflow_has(self) -> None:
        assert unsound(workflow(), task()) == "task t1"


class TestATaskKnows:
    """What is there of what it requires."""

    @pytest.mark.parametrize("state", OF_TASK)
    @pytest.mark.parametrize("knows", [True, False])
    def test_which_tasks_are_completed_if_it_may_run_yet(self, state: str, knows: bool) -> None:
        first = task("completed", "t0")
        one = task(state, requires=("t0",), satisfied=("t0",) if knows else ())
        over = state in ("completed", "cancelled")
        assert (unsound(workflow(tasks=(first, one)), one) is None) == (knows or over)

    @pytest.mark.parametrize("state", ["scheduled", "failed", "timed_out"])
    def test_which_are_not(self, state: str) -> None:
        first = task("scheduled", "t0")
        one = task(state, requires=("t0",), satisfied=("t0",))
        assert unsound(workflow(tasks=(first, one)), one) == "task t1"

    @pytest.mark.parametrize(
        ("told", "is_sound"),
        [((), False), (("approval",), True), (("data",), False), (("approval", "data"), False)],
        ids=str,
    )
    def test_which_dependencies_are_satisfied(self, told: tuple[str, ...], is_sound: bool) -> None:
        one = task("scheduled", awaits=("approval", "data"), satisfied=told)
        of = workflow(tasks=(one,), satisfied=("approval",), pending=("data",))
        assert (unsound(of, one) is None) == is_sound


class TestATaskThatHasFailed:
    @pytest.mark.parametrize("state", FAILED)
    @pytest.mark.parametrize(
        ("of", "on_failure", "attempts_left", "is_sound"),
        [
            ("running", "fail", 1, True),
            ("running", "fail", 0, False),
            ("paused", "fail", 0, False),
            ("running", "continue", 0, True),
            ("failed", "fail", 0, True),
        ],
    )
    def test_for_good_has_failed_its_workflow(
        self, state: str, of: str, on_failure: str, attempts_left: int, is_sound: bool
    ) -> None:
        one = task(state, attempt=2 - attempts_left)
        assert (unsound(workflow(of, (one,), on_task_failure=on_failure), one) is None) == is_sound

    @pytest.mark.parametrize("state", [state for state in OF_TASK if state not in FAILED])
    def test_is_no_other_that_has_its_last_attempt(self, state: str) -> None:
        one = task(state, attempt=2)
        assert unsound(workflow(tasks=(one,)), one) is None
