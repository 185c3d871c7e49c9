"""Good bodies made hostile: each value, key and element replaced by what nobody means."""

import json
from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def _deep(levels: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


NASTY_TEXTS = [
    "", " ", "\0", "a\0b", "\ud800", "a\x1fb", "\u200b", " a", "x" * 256, "x" * 20_000, "2024-01-17T10:00:00Z", "1e400",
    "9" * 400, "self", "None", "%", "'; --", "-", "workflow-", "system", "\u202e\U0001f600",
]  # fmt: skip
NASTY: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, float("nan"), float("-inf"), 2**62, 2**63, 2**64, 10**400, -(10**400),
    [], [1], [None], [[]], ["a", "a"], [{}], {}, {"": None}, {"a": None}, {"\0": 1}, {"\ud800": 1},
    {"type": 1, "self": 2, "data": 3}, {"x" * 300: 1}, {str(number): number for number in range(1_001)},
    _deep(40, list), _deep(40, dict), _deep(600, list), _deep(600, dict), *NASTY_TEXTS,
]  # fmt: skip
"""Of these some are good in some places."""


def places(value: Any, within: Place = ()) -> Iterator[Place]:
    """Of all values within, the whole one first."""
    yield within
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*within, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*within, number))


def replaced(value: Any, place: Place, by: Any) -> Any:
    """The same with another value at a place."""
    if not place:
        return by
    first, *rest = place
    if isinstance(value, dict):
        return {key: replaced(inner, tuple(rest), by) if key == first else inner for key, inner in value.items()}
    return [replaced(inner, tuple(rest), by) if key == first else inner for key, inner in enumerate(value)]


def mutations(value: Any) -> Iterator[Any]:
    """Each place with each nasty value, and each object with each nasty key besides."""
    for place in places(value):
        for nasty in NASTY:
            yield replaced(value, place, nasty)
        found = value
        for key in place:
            found = found[key]
        if isinstance(found, dict):
            for text in NASTY_TEXTS:
                yield replaced(value, place, {**found, text: 1})


def written(value: Any) -> bytes:
    """As JSON text, also what JSON has not: lone surrogates, numbers of any length, NaN."""
    return json.dumps(value).encode()
