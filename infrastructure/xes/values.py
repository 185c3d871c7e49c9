"""What the text of an XES attribute means, by the type that its element names."""

import math
import re
from datetime import UTC, datetime
from typing import TypeAlias

XesValue: TypeAlias = "str | int | float | bool | datetime | list[XesValue] | dict[str, XesValue] | None"
XesAttributes: TypeAlias = dict[str, XesValue]

_INT = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def parse_time(text: str) -> datetime | None:
    """The moment in UTC, cut off at the microsecond; None if it is no ISO 8601 time or tells no zone."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def parse_value(kind: str, text: str | None) -> XesValue:
    """The value of an attribute; text that is no value of its kind is kept as the text it is.

    So are NaN and the infinities, and integers beyond the 64 bits that XES gives them.
    """
    if text is None or kind == "string" or kind == "id":
        return text
    value: XesValue = None
    if kind == "date":
        value = parse_time(text)
    elif kind == "int":
        value = _parse_int(text.strip())
    elif kind == "float":
        value = _parse_float(text.strip())
    elif kind == "boolean":
        value = _BOOLEANS.get(text.strip().lower())
    return text if value is None else value


def _parse_int(text: str) -> int | None:
    if _INT.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _parse_float(text: str) -> float | None:
    if _FLOAT.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None
