"""The small types that events and commands share, each with its bounds."""

import math
import re
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, JsonValue, Strict

MAX_ID_LENGTH = 255
MAX_TEXT_LENGTH = 10_000
MAX_JSON_DEPTH = 32
_SORTED = orjson.OPT_SORT_KEYS


class Personal:
    """Marks a field that can hold personal data, so that a subject's data can be found and erased."""


PERSONAL = Personal()


def check_id(text: str) -> str:
    """The text if it may be an id. Raises ValueError."""
    if not 1 <= len(text) <= MAX_ID_LENGTH:
        raise ValueError(f"must have 1 to {MAX_ID_LENGTH} characters")
    return _plain(text)


def _plain(text: str) -> str:
    """Refuse what can't be seen, so that no two ids look the same: control characters, marks that turn or join
    text, odd blanks, lone surrogates, blanks at the ends."""
    if not text.isprintable():
        raise ValueError("must not contain control characters or others that can't be seen")
    if text != text.strip():
        raise ValueError("must not begin or end with a blank")
    return text


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _printable(text: str) -> str:
    """Free text may have line breaks and tabs, no other control characters."""
    if not text.isprintable() and _CONTROL.search(text):
        raise ValueError("must not contain control characters other than line breaks and tabs")
    return text


def _parse_time(value: object) -> object:
    """ISO 8601 text to a datetime; a number of seconds is not a time that a person can check."""
    if isinstance(value, int | float):
        raise ValueError("must be an ISO 8601 time, for example 2024-01-17T10:00:00Z")
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be an ISO 8601 time, for example 2024-01-17T10:00:00Z") from None
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from None


_FACTORS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** (power + 1) for power, suffix in enumerate("kMGTPE")},
    **{f"{suffix}i": Decimal(1024) ** (power + 1) for power, suffix in enumerate("KMGTPE")},
}


EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow])
"""Arithmetic of quantities: what is within their bounds is never rounded."""


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """A Kubernetes quantity ("2", "500m", "4Gi") as an exact number of cores, bytes or units.

    Raises ValueError for anything else, negative ones included.
    """
    number = text.rstrip("EGKMPTikmnu")
    suffix = text[len(number) :]
    allowed = all(character in "0123456789.+-eE" for character in number)
    try:
        value = EXACT.multiply(Decimal(number), _FACTORS[suffix]) if allowed and len(text) <= 40 else None
    except (ArithmeticError, KeyError):
        value = None
    if value is None or value < 0 or value > Decimal("1e24"):
        shown = text[:40].encode("utf-8", "replace").decode()
        raise ValueError(f'"{shown}" is not a quantity; write it like "2", "500m" or "4Gi", 10^24 at most')
    return value


def _check_quantity(text: str) -> str:
    parse_quantity(text)
    return text


def iso(at: datetime) -> str:
    """A time as documents and answers show it: in UTC, with a Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def same_json(one: object, other: object) -> bool:
    """Whether two values are the same JSON; Python alone takes true for 1."""
    return one == other and orjson.dumps(one, option=_SORTED) == orjson.dumps(other, option=_SORTED)


def check_json(value: JsonValue) -> JsonValue:
    """Finite numbers, no NUL characters, bounded nesting: so it can be stored, shown and indexed. Raises ValueError."""
    level: list[JsonValue] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"must not be nested deeper than {MAX_JSON_DEPTH} levels")
        deeper: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
                deeper.extend(item)
            elif isinstance(item, list):
                deeper.extend(item)
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                raise ValueError("must not contain whole numbers beyond 64 bits; write them as text")
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError("must not contain NaN or an infinity")
            elif isinstance(item, str) and not item.isprintable():
                _printable(item)
        level = deeper
    return value


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_plain)]
"""An id given by a caller: 1 to 255 characters, none of them a control character."""

Name = Id
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH), AfterValidator(_printable)]
Time = Annotated[AwareDatetime, BeforeValidator(_parse_time), AfterValidator(_to_utc)]
"""A moment with a zone, kept in UTC."""

Quantity = Annotated[str, AfterValidator(_check_quantity)]
"""Text of a Kubernetes quantity, kept as it was written; `parse_quantity` gives the exact number."""

Json = Annotated[JsonValue, AfterValidator(check_json)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(check_json)]
Names = Annotated[tuple[Name, ...], Strict(False)]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
PositiveCount = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=3_155_760_000, allow_inf_nan=False)]
Priority = Literal["high", "medium", "low"]
ResourceKind = Literal["cpu", "memory", "storage", "gpu"]
Resources = dict[ResourceKind, Quantity]
"""Quantities by kind: cores, bytes, bytes, units."""

# What events hold was validated at the edge when it came in, once; reading it back checks only its kind.
Payload = dict[str, Any]
Allocation = dict[ResourceKind, str]
