"""The history of one aggregate: each version with when, who, why, and what it changed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from domain.folding import FOLDER, Folder
from domain.log import NOW, Cut, EventReader, RecordedEvent
from domain.workflow import Workflow
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

    def __init__(self, reader: EventReader, folder: Folder = FOLDER) -> None:
        self._reader = reader
        self._folder = folder

    async def of(
        self, kind: str, aggregate_id: str, *, cut: Cut = NOW, after_version: int = 0
    ) -> AsyncIterator[HistoryEntry]:
        """The versions after `after_version` up to a cut, in order; empty if there is nothing of that id."""
        aggregate = self._folder.aggregates[kind]
        stream_id = aggregate.stream_id(aggregate_id)
        state = None
        if after_version > 0:
            state = (await self._folder.at(self._reader, stream_id, Cut(version=after_version))).state
        async for record in self._reader.read_stream(stream_id, after_version=after_version, cut=cut):
            event = self._folder.catalogue.decode(record.type, record.schema_version, record.data)
            before = state.copy() if state is not None else None
            state = aggregate.evolve(state, event)
            told_before, told_after = _only_what_may_differ(before, state)
            yield _entry(record, _render(kind, told_before, record), _render(kind, told_after, record))


def _render(kind: str, state: object | None, record: RecordedEvent) -> Document:
    if state is None:
        return {}
    return decode(RENDERINGS[kind].render(state, record.version, record.position, record.recorded_at))


def _only_what_may_differ(before: Any, after: Any) -> tuple[Any, Any]:
    """Without the tasks that an event left alone: comparing all of a large workflow's at each of its versions
    would take the square of its size. Views of tasks are replaced, never changed, so identity tells."""
    if not (isinstance(before, Workflow) and isinstance(after, Workflow)):
        return before, after
    moved = [task_id for task_id, view in after.tasks.items() if before.tasks.get(task_id) is not view]
    known = [task_id for task_id in moved if task_id in before.tasks]
    return (
        replace(before, tasks={task_id: before.tasks[task_id] for task_id in known}),
        replace(after, tasks={task_id: after.tasks[task_id] for task_id in moved}),
    )


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
