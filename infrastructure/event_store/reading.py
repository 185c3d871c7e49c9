"""Reading the log from PostgreSQL, by stream or by position."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from domain.errors import CorruptLog, InvalidInput
from domain.log import NOW, AlreadyRecorded, Cut, Head, LogFilter, RecordedEvent
from infrastructure import sql
from infrastructure.database import Connections
from infrastructure.event_store.errors import domain_errors

PAGE = 1000
"""Events of a stream that are held at once."""


class PostgresEventReader:
    """The port EventReader. The connections see one tenant; any role may read."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def _rows(self, query: LiteralString, *arguments: object) -> list[TupleRow]:
        with domain_errors():
            try:
                async with self._connections.connection() as connection:
                    cursor = await connection.execute(sql.load(query), arguments or None, binary=True)
                    return await cursor.fetchall()
            except psycopg.OperationalError:
                # One connection is lost, so others may be: the next call finds good ones.
                await self._connections.check()
                raise

    async def head(self) -> Head:
        ((position, recorded_at),) = await self._rows("log_head")
        return Head(position, recorded_at)

    async def position_at(self, at: datetime) -> int:
        ((position,),) = await self._rows("position_at", at)
        return int(position)

    async def stream_version(self, stream_id: str) -> int:
        return (await self.stream_versions([stream_id])).get(stream_id, 0)

    async def stream_versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        return {
            str(stream_id): int(version) for stream_id, version in await self._rows("stream_versions", list(stream_ids))
        }

    async def find_command(self, command_id: UUID) -> AlreadyRecorded | None:
        """What a command answered and where it is, None if it is not recorded."""
        rows = await self._rows("find_command", command_id)
        return AlreadyRecorded(*rows[0]) if rows else None

    async def moved_after(self, position: int, *, at_most: int) -> tuple[int, dict[str, int]]:
        rows = await self._rows("moved_after", position, at_most)
        last = max((int(last) for _, _, last in rows), default=position)
        return last, {str(stream_id): int(version) for stream_id, version, _ in rows}

    async def read_stream(
        self,
        stream_id: str,
        *,
        after_version: int = 0,
        cut: Cut = NOW,
        backwards: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        since: datetime | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            arguments = (after_version, cut.version, since, cut.at, cut.position, backwards, size)
            page = [RecordedEvent(*row) for row in await self._rows("read_stream", stream_id, *arguments)]
            _refuse_holes(page, after_version, backwards)
            for event in page:
                yield event
            if len(page) < size:
                return
            left = None if left is None else left - size
            if backwards:
                cut = replace(cut, version=page[-1].version - 1, at=page[-1].recorded_at)
            else:
                after_version, since = page[-1].version, page[-1].recorded_at

    async def read_streams(
        self,
        stream_ids: Sequence[str],
        *,
        after: Mapping[str, int] | None = None,
        up_to_position: int | None = None,
    ) -> dict[str, list[RecordedEvent]]:
        streams: dict[str, list[RecordedEvent]] = {stream_id: [] for stream_id in stream_ids}
        versions = [after.get(stream_id, -1) if after else -1 for stream_id in streams]
        if streams:
            for row in await self._rows("read_streams", list(streams), versions, up_to_position):
                event = RecordedEvent(*row)
                streams[event.stream_id].append(event)
        for events, version in zip(streams.values(), versions, strict=True):
            _refuse_holes(events, version, backwards=False)
        return streams

    async def read_log(self, *, after_position: int, limit: int, only: LogFilter | None = None) -> list[RecordedEvent]:
        if limit < 1:
            raise InvalidInput("A batch of the log has at least one event: give a limit of 1 or more.", limit=limit)
        categories = list(only.categories) if only and only.categories else None
        types = list(only.types) if only and only.types else None
        correlation_id = only.correlation_id if only else None
        rows = await self._rows("read_log", after_position, limit, categories, types, correlation_id)
        return [RecordedEvent(*row) for row in rows]


def _refuse_holes(events: Sequence[RecordedEvent], after_version: int, backwards: bool) -> None:
    """Versions are contiguous; where some are missing (archived), no answer is better than a wrong one.

    A whole stream (after version -1) begins with 0 or 1.
    """
    ordered = list(reversed(events)) if backwards else events
    if not ordered:
        return
    first = ordered[0]
    begins = backwards or first.version == after_version + 1 or (after_version < 0 and first.version == 1)
    if not begins or ordered[-1].version - first.version != len(ordered) - 1:
        raise CorruptLog(
            f"The stream {first.stream_id} lacks versions after {after_version} here: its older months may be"
            " archived; bring them back first.",
            stream_id=first.stream_id,
            after_version=after_version,
            first_version=first.version,
        )
