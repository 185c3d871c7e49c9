"""What was said with an event: who asked, why, and in which conversation."""

from typing import Any

import orjson

from domain.errors import CorruptLog
from domain.log import RecordedEvent


def metadata_of(record: RecordedEvent) -> dict[str, Any]:
    """Raises CorruptLog that names the event. No state depends on it."""
    try:
        told: Any = orjson.loads(record.metadata) if record.metadata else {}
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise CorruptLog(
            f"{record.stream_id}, version {record.version}: what was said with the event {record.type} (its metadata)"
            " can't be understood; restore it from a backup; all states can be asked for.",
            stream_id=record.stream_id,
            version=record.version,
            event_type=record.type,
        )
    return told
