"""What anything can be called."""

import pytest

from domain.errors import InvalidInput
from domain.text import is_text, require_text


@pytest.mark.parametrize("text", ["", "agent-1", "\u00e9\U0001f600", "\n", "\ud7ff\ue000"])
def test_what_is_unicode_may_be_a_name(text: str) -> None:
    assert is_text(text)
    require_text("agent_id", text)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\udcff", "a\ud800b"])
def test_half_a_character_and_what_no_database_holds_are_none(text: str) -> None:
    assert not is_text(text)
    with pytest.raises(InvalidInput, match=r"^agent_id: a text that is no Unicode .* names nothing"):
        require_text("agent_id", text)
