"""Which attributes of a log can be kept: an event is not lost for one that can't."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.values import JsonObject

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


def keepable(attributes: Mapping[str, Any]) -> tuple[JsonObject, list[str]]:
    """The attributes that can be kept, and the names of the others.

    What the reader lets through and a state does not: control characters that XML allows, and nesting
    deeper than that of any other JSON here.
    """
    kept: JsonObject = {}
    left_out = []
    for name, value in attributes.items():
        try:
            kept |= _OBJECT.validate_python({name: value}, strict=True)
        except ValidationError:
            left_out.append(name)
    return kept, left_out
