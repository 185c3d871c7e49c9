"""What schemas are made of."""

from typing import Any, get_args

from domain.values import Priority

Schema = dict[str, Any]
REF = "#/components/schemas/"
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
YES_OR_NO: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
LINES: Schema = {"type": "array", "items": TEXT}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
"""What others made: its keys are theirs, or those of an event."""


def maybe(schema: Schema) -> Schema:
    """Or null."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable


def told(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def ref(name: str) -> Schema:
    return {"$ref": REF + name}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def by_name(schema: Schema) -> Schema:
    """An object whose keys are ids or names, and whose values are of one schema."""
    return {"type": "object", "additionalProperties": schema}


def one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def literal(words: Any) -> Schema:
    """The words of a Literal of the domain."""
    return one_of(*get_args(words))


def of(required: Schema, **optional: Schema) -> Schema:
    """An object that has these keys, and may have more: later releases add some."""
    return {"type": "object", "required": list(required), "properties": required | optional}


SECONDS = told(maybe(NUMBER), "Seconds.")
PRIORITY = literal(Priority)
PLACE = {
    "stream_version": told(WHOLE, "The version of the stream that it shows."),
    "position": told(WHOLE, "That of its last event in the log."),
    "recorded_at": told(TIME, "When that event was recorded."),
}
