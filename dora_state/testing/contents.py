"""What a document or an event says, whoever shows it and whenever: who is shown it writes a digest of it down, and the
checker makes its own.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson

from domain.log import RecordedEvent
from dora_state.state_events import StateChangeEvent

_OF_THE_MOMENT: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "agent": (
        ("last_heartbeat",),
        ("resource_usage",),
        ("capacity", "processing_rate"),
        ("capacity", "queue_size"),
    ),
    "task": (("execution_metrics", "execution_time"), ("audit_trail",), ("audit_trail_omitted",)),
}
"""What is joined when a document is read."""


def content(kind: str, document: Mapping[str, Any]) -> str:
    """Of the document of a workflow, a task, an agent or a pool; the system's is of the moment but for little of it."""
    kept = dict(document)
    for *within, key in _OF_THE_MOMENT.get(kind, ()):
        place = kept
        for name in within:
            place[name] = dict(place[name])
            place = place[name]
        place.pop(key, None)
    return digest(kept)


def event_content(event: StateChangeEvent) -> str:
    """Of an event as a follower got it: all but its id and position, which it writes down besides."""
    stream_id = f"{event.entity_type}-{event.entity_id}"
    return _of_event(
        stream_id, event.version, event.event_type, event.timestamp, event.following, event.data, event.metadata
    )


def recorded_content(event: RecordedEvent) -> str:
    """The same of an event in the log. Raises ValueError where that is no JSON."""
    data, metadata = orjson.loads(event.data), orjson.loads(event.metadata)
    return _of_event(event.stream_id, event.version, event.type, event.recorded_at, event.following, data, metadata)


def _of_event(
    stream_id: str, version: int, type: str, recorded_at: datetime, following: int, data: object, metadata: object
) -> str:
    at = recorded_at.astimezone(UTC).isoformat()
    return digest([stream_id, version, type, at, following, data, metadata])


def digest(what: object) -> str:
    return blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=8).hexdigest()
