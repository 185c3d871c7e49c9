"""Cuts, times, kinds, ids and cursors, as people type them: taken or refused in one sentence."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log import Cut
from dora_state.cli.arguments import check_id, check_kind, parse_cut
from dora_state.http.events import position_of
from dora_state.naming import check_command, check_types
from projections.errors import InvalidPage
from projections.pages import keys_of, marked
from tests.support.hostile import TEXTS
from tests.support.refusals import refusal_of

CUTS = ["now", "start", "v3", "p12", "12", "-1", "v", "p", "2024-01-17", "2024-01-17T10:00", "10:00", "5m", "yesterday"]
words = st.sampled_from([*TEXTS, *CUTS]) | st.text() | st.from_regex(r"[vp]?-?[0-9]{1,40}") | st.datetimes().map(str)
READ: dict[str, Callable[[str], object]] = {
    "kind": check_kind,
    "id": lambda text: check_id("task", text),
    "system": lambda text: check_id("system", text),
    "types": lambda text: check_types([text]),
    "command": check_command,
}


@given(words, st.booleans())
def test_any_word_is_a_cut_or_refused(text: str, versions: bool) -> None:
    found: list[Cut] = []
    refused = refusal_of(lambda: found.append(parse_cut(text, "--at", versions=versions)))
    assert (refused is None) == bool(found)


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@given(text=words)
def test_any_word_is_what_was_asked_for_or_refused(read: Callable[[str], object], text: str) -> None:
    refusal_of(lambda: read(text))


@given(page=words | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_word_is_the_place_of_a_page_or_refused(page: str) -> None:
    refused = refusal_of(lambda: keys_of(page, "asked", 2))
    assert refused is None or isinstance(refused, InvalidPage)


@given(last=words | st.text(st.characters(categories=["Nd", "No", "Nl"])))
def test_any_word_is_the_last_event_that_came_or_refused(last: str) -> None:
    found: list[int] = []
    refused = refusal_of(lambda: found.append(position_of(last)))
    assert (refused is None) == (bool(found) and found[0] >= 0)


plain = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(keys=st.lists(plain, min_size=1, max_size=3))
def test_a_page_goes_on_where_it_ended_and_nowhere_else(keys: list[str]) -> None:
    mark = marked("asked", *keys)
    assert keys_of(mark, "asked", len(keys)) == keys
    for asked, count in (("another", len(keys)), ("asked", len(keys) + 1)):
        with pytest.raises(InvalidPage):
            keys_of(mark, asked, count)
