"""Snapshots in PostgreSQL: kept by whoever takes them. The log's reader finds them (`event_store/reading.py`)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import psycopg

from domain.snapshots import Stamp, TakenSnapshot
from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Connection
from infrastructure.event_store.stretches import digest
from infrastructure.pools import Pool


def _query(name: str) -> bytes:
    return sql.load(f"snapshots/{name}")


class PostgresSnapshotTaker:
    """Works on the connection that holds the lock: without the lock there is no connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def checkpoint(self, name: str) -> int:
        with available():
            row = await (await self._connection.execute(_query("checkpoint"), {"name": name})).fetchone()
        return int(row[0]) if row else 0  # type: ignore[call-overload]  # rows are of any type

    async def due(self, after: int, until: int, spacing: int, stamps: Mapping[str, Stamp]) -> list[tuple[str, int]]:
        facts = {
            "after": after,
            "until": until,
            "spacing": spacing,
            "categories": list(stamps),
            "schemas": [stamp.schema for stamp in stamps.values()],
            "fold_versions": [stamp.fold_version for stamp in stamps.values()],
        }
        with available():
            rows = await (await self._connection.execute(_query("due"), facts)).fetchall()
        return [(str(stream_id), int(version)) for stream_id, version in rows]  # type: ignore[call-overload]  # as above

    async def put(self, taken: Sequence[TakenSnapshot], name: str, position: int) -> None:
        places = [one.snapshot.place for one in taken]
        columns = {
            "stream_id": [one.stream_id for one in taken],
            "schema": [one.stamp.schema for one in taken],
            "fold_version": [one.stamp.fold_version for one in taken],
            "version": [place.version for place in places],
            "position": [place.position for place in places],
            "following": [place.following for place in places],
            "recorded_at": [place.recorded_at for place in places],
            "digest": [digest(one.stream_id, one.stamp, one.snapshot) for one in taken],
            "state": [one.snapshot.state for one in taken],
        }
        with available():
            async with self._connection.transaction():
                if taken:
                    await self._connection.execute(_query("put"), columns)
                await self._connection.execute(_query("move_checkpoint"), {"name": name, "position": position})


class PostgresSnapshots:
    """The port SnapshotStore, on a pool of connections with the projector's rights."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def take_alone(self) -> AsyncIterator[PostgresSnapshotTaker | None]:
        with available():
            async with self._pool.connection() as connection:
                row = await (await connection.execute(_query("try_take"))).fetchone()
                if not row or not row[0]:
                    yield None
                    return
                try:
                    yield PostgresSnapshotTaker(connection)
                finally:
                    try:
                        await connection.execute(_query("stop_taking"))
                    except psycopg.Error:  # one that can't say that it has let go is closed, which lets go too
                        await connection.close()
