"""What no field could ever take is refused by its place; where each field is checked by itself, it is kept."""

import pytest

from commands.strict_json import DEEPEST, parse_commands, parse_json, parse_sound_json
from domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("raw", "field", "fault"),
    [
        (b'{"a": [1, {"b": NaN}]}', "a.1.b", "NaN"),
        (b'{"a": -Infinity}', "a", "an infinity"),
        (b'{"a": 1' + b"0" * 400 + b"}", "a", "beyond 64 bits"),
        (b'[-9223372036854775809, "x"]', "0", "beyond 64 bits"),
        (b'"\\ud800"', "body", "lone surrogate"),
        (b'{"a": {"b\\udc00": 1}}', "a.b\\xdc00", "lone surrogate"),
        (b'{"a":' + b"[" * DEEPEST + b"]" * DEEPEST + b"}", "a.0.0.0.0.0.0.0", "nested deeper than 64 levels"),
        (b'{"a":' * DEEPEST + b"[]" + b"}" * DEEPEST, "a.a.a.a.a.a.a.a", "nested deeper than 64 levels"),
    ],
)
def test_what_no_field_could_take_is_refused_by_its_place(raw: bytes, field: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault) as caught:
        parse_sound_json(raw)
    assert caught.value.facts["field"] == field
    parse_json(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 18446744073709551615, "b": [-9223372036854775808, 1e300, "\xf0\x9f\x98\x80", "\\ud83d\\ude00"]}',
        b"[" * DEEPEST + b"]" * DEEPEST,
        b"null",
    ],
)
def test_what_is_sound_is_taken_as_it_is_written(raw: bytes) -> None:
    assert parse_sound_json(raw) == parse_json(raw)


def test_what_is_nested_too_deep_to_be_read_slowly_is_told_so() -> None:
    """Python's own parser has a bound below the fast one's, or none: then it sees the key."""
    deep = b"[" * 1010 + b'{"a": 1, "a": 2}' + b"]" * 1010
    for parse in (parse_json, parse_sound_json):
        with pytest.raises(InvalidInput, match=r'body: must not be nested deeper than 64 levels|the key "a" twice'):
            parse(deep)


def test_of_several_commands_only_those_with_a_key_twice_are_refused() -> None:
    commands = parse_commands(b'[{"a": 1}, {"b": {"k": 1, "k": 2}}]')
    assert isinstance(commands, list)
    first, second = commands
    assert first == {"a": 1}
    assert isinstance(second, InvalidInput)
    assert second.facts["key"] == "k"
    assert parse_commands(b'[{"a": 1}]') == [{"a": 1}]
    with pytest.raises(InvalidInput, match='the key "a" twice'):
        parse_commands(b'{"a": 1, "a": 2}')
