"""JSON lines: an event on each, with the very bytes that were recorded."""

from base64 import b64encode
from typing import Any

import orjson

from domain.log import RecordedEvent

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


def line(event: RecordedEvent) -> bytes:
    """`data` and `metadata` stand there byte for byte; what is no JSON of one line, as `data_base64` and the like."""
    told: dict[str, Any] = {
        "position": event.position,
        "recorded_at": event.recorded_at,
        "stream_id": event.stream_id,
        "version": event.version,
        "type": event.type,
        "schema_version": event.schema_version,
        "event_id": event.event_id,
        "following": event.following,
    }
    for key, stored in (("data", event.data), ("metadata", event.metadata)):
        if _is_json_line(stored):
            told[key] = orjson.Fragment(stored)
        else:
            told[f"{key}_base64"] = b64encode(stored).decode()
    return orjson.dumps(told, option=_OPTIONS)


def _is_json_line(stored: bytes) -> bool:
    try:
        orjson.loads(stored)
    except orjson.JSONDecodeError:
        return False
    return b"\n" not in stored and b"\r" not in stored
