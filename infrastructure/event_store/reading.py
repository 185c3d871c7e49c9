"""Reading the log from PostgreSQL, by stream or by position."""

import asyncio
import logging
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from domain.errors import Archived, InvalidInput, LogError
from domain.log import (
    NOW,
    AlreadyRecorded,
    Cut,
    FoldRequest,
    Head,
    LogFilter,
    Moved,
    RecordedEvent,
    Stretch,
    may_go_on,
)
from domain.snapshots import Place, Snapshot, Stamp
from infrastructure import sql
from infrastructure.database import Connection
from infrastructure.event_store import stretches
from infrastructure.event_store.errors import domain_errors
from infrastructure.pools import Connections

PAGE = 1000
"""Events of a stream that are held at once."""
logger = logging.getLogger(__name__)


class PostgresEventReader:
    """The port EventReader. The connections see one tenant; any role may read.

    `stamps`, by category: what snapshots must be made by to be gone on from, for telling what is left where months are
    archived.
    """

    def __init__(self, connections: Connections, stamps: Mapping[str, Stamp] | None = None) -> None:
        self._connections = connections
        self._stamps = stamps or {}

    async def _rows(self, query: LiteralString, *arguments: object) -> list[TupleRow]:
        async with self._connected() as connection:
            cursor = await connection.execute(sql.load(query), arguments or None, binary=True)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            with domain_errors():
                try:
                    async with self._connections.connection() as connection:
                        yield connection
                except psycopg.OperationalError:
                    # One connection is lost, so others may be: the next call finds good ones.
                    await self._connections.drain()
                    raise
        except Archived as error:
            raise await self._with_what_is_left(error) from error

    async def _with_what_is_left(self, error: Archived) -> Archived:
        """Of a stream: its states from the first snapshot on after which no event is archived."""
        stream_id, first_version = error.facts.get("stream_id"), error.facts.get("first_version")
        if not isinstance(stream_id, str) or not isinstance(first_version, int):
            return error
        stamp = self._stamps.get(stream_id.partition("-")[0])
        if stamp is None:
            return error
        try:
            place = await self._next_whole_snapshot(stream_id, stamp, first_version - 1)
        except LogError:  # such as on a connection whose transaction the refusal has ended
            return error
        if place is None:
            left = "only its state of now can be asked for"
        else:
            at = place.recorded_at.isoformat().replace("+00:00", "Z")
            left = f"its states from version {place.version} of {at} on can be asked for, and its history after that"
        told = f"Can't read the log there: {error.facts['reason']}; {left}; bring the archive back for the rest."
        return Archived(told, **error.facts, from_version=None if place is None else place.version)

    async def _next_whole_snapshot(self, stream_id: str, stamp: Stamp, version: int) -> Place | None:
        """The oldest one at or after a version that was not spoiled."""
        while rows := await self._rows("next_snapshot", stream_id, stamp.schema, stamp.fold_version, version):
            ((version, position, following, recorded_at, told, state),) = rows
            place = Place(version, position, following, recorded_at)
            if told == stretches.digest(stream_id, stamp, Snapshot(place, state)):
                return place
            version += 1
        return None

    async def head(self) -> Head:
        ((position, recorded_at),) = await self._rows("log_head")
        return Head(position, recorded_at)

    async def position_at(self, at: datetime) -> int:
        ((position,),) = await self._rows("position_at", at)
        return int(position)

    async def whole_command(self, position: int) -> Head:
        ((last_position, recorded_at),) = await self._rows("whole_command", position)
        return Head(last_position, recorded_at)

    async def stream_version(self, stream_id: str) -> int:
        return (await self.stream_versions([stream_id])).get(stream_id, 0)

    async def stream_versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        return {
            str(stream_id): int(version) for stream_id, version in await self._rows("stream_versions", list(stream_ids))
        }

    async def stream_began(self, stream_id: str) -> datetime | None:
        ((began,),) = await self._rows("stream_began", stream_id)
        return began  # type: ignore[no-any-return]  # rows are of any type

    async def archived_streams(self, stream_ids: Sequence[str]) -> set[str]:
        return {str(stream_id) for (stream_id,) in await self._rows("archived_streams", list(stream_ids))}

    async def find_command(self, command_id: UUID) -> AlreadyRecorded | None:
        """What a command answered and where it is, None if it is not recorded."""
        rows = await self._rows("find_command", command_id)
        return AlreadyRecorded(*rows[0]) if rows else None

    async def moved_after(self, position: int, *, at_most: int) -> tuple[int, dict[str, int]]:
        rows = await self._rows("moved_after", position, at_most)
        last = max((int(last) for _, _, last in rows), default=position)
        return last, {str(stream_id): int(version) for stream_id, version, _ in rows}

    async def streams_after(self, stream_id: str, limit: int) -> list[str]:
        return [str(found) for (found,) in await self._rows("streams_after", stream_id, limit)]

    async def moved_between(self, after: int, until: int, stream_id: str, limit: int) -> list[Moved]:
        return [Moved(*row) for row in await self._rows("moved_between", after, until, stream_id, limit)]

    async def positions_of(self, stream_ids: Sequence[str], *, after: int, until: int) -> Sequence[int]:
        rows = await self._rows("positions_of", list(stream_ids), after, until)
        return array("q", (position for (position,) in rows))

    async def read_commands(self, positions: Sequence[int]) -> list[RecordedEvent]:
        return [RecordedEvent(*row) for row in await self._rows("read_commands", list(positions))]

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
            if not may_go_on(page, size):
                return
            left = None if left is None else left - len(page)
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

    async def read_stretches(
        self, stream_id: str, *, stamp: Stamp | None = None, after_version: int = 0, cut: Cut = NOW
    ) -> AsyncGenerator[Stretch]:
        """The next page is on its way while a fold is busy with the one before."""
        async with self._connected() as connection:
            coming = asyncio.create_task(_page(connection, stream_id, stamp, after_version, None, cut))
            try:
                more = True
                while more:
                    stretch, more = await coming
                    if more and stretch.last is not None:
                        last = stretch.last
                        coming = asyncio.create_task(
                            _page(connection, stream_id, None, last.version, last.recorded_at, cut)
                        )
                        await asyncio.sleep(0)  # it is sent
                    yield stretch
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})

    async def read_folds(self, requests: Sequence[FoldRequest], *, up_to_position: int | None = None) -> list[Stretch]:
        if not requests:
            return []
        stamps = [request.stamp for request in requests]
        async with self._connected() as connection:
            result = await _result(
                connection,
                "read_folds",
                [request.stream_id for request in requests],
                [request.after_version for request in requests],
                [None if stamp is None else stamp.schema for stamp in stamps],
                [None if stamp is None else stamp.fold_version for stamp in stamps],
                [request.until_version for request in requests],
                up_to_position,
                PAGE,
            )
            found = stretches.of_requests(result, requests)
            return [
                part[0] if part is not None and not part[1] else await _whole(connection, request, up_to_position, part)
                for request, part in zip(requests, found, strict=True)
            ]

    async def read_log(
        self, *, after_position: int, limit: int, only: LogFilter | None = None, until_position: int | None = None
    ) -> list[RecordedEvent]:
        if limit < 1:
            raise InvalidInput("A batch of the log has at least one event: give a limit of 1 or more.", limit=limit)
        categories = list(only.categories) if only and only.categories else None
        types = list(only.types) if only and only.types else None
        correlation_id = only.correlation_id if only else None
        rows = await self._rows("read_log", after_position, limit, categories, types, correlation_id, until_position)
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
        raise stretches.lacking(first.stream_id, after_version, first.version)


async def _result(connection: Connection, query: LiteralString, *arguments: object) -> PGresult:
    """The rows as they came."""
    cursor = await connection.execute(sql.load(query), arguments, binary=True)
    assert cursor.pgresult is not None
    return cursor.pgresult


async def _page(
    connection: Connection,
    stream_id: str,
    stamp: Stamp | None,
    after_version: int,
    since: datetime | None,
    cut: Cut,
) -> tuple[Stretch, bool]:
    """A page, and whether more follows: from the nearest snapshot that was not spoiled, where there is a stamp."""
    schema, fold_version = (stamp.schema, stamp.fold_version) if stamp is not None else (None, None)
    below: int | None = None
    while True:
        arguments = (after_version, schema, fold_version, below, cut.version, since, cut.at, cut.position, PAGE)
        result = await _result(connection, "read_fold", stream_id, *arguments)
        try:
            return stretches.of_rows(result, stream_id, stamp, after_version)
        except stretches.SpoiledSnapshot as spoiled:
            logger.warning("%s: it is left alone", spoiled)
            below = spoiled.version


async def _whole(
    connection: Connection, request: FoldRequest, up_to_position: int | None, part: tuple[Stretch, bool] | None
) -> Stretch:
    """All that a request asks for, page by page, from its first part on if that is there."""
    cut = Cut(version=request.until_version, position=up_to_position)
    stream_id = request.stream_id
    whole, more = part or await _page(connection, stream_id, request.stamp, request.after_version, None, cut)
    while more and whole.last is not None:
        page, more = await _page(connection, stream_id, None, whole.last.version, whole.last.recorded_at, cut)
        whole = Stretch(whole.snapshot, whole.events + page.events, page.last or whole.last)
    return whole
