"""A log in memory that is told events as they are: no decisions, no checks, whatever a test wants read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.log import RecordedEvent
from tests.support.memory_log import MemoryEventLog

START = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)


class ToldLog(MemoryEventLog):
    """Commands are recorded a second apart unless told otherwise; a pair is a stream and its event."""

    def __init__(self) -> None:
        super().__init__()
        self._at = START

    def tell(
        self,
        *pairs: tuple[str, Event],
        at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> list[RecordedEvent]:
        """Record one command's events."""
        self._at = at or self._at + timedelta(seconds=1)
        told = orjson.dumps({"actor": "test", "correlation_id": "c-1", **(metadata or {})})
        return [
            self.put(stream_id, event.type, CATALOGUE.encode(event), told, following=len(pairs) - place - 1)
            for place, (stream_id, event) in enumerate(pairs)
        ]

    def tell_all(self, *pairs: tuple[str, Event]) -> None:
        """Record each event as a command of its own."""
        for pair in pairs:
            self.tell(pair)

    def put(
        self,
        stream_id: str,
        type: str,
        data: bytes,
        metadata: bytes = b"{}",
        *,
        schema_version: int = 1,
        following: int = 0,
    ) -> RecordedEvent:
        """Record an event as raw as this."""
        stream = self._streams.setdefault(stream_id, [])
        event = RecordedEvent(
            len(self.events) + 1,
            uuid4(),
            stream_id,
            len(stream) + 1,
            type,
            schema_version,
            data,
            metadata,
            self._at,
            following,
        )
        self.events.append(event)
        stream.append(event)
        return event
