"""What a report of torture says of recoveries: which were disturbed by what, and which did not come to their end."""

from collections import Counter

from dora_state.testing.checker import Counts
from tests.torture.faults import Happened
from tests.torture.report import Report
from tests.torture.watch import Recovery, Span


def _lines(writes: Recovery, *happened: Happened, stops: tuple[Span, ...] = ()) -> list[str]:
    report = Report(
        seed=1,
        seconds=60.0,
        happened=happened,
        skipped=Counter(),
        counts=Counts(),
        counted=0,
        found=[],
        writes=writes,
        projections=Recovery(),
        stops=stops,
        errands=Counter(),
        begun=Counter(),
        stuck=[],
        crashed=[],
        replay="",
    )
    return list(report.lines())


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
    assert "  1 times it went away before that, after 3.00 s at most" in _lines(recovery)


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
