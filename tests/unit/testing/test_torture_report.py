"""What a report of torture says of recoveries: which were disturbed by what, and which did not come to their end."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from dora_state.testing.checker import Counts
from tests.torture.__main__ import main
from tests.torture.errands import NAMES
from tests.torture.faults import Happened
from tests.torture.report import Report
from tests.torture.upkeep import TYPES
from tests.torture.watch import Recovery, Span


def _report(
    writes: Recovery,
    *happened: Happened,
    projections: Recovery | None = None,
    stops: tuple[Span, ...] = (),
    followed: int = 1,
    own_reads: int = 1,
    months: int = 2,
    in_peace: Sequence[str] = NAMES,
    accepted: Iterable[str] = TYPES,
) -> Report:
    return Report(
        seed=1,
        seconds=60.0,
        happened=happened,
        skipped=Counter({"fill the disk": 2}),
        counts=Counts(followed=followed, own_reads=own_reads, recorded=Counter(accepted)),
        counted=0,
        months=months,
        found=[],
        writes=writes,
        projections=projections or Recovery(),
        stops=stops,
        errands=Counter(),
        in_peace=in_peace,
        begun=Counter(),
        stuck=[],
        crashed=[],
        replay="",
    )


def _lines(writes: Recovery, *happened: Happened, stops: tuple[Span, ...] = ()) -> list[str]:
    return list(_report(writes, *happened, stops=stops).lines())


def _recovery(*spans: tuple[float, float]) -> Recovery:
    recovery = Recovery()
    for began, lasted in spans:
        recovery.begin(began, 5, went_away=began - 1)
        recovery.see(began + lasted, 5)
    return recovery


def test_a_recovery_ends_when_the_position_is_reached() -> None:
    recovery = Recovery()
    recovery.begin(100.0, 5, went_away=99.0)
    recovery.see(101.0, 4)
    recovery.see(102.0, 5)
    recovery.see(103.0, 6)
    assert (recovery.done, recovery.broken_off) == ([Span(100.0, 2.0)], [])


def test_a_recovery_in_which_the_server_went_away_again_is_told() -> None:
    recovery = Recovery()
    recovery.begin(100.0, 5, went_away=99.0)
    recovery.begin(110.0, 5, went_away=103.0)
    recovery.see(111.0, 5)
    assert (recovery.done, recovery.broken_off) == ([Span(110.0, 1.0)], [Span(100.0, 3.0)])
    assert "  once it went away before that, after 3.00 s at most" in _lines(recovery)


def test_recoveries_that_never_came_to_their_end_are_told_and_judged_by_how_long_they_had() -> None:
    recovery, disturbed = Recovery(), Happened("stop a worker", 205.0, 7.0)
    for began in (100.0, 200.0, 300.0):
        recovery.begin(began, 5, went_away=began - 88.0)  # it was there for twelve seconds each time
    assert "Writes went on: never before PostgreSQL went away again." in _lines(recovery)
    assert _report(recovery, KILLED, disturbed).late == [
        "Writes went on not within the 12.00 s after PostgreSQL was there again, and within 5 s is promised."
    ]


def test_what_was_disturbed_is_told_apart() -> None:
    cause, other = Happened("kill PostgreSQL", 99.0, 0.01), Happened("stop a worker", 203.0, 7.0)
    lines = _lines(_recovery((100.0, 1.0), (200.0, 9.0), (300.0, 2.0)), cause, other)
    assert (
        "Writes went on after PostgreSQL was there again (3 times): 2.00 s (median),"
        " 2.00 s (longest of 2 without another fault meanwhile)."
    ) in lines
    assert "  9.00 s with others (stop a worker)" in lines


def test_nothing_is_said_of_recoveries_that_were_not() -> None:
    assert "Writes went on: PostgreSQL was never there again." in _lines(Recovery())


def test_a_stop_is_told_with_what_had_just_ended() -> None:
    lines = _lines(Recovery(), Happened("cut all connections", 9.5, 0.0), stops=(Span(10.0, 2.0), Span(30.0, 1.5)))
    assert "  2.0 s (cut all connections)" in lines
    assert "  1.5 s (none)" in lines


KILLED = Happened("kill PostgreSQL", 99.0, 0.01)


def test_a_kind_of_fault_that_never_hit_anything_is_told_too() -> None:
    lines = _lines(Recovery(), KILLED)
    assert "     1  kill PostgreSQL" in lines
    assert "     0  fill the disk (2 found nothing to hit)" in lines


def test_a_run_that_tried_nothing_is_not_good() -> None:
    assert _report(Recovery(), KILLED).is_good
    for report, says in (
        (_report(Recovery()), "No fault found anything to hit."),
        (_report(Recovery(), KILLED, followed=0), "Nobody followed the log."),
        (_report(Recovery(), KILLED, own_reads=0), "Nobody read what it had written."),
        (_report(Recovery(), KILLED, months=1), "The log did not come to a new month."),
        (_report(Recovery(), KILLED, accepted=TYPES - {"Reserve", "Release"}), "Never accepted: Release, Reserve."),
        (_report(Recovery(), KILLED, in_peace=NAMES[2:]), "With nothing broken any more, not done: rebuild, export."),
    ):
        assert not report.is_good
        assert f"  {says}" in list(report.lines())


def test_who_comes_back_later_than_is_promised_with_nothing_else_broken_is_told() -> None:
    other = Happened("stop a worker", 203.0, 7.0)
    soon, late = _recovery((100.0, 4.9), (200.0, 60.0)), _recovery((100.0, 10.2), (200.0, 60.0))
    report = _report(soon, KILLED, other, projections=late)
    assert report.late == [
        "Read models had what was there only 10.20 s after PostgreSQL was there again, and within 10 s is promised."
    ]
    assert f"  {report.late[0]}" in list(report.lines())
    assert [line[:28] for line in _report(late, KILLED, other).late] == ["Writes went on only 10.20 s "]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "nosuch"], "invalid choice: 'nosuch' (choose from 'kill PostgreSQL'"),
        (["--duration", "0"], "must be seconds, more than 0 and at most 86400, and is 0"),
        (["--duration", "-3"], "must be seconds"),
        (["--duration", "nan"], "must be seconds"),
        (["--duration", "inf"], "must be seconds"),
        (["--duration", "abc"], "argument --duration: invalid"),
        (["--seed", "x"], "argument --seed: invalid"),
    ],
)
def test_what_can_not_be_tried_is_refused_before_anything_begins(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["torture", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
