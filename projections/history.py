"""The history of one aggregate: each version with when, who, why, and what it changed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.aggregate import Aggregate
from domain.catalogue import EventCatalogue
from domain.log import NOW, Cut, EventReader, RecordedEvent
from projections import changes
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One version. `data` is the event as it was recorded, `patch` what it changed in the document."""

    version: int
    position: int
    recorded_at: datetime
    occurred_at: str | None
    type: str
    actor: str | None
    command: str | None
    command_id: str | None
    correlation_id: str | None
    causation_id: str | None
    reason: str | None
    data: Mapping[str, Any]
    patch: changes.Patch
    lines: tuple[str, ...]


class History:
    """Reads streams forwards and folds along, so any length needs the memory of one state."""

    def __init__(
        self, reader: EventReader, aggregates: Mapping[str, Aggregate[Any]], catalogue: EventCatalogue
    ) -> None:
        self._reader = reader
        self._aggregates = aggregates
        self._catalogue = catalogue

    async def of(
        self, kind: str, aggregate_id: str, *, cut: Cut = NOW, after_version: int = 0
    ) -> AsyncIterator[HistoryEntry]:
        """The versions after `after_version` up to a cut, in order; empty if there is nothing of that id."""
        aggregate = self._aggregates[kind]
        state = None
        document: Document = {}
        async for record in self._reader.read_stream(aggregate.stream_id(aggregate_id), cut=cut):
            event = self._catalogue.decode(record.type, record.schema_version, record.data)
            state = aggregate.evolve(state, event)
            if record.version < after_version:
                continue
            before, document = document, self._render(kind, state, record)
            if record.version > after_version:
                yield _entry(record, before, document)

    def _render(self, kind: str, state: object, record: RecordedEvent) -> Document:
        return decode(RENDERINGS[kind].render(state, record.version, record.position, record.recorded_at))


def _entry(record: RecordedEvent, before: Document, after: Document) -> HistoryEntry:
    metadata = orjson.loads(record.metadata)
    data = orjson.loads(record.data)
    return HistoryEntry(
        version=record.version,
        position=record.position,
        recorded_at=record.recorded_at,
        occurred_at=metadata.get("occurred_at"),
        type=record.type,
        actor=metadata.get("actor"),
        command=metadata.get("command_type"),
        command_id=metadata.get("command_id"),
        correlation_id=metadata.get("correlation_id"),
        causation_id=metadata.get("causation_id"),
        reason=data.get("reason") or data.get("error"),
        data=data,
        patch=changes.patch(before, after),
        lines=tuple(changes.lines(before, after)),
    )
