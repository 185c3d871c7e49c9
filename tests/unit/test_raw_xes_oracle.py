"""The oracle of the import is held against small logs whose answers can be seen by eye."""

import ast
import gzip
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.oracle import raw_xes
from tests.oracle.raw_xes import NO_RESOURCE, Expected, ExpectedTask, RawLog, load, random_pairs, state_at

REPOSITORY = Path(__file__).parents[2]
DAY = datetime(2011, 10, 1, tzinfo=UTC)

Step = tuple[int | None, str, str, str | None]  # minute of the day, activity, transition, resource


def at(minute: int) -> datetime:
    return DAY + timedelta(minutes=minute)


def attribute(kind: str, key: str, value: str | None) -> str:
    return "" if value is None else f'<{kind} key="{key}" value="{value}"/>'


def event(minute: int | None, activity: str, transition: str, resource: str | None) -> str:
    time = None if minute is None else at(minute).isoformat()
    return (
        "<event>"
        + attribute("string", "concept:name", activity)
        + attribute("string", "lifecycle:transition", transition)
        + attribute("string", "org:resource", resource)
        + attribute("date", "time:timestamp", time)
        + "</event>"
    )


def trace(trace_id: str | None, *steps: Step) -> str:
    name = attribute("string", "concept:name", trace_id)
    return f"<trace>{name}{''.join(event(*step) for step in steps)}</trace>"


def log_text(*traces: str) -> str:
    default = '<global scope="event"><string key="concept:name" value="UNKNOWN"/></global>'
    return f'<?xml version="1.0"?><log xmlns="http://www.xes-standard.org/">{default}{"".join(traces)}</log>'


Loader = Callable[..., RawLog]
Runner = Callable[..., Expected]


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    def load_traces(*traces: str) -> RawLog:
        path = tmp_path / "log.xes"
        path.write_text(log_text(*traces), encoding="utf-8")
        return load(path)

    return load_traces


@pytest.fixture
def final(loaded: Loader) -> Runner:
    """The state of one trace `T` after all of its steps."""

    def run(*steps: Step) -> Expected:
        state = state_at(loaded(trace("T", *steps)), "T", at(10_000))
        assert state is not None
        return state

    return run


def task(state: raw_xes.TaskState, created: int, *work: int | raw_xes.Agent, suspended: bool = False) -> ExpectedTask:
    """A task by its state, the minute that made it, and maybe its agent, start and end."""
    agent, *minutes = work or (None,)
    assert not isinstance(agent, int)
    times = [at(minute) for minute in minutes if isinstance(minute, int)]
    started, ended = [*times, None, None][:2]
    return ExpectedTask(state, at(created), at(created), agent, started, ended, suspended)


def test_a_scheduled_item_is_started_and_completed_as_one_task(final: Runner) -> None:
    state = final((0, "W", "SCHEDULE", "ann"), (1, "W", "start", "bob"), (2, "W", "Complete", "bob"))

    assert state.tasks == {"T/W#1": task("completed", 0, "bob", 1, 2)}
    assert state == Expected("completed", at(0), at(0), at(2), state.tasks)


def test_a_start_takes_the_oldest_scheduled_task_and_infers_one_when_there_is_none(final: Runner) -> None:
    schedules: list[Step] = [(0, "W", "schedule", "ann"), (1, "W", "schedule", "ann")]
    starts: list[Step] = [(2, "W", "start", "b"), (3, "W", "start", "c"), (4, "W", "start", "d")]

    assert final(*schedules, *starts).tasks == {
        "T/W#1": task("running", 0, "b", 2),
        "T/W#2": task("running", 1, "c", 3),
        "T/W#3": task("running", 4, "d", 4),
    }


def test_a_start_takes_no_task_of_another_activity(final: Runner) -> None:
    assert final((0, "V", "schedule", "a"), (1, "W", "start", "a")).tasks == {
        "T/V#1": task("scheduled", 0),
        "T/W#1": task("running", 1, "a", 1),
    }


def test_a_complete_takes_a_running_task_of_its_own_resource_before_an_older_one(final: Runner) -> None:
    starts: list[Step] = [(0, "W", "start", "a"), (1, "W", "start", "b"), (2, "W", "start", "b")]

    assert final(*starts, (3, "W", "complete", "b")).tasks == {
        "T/W#1": task("running", 0, "a", 0),
        "T/W#2": task("completed", 1, "b", 1, 3),
        "T/W#3": task("running", 2, "b", 2),
    }


def test_a_complete_by_a_stranger_takes_the_oldest_running_task_which_stays_its_agents(final: Runner) -> None:
    starts: list[Step] = [(0, "W", "schedule", "z"), (1, "W", "start", "a"), (2, "W", "start", "b")]

    assert final(*starts, (3, "W", "schedule", "z"), (4, "W", "complete", "z")).tasks == {
        "T/W#1": task("completed", 0, "a", 1, 4),
        "T/W#2": task("running", 2, "b", 2),
        "T/W#3": task("scheduled", 3),
    }


def test_a_complete_with_nothing_running_does_the_oldest_scheduled_task_at_once(final: Runner) -> None:
    steps: list[Step] = [(0, "W", "schedule", "a"), (1, "W", "schedule", "a"), (2, "W", "complete", "b")]

    assert final(*steps).tasks == {
        "T/W#1": task("completed", 0, "b", 2, 2),
        "T/W#2": task("scheduled", 1),
    }


def test_a_complete_with_nothing_open_is_a_task_of_one_moment_each_time(final: Runner) -> None:
    assert final((0, "A", "complete", "a"), (1, "A", "complete", "b")).tasks == {
        "T/A#1": task("completed", 0, "a", 0, 0),
        "T/A#2": task("completed", 1, "b", 1, 1),
    }


def test_events_without_a_resource_share_one_agent_that_is_no_resource(loaded: Loader) -> None:
    steps: list[Step] = [
        (0, "W", "start", "a"),
        (1, "W", "start", None),
        (2, "W", "complete", None),
        (3, "A", "complete", ""),
    ]
    log = loaded(trace("T", *steps))
    state = state_at(log, "T", at(3))

    assert state is not None
    assert state.tasks["T/W#1"] == task("running", 0, "a", 0)
    assert state.tasks["T/W#2"] == task("completed", 1, NO_RESOURCE, 1, 2)
    assert state.tasks["T/A#1"].assigned_agent is NO_RESOURCE
    assert log.resources == {"a"}
    assert raw_xes.totals(log).agents == 2


def test_a_suspended_task_runs_on_and_is_what_a_resume_takes(final: Runner) -> None:
    start: Step = (0, "W", "start", "a")
    suspended = final(start, (1, "W", "suspend", "a"))
    resumed = final(start, (1, "W", "suspend", "a"), (2, "W", "resume", "b"))

    assert suspended.tasks == {"T/W#1": task("running", 0, "a", 0, suspended=True)}
    assert resumed.tasks == {"T/W#1": task("running", 0, "a", 0)}


def test_two_suspended_tasks_are_resumed_one_by_one_and_a_third_resume_starts_a_task(final: Runner) -> None:
    starts: list[Step] = [(0, "W", "start", "a"), (1, "W", "start", "b")]
    suspends: list[Step] = [(2, "W", "suspend", "a"), (3, "W", "suspend", "b")]
    resumes: list[Step] = [(4, "W", "resume", "a"), (5, "W", "resume", "b"), (6, "W", "resume", "c")]

    assert len(final(*starts, *suspends, *resumes[:2]).tasks) == 2
    assert final(*starts, *suspends, *resumes).tasks["T/W#3"] == task("running", 6, "c", 6)


def test_a_resume_of_what_was_completed_is_a_start(final: Runner) -> None:
    steps: list[Step] = [(0, "W", "start", "a"), (1, "W", "suspend", "a"), (2, "W", "complete", "a")]

    assert final(*steps, (3, "W", "resume", "b")).tasks == {
        "T/W#1": task("completed", 0, "a", 0, 2),
        "T/W#2": task("running", 3, "b", 3),
    }


@pytest.mark.parametrize("transition", ["ate_abort", "PI_ABORT", "withdraw", "autoskip", "manualskip"])
def test_what_ends_work_early_cancels_the_oldest_open_task(final: Runner, transition: str) -> None:
    steps: list[Step] = [
        (0, "W", "complete", "a"),
        (1, "W", "start", "a"),
        (2, "W", "schedule", "a"),
        (3, "W", transition, "b"),
    ]

    assert final(*steps).tasks == {
        "T/W#1": task("completed", 0, "a", 0, 0),
        "T/W#2": task("cancelled", 1, "a", 1, 3),
        "T/W#3": task("scheduled", 2),
    }
    only_scheduled = final(*steps, (4, "W", transition, "b")).tasks["T/W#3"]
    assert only_scheduled == ExpectedTask("cancelled", at(2), at(2), end_time=at(4))
    assert len(final(*steps, *[(5, "W", transition, "b")] * 9).tasks) == 3


def test_any_other_transition_begins_the_workflow_but_touches_no_task(loaded: Loader) -> None:
    log = loaded(trace("T", (0, "W", "reassign", "a"), (1, "W", "schedule", "a"), (2, "W", "", "a")))

    assert state_at(log, "T", at(0)) == Expected("running", at(0), at(0), None, {})
    assert raw_xes.totals(log).rules["anything else"] == 2


def test_a_moment_on_an_event_includes_all_events_of_that_time_and_a_microsecond_before_none(
    loaded: Loader,
) -> None:
    log = loaded(trace("T", (0, "A", "start", "a"), (1, "A", "complete", "a"), (1, "B", "complete", "b")))
    on, before = state_at(log, "T", at(1)), state_at(log, "T", at(1) - timedelta(microseconds=1))

    assert on is not None
    assert (on.workflow_state, on.completed_at, len(on.tasks)) == ("completed", at(1), 2)
    assert before == Expected("running", at(0), at(0), None, {"T/A#1": task("running", 0, "a", 0)})
    assert state_at(log, "T", at(0) - timedelta(microseconds=1)) is None


def test_a_workflow_with_no_open_task_runs_on_until_its_last_event(loaded: Loader) -> None:
    state = state_at(loaded(trace("T", (0, "A", "complete", "a"), (9, "B", "complete", "a"))), "T", at(8))

    assert state is not None
    assert (state.workflow_state, state.completed_at) == ("running", None)


@pytest.mark.parametrize("transition", ["schedule", "start"])
def test_a_workflow_whose_last_event_leaves_a_task_open_stays_running(final: Runner, transition: str) -> None:
    state = final((0, "A", "complete", "a"), (1, "W", transition, "a"))

    assert (state.workflow_state, state.completed_at) == ("running", None)


def test_events_are_taken_in_order_of_time_and_then_of_the_file(final: Runner) -> None:
    steps: list[Step] = [(5, "W", "complete", "a"), (1, "W", "schedule", "a"), (1, "W", "start", "a")]

    assert final(*steps).tasks == {"T/W#1": task("completed", 1, "a", 1, 5)}


def test_names_with_slashes_hashes_and_percents_are_escaped_in_the_ids_of_tasks(loaded: Loader) -> None:
    state = state_at(loaded(trace("a/b", (0, "c#d%2F", "complete", "a"))), "a/b", at(0))

    assert state is not None
    assert list(state.tasks) == ["a%2Fb/c%23d%252F#1"]


def test_what_cannot_count_is_skipped_and_counted(tmp_path: Path, loaded: Loader) -> None:
    future = (datetime.now(UTC) - DAY) // timedelta(minutes=1) + 60
    zoneless = event(3, "A", "complete", "a").replace("+00:00", "")
    log = loaded(
        trace("T", (None, "A", "complete", "a"), (future, "A", "complete", "a"), (2, "A", "complete", "a")),
        trace("T", (0, "A", "complete", "a")),
        trace(None, (0, "A", "complete", "a")),
        trace("Z").replace("</trace>", f"{zoneless}</trace>"),
    )
    found = raw_xes.totals(log)

    assert log.trace_ids == ["T", "trace-3", "Z"]
    assert log.event_times("T") == [at(2)]
    assert state_at(log, "Z", at(9)) is None
    assert (found.events_read, found.events, sum(found.workflows.values())) == (6, 2, 2)
    assert found.skipped == {
        raw_xes.WITHOUT_TIME: 2,
        raw_xes.IN_THE_FUTURE: 1,
        raw_xes.DUPLICATE_TRACE: 1,
    }


def test_nested_attributes_are_not_taken_for_the_events_own(loaded: Loader) -> None:
    nested = '<string key="note" value="x"><string key="concept:name" value="wrong"/></string></event>'
    log = loaded(trace("T", (0, "A", "complete", "a")).replace("</event>", nested))
    state = state_at(log, "T", at(0))

    assert state is not None
    assert list(state.tasks) == ["T/A#1"]


def test_a_gzipped_log_and_times_of_other_zones_read_the_same(tmp_path: Path) -> None:
    text = log_text(trace("T", (0, "A", "complete", "a")))
    path = tmp_path / "log.bin"
    path.write_bytes(gzip.compress(text.replace("00:00:00+00:00", "02:00:00.000+02:00").encode()))
    state = state_at(load(path), "T", DAY)

    assert state is not None
    assert state.tasks == {"T/A#1": task("completed", 0, "a", 0, 0)}


def test_random_pairs_are_different_repeatable_and_at_or_a_microsecond_before_events(loaded: Loader) -> None:
    log = loaded(*[trace(f"T{n}", *[(m, "A", "complete", "a") for m in (0, n, n, 9)]) for n in range(1, 9)])
    pairs = random_pairs(log, 48, seed=7)
    moments = {name: set(log.event_times(name)) for name in log.trace_ids}
    microsecond = timedelta(microseconds=1)

    assert len(set(pairs)) == 48
    assert all(moment in moments[name] or moment + microsecond in moments[name] for name, moment in pairs)
    assert pairs == random_pairs(log, 48, seed=7)
    assert pairs != random_pairs(log, 48, seed=8)
    with pytest.raises(ValueError, match="larger than population"):
        random_pairs(log, 49, seed=7)


def test_the_oracle_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(raw_xes.__file__).read_text(encoding="utf-8"))
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    froms = {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.partition(".")[0] for name in plain | froms} <= sys.stdlib_module_names
