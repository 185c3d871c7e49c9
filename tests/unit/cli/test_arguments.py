"""What is typed is checked before anything is started."""

from datetime import UTC, datetime

import pytest

from domain.errors import InvalidInput
from domain.log import NOW, Cut
from dora_state.cli.arguments import Freshness, check_freshness, check_id, check_kind, make_cut, parse_cut, parse_time

NAMES = ("--version", "--at", "--position")


def test_no_cut_means_now() -> None:
    assert make_cut(None, None, None, NAMES) == NOW


def test_each_of_the_three_makes_a_cut() -> None:
    assert make_cut(3, None, None, NAMES) == Cut(version=3)
    assert make_cut(None, None, 7, NAMES) == Cut(position=7)
    at = datetime(2024, 1, 17, 9, 0, tzinfo=UTC)
    assert make_cut(None, "2024-01-17T10:00:00+01:00", None, NAMES) == Cut(at=at)


def test_two_cuts_at_once_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="--version and --position"):
        make_cut(1, None, 2, NAMES)


@pytest.mark.parametrize("number", [0, -1, 2**63])
def test_which_versions_and_positions_there_are_is_for_the_log_to_say(number: int) -> None:
    assert make_cut(number, None, None, NAMES) == parse_cut(f"v{number}", "FROM") == Cut(version=number)
    assert make_cut(None, None, number, NAMES) == parse_cut(f"p{number}", "FROM") == Cut(position=number)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2024-01-17T10:00:00", "has no zone"),
        ("2024-01-17", "has no zone"),
        ("yesterday", "no ISO 8601 time"),
        ("", "no ISO 8601 time"),
        ("1705485600", "no ISO 8601 time"),
        ("0001-01-01T00:00:00+10:00", "outside the years"),
    ],
)
def test_a_time_without_a_zone_or_sense_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_time(text, "--at")


def test_any_zone_is_taken_to_utc() -> None:
    assert parse_time("2024-01-17T10:00:00.5-05:30", "--at") == datetime(2024, 1, 17, 15, 30, 0, 500_000, tzinfo=UTC)


def test_a_kind_is_one_of_five() -> None:
    assert check_kind("pool") == "pool"
    with pytest.raises(InvalidInput, match="workflow, task, agent, pool, system"):
        check_kind("workflows")


def test_the_system_needs_no_id_and_all_others_do() -> None:
    assert check_id("system", None) == check_id("system", "platform") == "platform"
    with pytest.raises(InvalidInput, match="only one system"):
        check_id("system", "other")
    with pytest.raises(InvalidInput, match="Which task"):
        check_id("task", None)


@pytest.mark.parametrize("id", ["x" * 256, "a\nb", "a\x00", "\udcff"])
def test_what_can_be_no_id_is_refused(id: str) -> None:
    with pytest.raises(InvalidInput, match="no id of a task"):
        check_id("task", id)


def test_without_a_word_a_state_is_as_fresh_as_it_can_be() -> None:
    assert check_freshness(None, None, None, now=True) == check_freshness(None, None, None, now=False) == Freshness()
    assert check_freshness("cached", 7, 0.5, now=True) == Freshness("cached", 7, 0.5)


@pytest.mark.parametrize(
    ("consistency", "min_position", "wait", "now", "said"),
    [
        ("fresh", None, None, True, "no consistency 'fresh': use one of cached, projected, live"),
        ("cached", None, None, False, "--consistency can be asked of the state of now only"),
        (None, 3, 2.0, False, "--min-position and --wait can be asked of the state of now only"),
        (None, 0, None, True, "counts from 1, so 0 is none"),
        (None, None, 2.0, True, "--wait for what"),
        (None, 3, -1.0, True, "takes 0 to 86400 seconds, not -1"),
        (None, 3, float("nan"), True, "takes 0 to 86400 seconds, not nan"),
    ],
)
def test_what_can_not_be_asked_of_freshness_is_said(
    consistency: str | None, min_position: int | None, wait: float | None, now: bool, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_freshness(consistency, min_position, wait, now=now)
