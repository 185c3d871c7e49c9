"""Sorting a log by time: order, ends of traces, what is skipped, and what is left on the disk."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.xes import runs
from infrastructure.xes.errors import XesError
from infrastructure.xes.identities import SeenIds
from infrastructure.xes.sort import sort_xes
from infrastructure.xes.sorted_log import SortedEvent, SortedLog
from infrastructure.xes.source import sha256_of
from tests.support.xes_logs import LoggedEvent, LoggedTrace, at, multiply_log, xes

NOW = datetime(2020, 1, 1, tzinfo=UTC)


def sort(directory: Path, *traces: LoggedTrace, run_size: int = 3, now: datetime = NOW) -> SortedLog:
    path = directory / "log.xes"
    path.write_text(xes(*traces), encoding="utf-8")
    return sort_xes(path, directory / "sorted", now=now, run_size=run_size)


def events(*seconds: float) -> tuple[LoggedEvent, ...]:
    """Events whose activity is their number in the trace."""
    return tuple(LoggedEvent(str(number), time=at(second)) for number, second in enumerate(seconds))


def brief(log: SortedLog) -> list[tuple[str, str | None]]:
    return [(event.trace_id, event.activity) for event in log]


def test_events_are_sorted_over_traces_and_ties_stay_in_file_order(tmp_path: Path) -> None:
    log = sort(tmp_path, LoggedTrace("x", events(5, 1, 5)), LoggedTrace("y", events(5, 1, 3)))
    order = [("x", "1"), ("y", "1"), ("y", "2"), ("x", "0"), ("x", "2"), ("y", "0")]
    assert brief(log) == order
    assert [event.ordinal for event in log] == list(range(6)), "each iteration starts afresh"


def test_first_and_last_of_a_trace_are_by_time_and_the_first_carries_its_attributes(tmp_path: Path) -> None:
    log = sort(
        tmp_path,
        LoggedTrace("x", events(5, 1, 5, 1), {"amount": 7, "when": at(0)}),
        LoggedTrace("alone", events(2)),
    )
    ends = {
        (event.trace_id, event.activity): (event.first_of_trace, event.last_of_trace, event.trace_attributes)
        for event in log
    }
    assert ends == {
        ("x", "1"): (True, False, {"amount": 7, "when": "2011-10-01T00:00:00Z"}),
        ("x", "3"): (False, False, None),
        ("alone", "0"): (True, True, {}),
        ("x", "0"): (False, False, None),
        ("x", "2"): (False, True, None),
    }


def test_an_event_comes_back_as_it_was_logged(tmp_path: Path) -> None:
    logged = LoggedEvent("Ä/#", "START", at(0.123456), "10", {"n": 1, "f": 0.5, "b": True, "d": at(1)})
    (event,) = sort(tmp_path, LoggedTrace("é\u2028", (logged,)))
    attributes = {"n": 1, "f": 0.5, "b": True, "d": "2011-10-01T00:00:01Z"}
    assert event == SortedEvent(0, "é\u2028", {}, "Ä/#", "start", at(0.123456), "10", attributes, True, True)


def test_times_before_1970_are_sorted_too(tmp_path: Path) -> None:
    old = datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)
    log = sort(tmp_path, LoggedTrace("x", (LoggedEvent(time=at(0)), LoggedEvent(time=old))))
    assert [event.time for event in log] == [old, at(0)]


def test_events_without_a_time_or_in_the_future_are_skipped_counted_and_named(tmp_path: Path) -> None:
    logged = (
        LoggedEvent("none", time=None),
        LoggedEvent("naive", time="2011-10-01T00:00:00"),
        LoggedEvent("now", time=NOW),
        LoggedEvent("later", time=NOW + timedelta(microseconds=1)),
    )
    log = sort(tmp_path, LoggedTrace("x", logged))
    (event,) = log
    assert (event.activity, event.first_of_trace, event.last_of_trace) == ("now", True, True)
    assert log.report.skipped == {"event without time": 2, "event in future": 1}
    assert log.report.examples == {
        "event without time": ('event 1 (none) of trace "x"', 'event 2 (naive) of trace "x"'),
        "event in future": ('event 4 (later) of trace "x"',),
    }
    assert (log.report.events_read, log.report.events_sorted) == (4, 1)


def test_at_most_five_examples_are_named_and_none_is_long(tmp_path: Path) -> None:
    lost = (LoggedEvent("a" * 1000, time=None),) * 4
    log = sort(tmp_path, LoggedTrace("x" * 255, lost), LoggedTrace("y", lost))
    assert log.report.skipped["event without time"] == 8
    named = log.report.examples["event without time"]
    assert len(named) == 5
    assert max(map(len, named)) <= 120


@pytest.mark.parametrize("run_size", [1, 2, 3, 100])
def test_a_second_trace_of_an_id_is_skipped_whole(tmp_path: Path, run_size: int) -> None:
    lost = LoggedEvent(time=None)
    future = LoggedTrace("x", (*events(*range(90_000, 90_005)), lost))
    log = sort(tmp_path, LoggedTrace("x", events(1)), future, LoggedTrace("y", events(0)), run_size=run_size)
    assert brief(log) == [("y", "0"), ("x", "0")]
    assert log.report.skipped == {"trace repeated": 1, "event of skipped trace": 6}
    assert log.report.examples == {"trace repeated": ('trace "x"',)}
    assert (log.report.traces, log.report.traces_sorted) == (3, 2)
    assert (log.report.events_read, log.report.events_sorted) == (8, 2)
    assert log.report.last_time == at(1), "a skipped trace counts in no range"


def test_a_trace_without_events_is_counted(tmp_path: Path) -> None:
    log = sort(tmp_path, LoggedTrace("x"), LoggedTrace("y", (LoggedEvent(time=None),)))
    assert list(log) == []
    assert log.report.skipped == {"trace without events": 2, "event without time": 1}
    assert (log.report.traces, log.report.traces_sorted, log.report.first_time) == (2, 0, None)


@pytest.mark.parametrize("trace_id", ["x" * 256, "a\nb", "a\x85b"])
def test_a_trace_with_an_id_that_no_stream_can_have_is_skipped(tmp_path: Path, trace_id: str) -> None:
    path = tmp_path / "log.xes"
    text = xes(LoggedTrace(trace_id.replace("\n", "NEWLINE"), events(1)))
    path.write_text(text.replace("NEWLINE", "&#10;"), encoding="utf-8")
    log = sort_xes(path, tmp_path / "sorted", now=NOW)
    assert list(log) == []
    assert log.report.skipped == {"trace id unusable": 1, "event of skipped trace": 1}


@pytest.mark.parametrize("run_size", [1, 100])
def test_a_trace_without_an_id_gets_one_that_no_other_has(tmp_path: Path, run_size: int) -> None:
    log = sort(
        tmp_path,
        LoggedTrace(None, events(1)),
        LoggedTrace(" ", events(2)),
        LoggedTrace("trace-2", events(3)),
        LoggedTrace("trace--1", events(4)),
        LoggedTrace("trace----1", events(5)),
        run_size=run_size,
    )
    names = ["trace---1", "trace---2", "trace-2", "trace--1", "trace----1"]
    assert [event.trace_id for event in log] == names
    assert log.report.skipped == {}


def test_the_usual_name_of_a_trace_without_an_id_is_its_number(tmp_path: Path) -> None:
    log = sort(tmp_path, LoggedTrace("a", events(1)), LoggedTrace(None, events(2)))
    assert [event.trace_id for event in log] == ["a", "trace-2"]


def test_the_report_tells_hash_range_and_months(tmp_path: Path) -> None:
    late = LoggedEvent(time="2012-01-01T00:30:00+01:00")
    log = sort(tmp_path, LoggedTrace("x", (*events(5), late)), LoggedTrace("y", events(-1)))
    report = log.report
    assert (report.sha256, report.file_name) == (sha256_of(tmp_path / "log.xes"), "log.xes")
    assert (report.first_time, report.last_time) == (at(-1), datetime(2011, 12, 31, 23, 30, tzinfo=UTC))
    assert report.months == ((2011, 9), (2011, 10), (2011, 12))
    assert report.now == NOW


def test_progress_rises_to_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.xes"
    path.write_text(xes(*(LoggedTrace(str(n), events(*range(50))) for n in range(50))), encoding="utf-8")
    told: list[tuple[int, int]] = []
    sort_xes(path, tmp_path / "sorted", now=NOW, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


TRACES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.lists(st.integers(-3, 3) | st.none(), max_size=9)),
    max_size=12,
)


@given(TRACES, st.integers(1, 12))
def test_sorting_in_runs_agrees_with_sorting_in_memory(
    traces: list[tuple[str | None, list[int | None]]], run_size: int
) -> None:
    logged = [
        LoggedTrace(
            name,
            tuple(
                LoggedEvent(f"{number}.{place}", time=None if second is None else at(second))
                for place, second in enumerate(seconds)
            ),
            {"number": number},
        )
        for number, (name, seconds) in enumerate(traces, 1)
    ]
    with TemporaryDirectory() as directory:
        found = list(sort(Path(directory), *logged, run_size=run_size))
    assert [
        (e.time, e.trace_id, e.activity, e.first_of_trace, e.last_of_trace, e.trace_attributes) for e in found
    ] == expected(traces)


def expected(traces: Sequence[tuple[str | None, list[int | None]]]) -> list[tuple[object, ...]]:
    """The same by Python's own stable sort, all in memory."""
    named: dict[str, tuple[int, list[int | None]]] = {}
    for number, (name, seconds) in enumerate(traces, 1):
        named.setdefault(name or f"trace-{number}", (number, seconds))
    flat: list[tuple[int, str, str, bool, bool, object]] = []
    for name, (number, seconds) in named.items():
        timed = sorted(
            ((second, place) for place, second in enumerate(seconds) if second is not None),
            key=lambda pair: pair[0],
        )
        first, last = (timed[0], timed[-1]) if timed else (None, None)
        for second, place in ((second, place) for place, second in enumerate(seconds) if second is not None):
            pair = (second, place)
            attributes = {"number": number} if pair == first else None
            flat.append((second, name, f"{number}.{place}", pair == first, pair == last, attributes))
    return [(at(second), *rest) for second, *rest in sorted(flat, key=lambda row: row[0])]


def test_more_runs_than_can_be_open_are_merged_in_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MERGE_WIDTH", 3)
    seconds = [(n * 7919) % 101 for n in range(200)]
    log = sort(tmp_path, LoggedTrace("x", events(*seconds)), run_size=2)
    order = sorted(range(200), key=lambda n: seconds[n])
    assert [event.activity for event in log] == [str(n) for n in order]
    assert len(list((tmp_path / "sorted").glob("run-*"))) <= 3


def test_few_large_events_fill_a_run_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RUN_BYTES", 10_000)
    large = LoggedEvent(attributes={"text": "x" * 4000})
    log = sort(tmp_path, LoggedTrace("x", (large,) * 8), run_size=1000)
    assert len(list((tmp_path / "sorted").glob("run-*"))) == 3
    assert len(list(log)) == 8


def test_a_complete_sort_of_the_same_file_is_used_again(tmp_path: Path) -> None:
    sort(tmp_path, LoggedTrace("x", events(2, 1)), now=NOW)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sorted").iterdir()}
    again = sort(tmp_path, LoggedTrace("x", events(2, 1)), now=at(1.5))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sorted").iterdir()} == before
    assert again.report.now == NOW, "the ordinals of the first time need its now"
    assert brief(again) == [("x", "1"), ("x", "0")]


def test_a_sort_of_another_file_is_not_used(tmp_path: Path) -> None:
    sort(tmp_path, LoggedTrace("x", events(1)))
    assert brief(sort(tmp_path, LoggedTrace("y", events(1)))) == [("y", "0")]


def test_an_unfinished_or_damaged_sort_is_done_again(tmp_path: Path) -> None:
    trace = LoggedTrace("x", events(2, 1, 3, 4))
    scratch = tmp_path / "sorted"
    for damage in ("no marker", "half a marker", "another format", "a run cut off", "a run gone"):
        sort(tmp_path, trace)
        marker = scratch / "sorted.json"
        if damage == "no marker":
            marker.unlink()
        elif damage == "half a marker":
            marker.write_bytes(marker.read_bytes()[:40])
        elif damage == "another format":
            marker.write_bytes(orjson.dumps({**orjson.loads(marker.read_bytes()), "format": 0}))
        elif damage == "a run cut off":
            os.truncate(scratch / "run-1.jsonl", 10)
        else:
            (scratch / "run-1.jsonl").unlink()
        (scratch / "run-99.jsonl").write_text("left by a crash")
        assert [event.activity for event in sort(tmp_path, trace)] == ["1", "0", "2", "3"], damage
        assert not (scratch / "run-99.jsonl").exists(), damage


def test_the_files_go_when_the_work_is_done_and_stay_when_it_failed(tmp_path: Path) -> None:
    scratch = tmp_path / "sorted"
    with pytest.raises(RuntimeError), sort(tmp_path, LoggedTrace("x", events(1))):
        raise RuntimeError
    assert (scratch / "sorted.json").exists()
    with sort(tmp_path, LoggedTrace("x", events(1))):
        pass
    assert not scratch.exists()


def test_only_its_own_files_are_removed(tmp_path: Path) -> None:
    log = sort(tmp_path, LoggedTrace("x", events(1)))
    (tmp_path / "sorted" / "other.txt").write_text("not ours")
    log.remove()
    assert [path.name for path in (tmp_path / "sorted").iterdir()] == ["other.txt"]


def test_a_log_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "log.xes"
    path.write_text(xes(LoggedTrace("x", events(*range(10))))[:-8], encoding="utf-8")
    with pytest.raises(XesError) as caught:
        sort_xes(path, tmp_path / "sorted", now=NOW, run_size=2)
    assert caught.value.reason == "ends_early"
    assert list((tmp_path / "sorted").iterdir()) == []


def test_a_directory_that_can_not_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sorted").write_text("a file, no directory")
    with pytest.raises(XesError, match=r"sorted events can't be written .*; make room") as caught:
        sort(tmp_path, LoggedTrace("x", events(1)))
    assert caught.value.reason == "scratch_failed"


def test_a_run_that_is_damaged_while_in_use_is_told_in_one_sentence(tmp_path: Path) -> None:
    log = sort(tmp_path, LoggedTrace("x", events(1, 2)))
    (tmp_path / "sorted" / "run-1.jsonl").write_text("[1,")
    with pytest.raises(XesError, match="repeat the import"):
        list(log)


def test_seen_ids_are_known_again_and_take_little_room() -> None:
    seen = SeenIds()
    assert all(seen.add(str(number)) for number in range(5000))
    assert not any(seen.add(str(number)) for number in range(5000))
    assert len(seen._table) <= 5000 * 48


def test_a_multiplied_log_has_fresh_ids_and_times(tmp_path: Path) -> None:
    one = tmp_path / "one.xes"
    one.write_text(xes(LoggedTrace("x", events(1, 2), {"due": at(9)}), LoggedTrace(None)), encoding="utf-8")
    multiply_log(one, tmp_path / "two.xes.gz", 2, apart=timedelta(seconds=10))
    log = sort_xes(tmp_path / "two.xes.gz", tmp_path / "sorted", now=NOW)
    found = [(event.trace_id, event.time, event.trace_attributes) for event in log]
    assert found == [
        ("x-1", at(-9), {"due": "2011-09-30T23:59:59Z"}),
        ("x-1", at(-8), None),
        ("x-0", at(1), {"due": "2011-10-01T00:00:09Z"}),
        ("x-0", at(2), None),
    ]
    assert log.report.traces == 4
