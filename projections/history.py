"""The history of one aggregate: each version with when, who, why, and what it changed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from domain.folding import FOLDER, Folder
from domain.log import NOW, Cut, EventReader, RecordedEvent
from domain.workflow import Workflow
from projections import changes
from projections.documents import RENDERINGS
from projections.documents.values import decode
from projections.metadata import metadata_of
from projections.questions import Questions

MICROSECOND = timedelta(microseconds=1)
BEGINNING_OF_TIME = datetime.min.replace(tzinfo=UTC)
STRETCH = 200
"""Versions that are held at once when history is told backwards."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One version. `data` is the event as it was recorded, `patch` what it changed in the document.

    `authenticated` is who sent the command, by which `credential`, where that was to be shown; `actor` in whose name.
    """

    version: int
    position: int
    recorded_at: datetime
    occurred_at: str | None
    type: str
    actor: str | None
    authenticated: str | None
    credential: str | None
    command: str | None
    command_id: str | None
    correlation_id: str | None
    causation_id: str | None
    reason: str | None
    data: Mapping[str, Any]
    patch: changes.Patch
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which versions to tell of. `since` is of recorded_at; what callers said is no cut, and can be filtered by."""

    types: frozenset[str] = frozenset()
    actor: str | None = None
    since: datetime | None = None
    occurred_since: datetime | None = None
    occurred_until: datetime | None = None

    def wants(self, record: RecordedEvent, metadata: Mapping[str, Any]) -> bool:
        if self.types and record.type not in self.types:
            return False
        if self.actor is not None and metadata.get("actor") != self.actor:
            return False
        if self.since is not None and record.recorded_at < self.since:
            return False
        if self.occurred_since is None and self.occurred_until is None:
            return True
        said = metadata.get("occurred_at")
        if said is None:
            return False
        occurred_at = datetime.fromisoformat(said)
        return (self.occurred_since is None or self.occurred_since <= occurred_at) and (
            self.occurred_until is None or occurred_at <= self.occurred_until
        )


EVERYTHING = HistoryFilter()


class History:
    """Reads streams and folds along, from the nearest snapshot, so any length needs the memory of one state."""

    def __init__(
        self,
        reader: EventReader,
        folder: Folder = FOLDER,
        *,
        stretch: int = STRETCH,
        questions: Questions | None = None,
    ) -> None:
        self.questions = questions or Questions()
        self._reader = reader
        self._folder = folder
        self._stretch = stretch

    async def of(
        self,
        kind: str,
        aggregate_id: str,
        *,
        cut: Cut = NOW,
        after_version: int = 0,
        only: HistoryFilter = EVERYTHING,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[HistoryEntry]:
        """The versions after `after_version` up to a cut, in order or backwards; empty if there are none."""
        self.questions.asked("history")
        stream_id = self._folder.aggregates[kind].stream_id(aggregate_id)
        if only.since is not None and only.since > BEGINNING_OF_TIME:
            before = await self._folder.at(self._reader, stream_id, Cut(at=only.since - MICROSECOND))
            after_version = max(after_version, before.version)
        if limit is not None and limit <= 0:
            return
        if after_version >= await self._reader.stream_version(stream_id):
            return  # what it was then need not be known
        entries = self._backwards if newest_first else self._forwards
        told = 0
        async for entry in entries(kind, stream_id, after_version, cut, only, limit):
            yield entry
            told += 1
            if told == limit:
                return

    async def _forwards(
        self, kind: str, stream_id: str, after_version: int, cut: Cut, only: HistoryFilter, limit: int | None
    ) -> AsyncIterator[HistoryEntry]:
        state, told = None, None  # the last document, where it is the next one's before
        if after_version > 0:
            state = (await self._folder.at(self._reader, stream_id, Cut(version=after_version))).state
        rest = limit if only == EVERYTHING else None
        async for record in self._reader.read_stream(stream_id, after_version=after_version, cut=cut, limit=rest):
            metadata = metadata_of(record)
            if not only.wants(record, metadata):
                state, told = self._folder.step(record, state)[1], None
                continue
            if isinstance(state, Workflow):
                before = state.copy()
                state = self._folder.step(record, state)[1]
                narrow_before, narrow_after = _only_what_may_differ(before, state)
                changed = changes.of_plain(_plain(kind, narrow_before, record), _plain(kind, narrow_after, record))
            else:
                begin = _plain(kind, state, record) if told is None else told
                state = self._folder.step(record, state)[1]
                told = _plain(kind, state, record)
                changed = changes.of_plain(begin, told)
            yield entry_of(record, metadata, *changed)

    async def _backwards(
        self, kind: str, stream_id: str, after_version: int, cut: Cut, only: HistoryFilter, limit: int | None
    ) -> AsyncIterator[HistoryEntry]:
        """A stretch at a time, each forwards: what an event changed is known only from what came before it."""
        reached = (await self._folder.at(self._reader, stream_id, cut)).version
        size = self._stretch if limit is None or only != EVERYTHING else min(limit, self._stretch)
        while reached > after_version:
            begin = max(after_version, reached - size)
            stretch = self._forwards(kind, stream_id, begin, Cut(version=reached), only, None)
            for entry in reversed([entry async for entry in stretch]):
                yield entry
            reached = begin


def _plain(kind: str, state: object | None, record: RecordedEvent) -> dict[str, Any]:
    if state is None:
        return {}
    rendered = RENDERINGS[kind].render(state, record.version, record.position, record.recorded_at)
    return changes.plain(decode(rendered))


def _only_what_may_differ(before: Workflow, after: Workflow) -> tuple[Workflow, Workflow]:
    """Without the tasks that an event left alone: comparing all of a large workflow's at each of its versions
    would take the square of its size. Views of tasks are replaced, never changed, so identity tells."""
    moved = [task_id for task_id, view in after.tasks.items() if before.tasks.get(task_id) is not view]
    known = [task_id for task_id in moved if task_id in before.tasks]
    return (
        replace(before, tasks={task_id: before.tasks[task_id] for task_id in known}),
        replace(after, tasks={task_id: after.tasks[task_id] for task_id in moved}),
    )


def entry_of(
    record: RecordedEvent, metadata: Mapping[str, Any], patch: changes.Patch, lines: tuple[str, ...]
) -> HistoryEntry:
    """A version, with what it changed."""
    data = orjson.loads(record.data)
    return HistoryEntry(
        version=record.version,
        position=record.position,
        recorded_at=record.recorded_at,
        occurred_at=metadata.get("occurred_at"),
        type=record.type,
        actor=metadata.get("actor"),
        authenticated=metadata.get("authenticated"),
        credential=metadata.get("credential"),
        command=metadata.get("command_type"),
        command_id=metadata.get("command_id"),
        correlation_id=metadata.get("correlation_id"),
        causation_id=metadata.get("causation_id"),
        reason=data.get("reason") or data.get("error"),
        data=data,
        patch=patch,
        lines=lines,
    )
