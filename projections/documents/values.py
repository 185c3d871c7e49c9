"""How values are written in documents."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from domain import values

Document = dict[str, Any]
"""A JSON object in SPEC's shape. As rendered it may hold times and tuples, which `encode` writes as JSON."""

GIGA = Decimal(10) ** 9
_EXACT_INTEGER = Decimal(2**53)


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as JSON: times in ISO 8601, UTC, with Z."""
    try:
        return orjson.dumps(document, option=orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError:
        # A caller's integer beyond 64 bits, which orjson does not write.
        return json.dumps(document, default=iso, separators=(",", ":"), ensure_ascii=False).encode()


def decode(body: bytes | str) -> Document:
    return orjson.loads(body)  # type: ignore[no-any-return]  # a document is an object


def moment(text: str | None) -> datetime | None:
    """A document's time as a datetime."""
    return datetime.fromisoformat(text) if text is not None else None


def iso(at: datetime | None) -> str | None:
    """A datetime as documents write it, for what is computed when read."""
    return values.iso(at) if at is not None else None


def whole(value: float | None) -> float | None:
    """The same number, without a point where it has no fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def number(value: Decimal) -> int | float:
    """A JSON number of that value: exact to fifteen digits, whole ones without a point."""
    if value == value.to_integral_value() and abs(value) <= _EXACT_INTEGER:
        return int(value)
    return float(value)


def percent(part: Decimal | int, whole: Decimal | int) -> float:
    """100 x part / whole, to two decimals; 0 of nothing is 0."""
    return round(float(100 * part / whole), 2) if whole else 0.0


def ratio(part: int, whole: int, of_nothing: float) -> float:
    """part / whole, to four decimals."""
    return round(part / whole, 4) if whole else of_nothing


def seconds(begin: datetime | None, end: datetime | None) -> float | None:
    """From one moment to another, never below zero; None if either is unknown."""
    if begin is None or end is None:
        return None
    return max((end - begin).total_seconds(), 0.0)
