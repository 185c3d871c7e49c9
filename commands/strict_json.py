"""JSON from outside as it was written: no key is lost because it comes twice, and no number because it is long."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from domain.errors import InvalidInput
from domain.text import visible
from domain.values import MAX_JSON_DEPTH

DEEPEST = 2 * MAX_JSON_DEPTH
"""What a command may hold, and what may be around it."""
TOO_DEEP = f"must not be nested deeper than {DEEPEST} levels"
_KEY = re.compile(rb'"[ \t\r\n]*:')
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNREADABLE = object()


def parse_json(raw: bytes) -> object:
    """The value that was written, exactly. Raises InvalidInput.

    The fast parser turns a whole number beyond 64 bits into a fraction and refuses NaN and lone surrogates without
    saying where; the slow one keeps them, so that the check that follows can name the field.
    """
    value, _ = _parse(raw)
    return value


def parse_commands(raw: bytes) -> object:
    """The same for a body that may be an array: each of it that has a key twice is the InvalidInput that says so.

    Raises InvalidInput for what is no array.
    """
    value, is_sound = _read(raw)
    if not is_sound and isinstance(value, list):
        return [_repetition(one) or one for one in value]
    if not is_sound:
        _refuse_repetition(value)
    return value


def parse_sound_json(raw: bytes) -> object:
    """The same for what is looked at before each field of it is checked: what no field could ever take is refused by
    its place. Texts are Unicode, numbers have 64 bits, and nesting has a bound.
    """
    value, is_sound = _parse(raw)
    if not is_sound:
        _require_sound(value)
    return value


def _parse(raw: bytes) -> tuple[object, bool]:
    """The value, and whether it is known to be sound."""
    value, is_sound = _read(raw)
    if not is_sound:
        _refuse_repetition(value)
    return value, is_sound


def _read(raw: bytes) -> tuple[object, bool]:
    """The same; where it is not known to be, an object may be one that has a key twice."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        value = _parse_slowly(raw)
        if value is _UNREADABLE:
            raise InvalidInput(f"The command is not well-formed JSON: {error}; mend it and send it again.") from error
        return value, False
    keys, depth = _keys_and_depth(value)
    if _LONG_NUMBER.search(raw) is None and _keys_written(raw) == keys:
        return value, depth <= DEEPEST
    exact = _parse_slowly(raw)
    if exact is _UNREADABLE:
        raise _unsound([], TOO_DEEP)  # all else that the fast parser reads, the slow one reads too
    return exact, False


def _keys_written(raw: bytes) -> int:
    """How many keys a JSON text writes, or more where texts in it look like keys: then it is looked at slowly.

    Most writers put the colon right after the quotation mark, and that is quicker to count.
    """
    if b'" ' in raw or b'"\n' in raw or b'"\t' in raw or b'"\r' in raw:
        return len(_KEY.findall(raw))
    return raw.count(b'":')


def _keys_and_depth(value: object) -> tuple[int, int]:
    """How many keys all objects within have (fewer than are written if one comes twice), and how deep it is nested."""
    keys = depth = 0
    level = [value]
    while level:
        depth += 1
        deeper: list[object] = []
        for one in level:
            if isinstance(one, dict):
                keys += len(one)
                deeper.extend(one.values())
            elif isinstance(one, list):
                deeper.extend(one)
        level = deeper
    return keys, depth


def _require_sound(value: object) -> None:
    """Raises InvalidInput that names the place of what can be written, and is nothing that a field could take."""
    place: list[str | int] = []
    stack = [_members({"": value})]
    while stack:
        for key, one in stack[-1]:
            fault = _fault(key) or _fault(one)
            if fault is None and len(stack) > DEEPEST:
                fault = TOO_DEEP
            if fault is not None:
                raise _unsound([*place, key], fault)
            if isinstance(one, dict | list):
                place.append(key)
                stack.append(_members(one))
                break
        else:
            stack.pop()
            del place[-1:]


def _members(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, object]]:
    return iter(value.items()) if isinstance(value, dict) else iter(enumerate(value))


def _fault(one: object) -> str | None:
    if isinstance(one, str) and _SURROGATE.search(one):
        return "must not contain half a character (a lone surrogate)"
    if isinstance(one, float) and not math.isfinite(one):
        return "must not be NaN or an infinity"
    if isinstance(one, int) and not -(2**63) <= one < 2**64:
        return "must not be a whole number beyond 64 bits; write it as text"
    return None


def _unsound(place: Sequence[str | int], fault: str) -> InvalidInput:
    field = ".".join(visible(str(part)[:60]) for part in place[1:9]) or "body"
    return InvalidInput(f"{field}: {fault}.", field=field, fields=[field])


def _parse_slowly(raw: bytes) -> object:
    """What Python's own parser makes of it; `_UNREADABLE` if nothing, or if it takes what JSON has not."""
    try:
        value = json.loads(raw, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return _UNREADABLE
    return value


class _Repeating(dict[str, Any]):
    """An object that has a key twice, so that one of its values is lost."""

    def __init__(self, value: dict[str, Any], key: str) -> None:
        super().__init__(value)
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    times = Counter(name for name, _ in pairs)
    return _Repeating(value, next(name for name in times if times[name] > 1))


def _repetition(value: object) -> InvalidInput | None:
    """What is wrong where an object within has a key twice."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, _Repeating):
            name = visible(one.key[:60])
            return InvalidInput(f'The command has the key "{name}" twice in one object; give it once.', key=name)
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return None


def _refuse_repetition(value: object) -> None:
    repetition = _repetition(value)
    if repetition is not None:
        raise repetition
