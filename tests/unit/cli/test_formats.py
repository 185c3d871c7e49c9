"""How values look to people."""

import io
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rich.console import Console

from commands.envelope import Answer, Problem
from domain.errors import ClockAhead, ConflictError, CutOutOfRange, InvalidInput, LogUnavailable, NotFound, Refusal
from dora_state.cli.exits import Exit, exit_of
from dora_state.cli.formats import Listing, bar, between, lasting, when
from dora_state.cli.submit import answer_document, answer_lines, exit_of_outcomes
from dora_state.cli.views.workflow import counts
from infrastructure.xes.errors import XesError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0 s"),
        (0.0353, "0.0353 s"),
        (42.4, "42 s"),
        (90, "1 min 30 s"),
        (3_700, "1 h 01 min"),
        (200_000, "2 d 07 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert lasting(seconds) == text


def test_moments_are_told_in_utc() -> None:
    assert when("2024-01-17T11:00:00.250+01:00") == "2024-01-17 10:00:00Z"
    assert when("2024-01-17T11:00:00.250+01:00", fraction=True) == "2024-01-17 10:00:00.250000Z"
    assert when(datetime(2024, 1, 17, tzinfo=UTC), fraction=True) == "2024-01-17 00:00:00Z"
    assert when(None) == "-"
    assert between("2024-01-17T10:00:00Z", "2024-01-17T10:01:01Z") == "1 min 01 s"
    assert between("2024-01-17T10:00:00Z", None) == "-"


def test_bars_are_full_at_a_hundred_and_never_longer() -> None:
    assert bar(0, 4).plain == "░░░░ 0 %"
    assert bar(0.1, 4).plain == "█░░░ 0.1 %"
    assert bar(50, 4).plain == "██░░ 50 %"
    assert bar(150, 4).plain == "████ 150 %"


def test_counts_of_nothing_are_left_out() -> None:
    none = dict.fromkeys(
        ["total_tasks", "completed_tasks", "running_tasks", "pending_tasks", "failed_tasks", "cancelled_tasks"], 0
    )
    assert counts(none) == "none"
    assert counts(none | {"total_tasks": 8, "completed_tasks": 1, "pending_tasks": 7}) == "8: 1 completed, 7 pending"


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], Exit.DONE),
        (["accepted", "unchanged"], Exit.DONE),
        (["accepted", "refused"], Exit.REFUSED),
        (["accepted", "invalid"], Exit.BAD_INPUT),
        (["conflict"], Exit.CONFLICT),
        (["conflict", "invalid"], Exit.REFUSED),
        (["refused", "failed"], Exit.UNAVAILABLE),
    ],
)
def test_the_exit_code_tells_the_one_sort_of_trouble(outcomes: list[str], code: Exit) -> None:
    assert exit_of_outcomes(Counter(outcomes)) is code


def test_each_error_has_its_exit_code() -> None:
    assert exit_of(Refusal("reason", "No.")) is Exit.REFUSED
    assert exit_of(InvalidInput()) is exit_of(XesError("not_xes", "No.")) is Exit.BAD_INPUT
    assert exit_of(NotFound()) is exit_of(CutOutOfRange()) is Exit.NOT_FOUND
    assert exit_of(LogUnavailable()) is exit_of(ClockAhead()) is Exit.UNAVAILABLE
    assert exit_of(ConflictError()) is Exit.CONFLICT


def test_an_answer_is_one_line_and_its_problem_another() -> None:
    accepted = Answer(UUID(int=1), "StartTask", "accepted", {"task-t": 3}, 17)
    assert answer_lines(accepted, "line 4") == ["line 4: StartTask accepted at position 17: task-t v3"]
    refused = Answer(UUID(int=1), "StartTask", "refused", problem=Problem("code", "Not now.", {"task": "t"}))
    assert answer_lines(refused, "line 4") == ["line 4: StartTask refused", "  Not now."]
    document = answer_document(refused, 4)
    assert document["line"] == 4
    assert document["problem"] == {"code": "code", "message": "Not now.", "facts": {"task": "t"}}


def _shown(part: Listing, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), markup=False)
    with console.capture() as captured:
        console.print(part)
    return [line.rstrip() for line in captured.get().splitlines()]


def _tasks(*ids: str) -> Listing:
    listing = Listing("task", "state", "agent", "start", "end", "took")
    for id in ids:
        listing.add_row(id, "completed", "an-agent-of-some-kind", AT, AT, "0.334 s")
    return listing


AT = "2011-10-01 00:38:44Z"
LONG_ID = "173688/W_Completeren aanvraag#12"


def test_ids_and_times_are_never_broken_where_they_fit_on_a_line() -> None:
    for width in (80, 120):
        lines = _shown(_tasks(LONG_ID, "t"), width)
        assert max(map(len, lines)) <= width
        assert any(line.startswith(LONG_ID) for line in lines)
        assert sum(line.count(AT) for line in lines) == 4
    assert len(_shown(_tasks(LONG_ID), 120)) == 2, "with room it is a table of one line each"
    assert _shown(_tasks(LONG_ID), 80)[2] == LONG_ID, "without, the id has a line of its own"


def test_an_id_longer_than_the_line_is_folded_and_loses_nothing() -> None:
    assert "".join(_shown(_tasks("x" * 200), 80)).count("x") == 200
