"""What anything can be called."""

import pytest

from domain.errors import InvalidInput
from domain.text import is_text, require_id, require_text, require_visible, shown, visible


@pytest.mark.parametrize("text", ["", "agent-1", "\u00e9\U0001f600", "\n", "\ud7ff\ue000"])
def test_what_is_unicode_may_be_a_name(text: str) -> None:
    assert is_text(text)
    require_text("agent_id", text)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\udcff", "a\ud800b"])
def test_half_a_character_and_what_no_database_holds_are_none(text: str) -> None:
    assert not is_text(text)
    with pytest.raises(InvalidInput, match=r"^agent_id: a text that is no Unicode .* names nothing"):
        require_text("agent_id", text)


def test_a_filter_is_no_longer_than_a_name_can_be() -> None:
    require_text("agent_id", "x" * 255)
    with pytest.raises(
        InvalidInput, match=r"^agent_id: nothing has a name of more than 255 characters; give a shorter"
    ):
        require_text("agent_id", "x" * 256)


@pytest.mark.parametrize("text", ["", "agent-1", " a", "\u00e9\U0001f600", "x" * 255])
def test_whatever_can_be_seen_is_looked_for(text: str) -> None:
    require_id("id", text)
    require_visible("id", text)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\udcff", "a\ud800b", "a\nb", "\x1b", "\x7f", "\u2028", "\u202e"])
def test_an_id_that_nothing_has_is_not_looked_for(text: str) -> None:
    for refuse in (require_id, require_visible):
        with pytest.raises(InvalidInput, match=r"^id: must not contain control characters") as refused:
            refuse("id", text)
        assert refused.value.facts == {"field": "id"}


@pytest.mark.parametrize(
    ("id", "said"),
    [("x" * 256, "at most 255 characters; give a shorter one"), (5, "is text; give it as such"), (None, "is text")],
)
def test_an_id_is_text_of_some_length(id: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"^id: an id .*{said}") as refused:
        require_id("id", id)
    assert refused.value.facts == {"field": "id"}


def test_a_name_from_outside_is_told_so_that_it_can_be_seen() -> None:
    assert visible("a \x1b\0\udcff\u00e9") == "a \\x1b\\x00\\xdcff\u00e9"
    assert shown("x" * 300) == "x" * 255
    assert shown("\0" * 300) == "\\x00" * 255
    assert shown(5) == "5"
