"""What a person types about keys, checked before anything is made."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import InvalidInput
from dora_state.access.api_key import new_key
from dora_state.access.caller import CallerRole
from dora_state.cli.keys import LONGEST_DAYS, check_expiry, check_key_id, check_name, check_role
from dora_state.cli.readings import check_mark

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_keys_expire_after_days_or_at_a_moment() -> None:
    assert check_expiry("90d", NOW) == NOW + timedelta(days=90)
    assert check_expiry("2026-02-01T01:00:00+01:00", NOW) == datetime(2026, 2, 1, tzinfo=UTC)


FAR, PAST, ZONELESS = "9999-12-31T00:00:00Z", "2025-12-31T00:00:00Z", "2026-02-01T00:00:00"


@pytest.mark.parametrize(
    "text", ["", "never", "0d", "-1d", f"{LONGEST_DAYS + 1}d", "9999999d", "90", PAST, ZONELESS, FAR]
)
def test_no_key_is_made_for_ever_or_for_the_past(text: str) -> None:
    with pytest.raises(InvalidInput, match="--expires"):
        check_expiry(text, NOW)


@pytest.mark.parametrize("text", ["0d", "000d", "3661d", "9999999d", "99999999999999d", f"{'9' * 5000}d"])
def test_days_that_are_too_few_or_too_many_are_told_how_many_there_may_be(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"--expires takes 1d to 3660d, not {text}"):
        check_expiry(text, NOW)
    assert check_expiry("0003660d", NOW) == NOW + timedelta(days=LONGEST_DAYS)


@pytest.mark.parametrize("text", ["0" * 100_000, f"{'0' * 100_000}x", f"{'9' * 100_000}x"])
def test_a_long_text_is_refused_as_quickly_as_a_short_one(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(InvalidInput, match="--expires"):
        check_expiry(text, NOW)
    assert time.process_time() - begun < 1
    assert check_expiry(f"{'0' * 100_000}90d", NOW) == NOW + timedelta(days=90)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "n" * 256, "a\x1b[0m"])
def test_a_name_can_be_seen(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)
    assert check_name("risk@bank.example") == "risk@bank.example"


@pytest.mark.parametrize("role", ["admin", "Reader", "", "reader "])
def test_only_roles_of_callers_are_given_to_keys(role: str) -> None:
    with pytest.raises(InvalidInput, match="orchestrator, reader, auditor, operator"):
        check_role(role)
    assert check_role("reader") is CallerRole.READER


def test_a_key_is_named_by_its_id_or_by_itself_and_its_secret_is_not_repeated() -> None:
    key = new_key()
    assert check_key_id(key.id) == check_key_id(key.text) == key.id
    for text in (key.secret, f"{key.text}x", "", "; DROP"):
        with pytest.raises(InvalidInput) as refused:
            check_key_id(text)
        assert key.secret not in f"{refused.value} {refused.value.facts}"


@pytest.mark.parametrize("mark", ["", "x", "-1", "1" * 19, "²"])
def test_a_mark_is_one_that_was_given(mark: str) -> None:
    with pytest.raises(InvalidInput, match="no page mark"):
        check_mark(mark)
    assert check_mark("12") == 12
