"""The whole of the bank's log, read by the oracle and sorted by the import, has the figures that are known of it."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from infrastructure.xes.sort import sort_xes
from tests.e2e.test_import_real_log import LOG, pytestmark
from tests.oracle import raw_xes
from tests.oracle.raw_xes import NO_RESOURCE, load

__all__ = ["pytestmark"]

NOW = datetime(2020, 1, 1, tzinfo=UTC)


def test_the_bank_log_gives_the_figures_that_are_known_of_it() -> None:
    log = load(LOG)
    found = raw_xes.totals(log)
    instant = [each for each in log.events() if each.transition == "complete" and each.activity[:2] != "W_"]
    starts = [each for each in log.events() if each.transition == "start"]
    not_started = found.rules["complete: a scheduled task, at once"] + found.rules["complete: a task of one moment"]

    assert (found.traces, found.events_read, found.events) == (13_087, 262_200, 262_200)
    assert sum(each.agent is NO_RESOURCE for each in starts) == 8_000
    assert not_started - len(instant) == 1_040
    assert found.tasks["running"] == 3
    assert (found.agents, found.agents_assigned, len(log.resources)) == (69, 69, 68)
    assert found.workflows == {"completed": 13_018, "running": 69}
    assert found.tasks == {"completed": 164_506, "running": 3, "scheduled": 71}


def test_the_real_log_is_sorted_whole(tmp_path: Path) -> None:
    transitions: Counter[str | None] = Counter()
    last: dict[str, datetime] = {}
    firsts = lasts = same_time = 0
    before = datetime.min.replace(tzinfo=UTC)
    with sort_xes(LOG, tmp_path / "sorted", now=NOW) as log:
        for event in log:
            assert event.time >= before
            before = event.time
            transitions[event.transition] += 1
            same_time += last.get(event.trace_id) == event.time
            last[event.trace_id] = event.time
            firsts += event.first_of_trace
            lasts += event.last_of_trace
    report = log.report
    assert (report.traces, report.events_read, report.events_sorted, report.skipped) == (
        13_087,
        262_200,
        262_200,
        {},
    )
    assert (firsts, lasts, len(last)) == (13_087, 13_087, 13_087)
    assert transitions == {"complete": 164_506, "start": 71_376, "schedule": 26_318}
    assert same_time == 13_995
    assert report.months == ((2011, 9), (2011, 10), (2011, 11), (2011, 12), (2012, 1), (2012, 2), (2012, 3))
