"""JSON from outside as it was written: no key is lost because it comes twice, and no number because it is long."""

import json
import re
from collections import Counter
from typing import Any

import orjson

from commands.wording import visible
from domain.errors import InvalidInput

_KEY = re.compile(rb'"[ \t\r\n]*:')
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_UNREADABLE = object()


def parse_json(raw: bytes) -> object:
    """The value that was written, exactly.

    The fast parser turns a whole number beyond 64 bits into a fraction and refuses NaN without saying where;
    the slow one keeps both, so that the check that follows can name the field.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        value = _parse_slowly(raw)
        if value is _UNREADABLE:
            raise InvalidInput(f"The command is not well-formed JSON: {error}; mend it and send it again.") from error
        return value
    if _LONG_NUMBER.search(raw) is None and _keys_written(raw) == _count_keys(value):
        return value
    exact = _parse_slowly(raw)
    if exact is _UNREADABLE:
        raise InvalidInput("The command has a number that is too long to be read; write it as text.")
    return exact


def _keys_written(raw: bytes) -> int:
    """How many keys a JSON text writes, or more where texts in it look like keys: then it is looked at slowly.

    Most writers put the colon right after the quotation mark, and that is quicker to count.
    """
    if b'" ' in raw or b'"\n' in raw or b'"\t' in raw or b'"\r' in raw:
        return len(_KEY.findall(raw))
    return raw.count(b'":')


def _count_keys(value: object) -> int:
    """How many keys all objects within have: fewer than are written if one comes twice."""
    count = 0
    left = [value]
    for one in left:
        if isinstance(one, dict):
            count += len(one)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return count


def _parse_slowly(raw: bytes) -> object:
    """What Python's own parser makes of it; `_UNREADABLE` if nothing, or if it takes what JSON has not.

    Raises InvalidInput for a key that an object has twice: one of its values would be lost unseen.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        return _UNREADABLE
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        times = Counter(name for name, _ in pairs)
        key = next(name for name in times if times[name] > 1)
        name = visible(key[:60])
        raise InvalidInput(f'The command has the key "{name}" twice in one object; give it once.', key=name)
    return value
