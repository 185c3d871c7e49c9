"""Who asked for what, in PostgreSQL: kept as rows, found by actor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import psycopg

from infrastructure import sql
from infrastructure.available import available
from infrastructure.event_store.arrays import Int8Array, TextArray, TimestamptzArray
from infrastructure.event_store.binary import bigint, timestamptz
from infrastructure.event_store.errors import domain_errors
from infrastructure.leading import Lead, find_checkpoint, lead
from infrastructure.pools import Pool
from projections.actions import Action
from projections.audits import Actor, Wanted
from projections.ports import Checkpoint
from projections.projection import ACTIONS

_LAST = 2**63 - 1


def _query(name: str) -> bytes:
    return sql.load(f"actions/{name}")


class PostgresActionWriter:
    """Reads on connections that see the log, and writes on the one that holds the lock: they may see two schemas."""

    def __init__(self, log: Pool, lead: Lead) -> None:
        self._log = log
        self._lead = lead

    async def checkpoint(self) -> Checkpoint:
        with available():
            return await self._lead.checkpoint()

    async def require_same(self) -> None:
        with available():
            await self._lead.require_same()

    async def copy(self, start: int, limit: int, until: int | None) -> tuple[int, datetime] | None:
        about = {"after": start, "limit": limit, "until": _LAST if until is None else until}
        try:
            position, recorded_at, *columns = await self._read(about | {"careful": False})
        except psycopg.DataError:  # some metadata is no JSON, or has a NUL in it
            position, recorded_at, *columns = await self._read(about | {"careful": True})
        if position is None or recorded_at is None:
            return None
        positions, times, actors, types = (column or b"" for column in columns)
        packed = {
            "positions": Int8Array.of(positions),
            "times": TimestamptzArray.of(times),
            "actors": TextArray.of(actors),
            "types": TextArray.of(types),
        }
        connection = self._lead.connection
        with available():
            async with connection.transaction():
                await self._lead.expect(start)
                async with connection.pipeline():
                    await connection.execute(_query("insert"), packed)
                    await self._lead.move(bigint(position), timestamptz(recorded_at))
        return bigint(position), timestamptz(recorded_at)

    async def _read(self, about: dict[str, Any]) -> list[bytes | None]:
        """One row as the server packed it."""
        with domain_errors(but=psycopg.DataError):
            async with self._log.connection() as connection:
                result = (await connection.execute(_query("read"), about, binary=True)).pgresult
        assert result is not None
        return [result.get_value(0, column) for column in range(result.nfields)]


class PostgresActions:
    """Where actions are kept, on a pool of connections with the projector's rights; `log`: on one that sees the log."""

    def __init__(self, pool: Pool, log: Pool) -> None:
        self._pool = pool
        self._log = log

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator[PostgresActionWriter | None]:
        async with lead(self._pool, ACTIONS) as held:
            yield None if held is None else PostgresActionWriter(self._log, held)

    async def checkpoint(self) -> Checkpoint:
        with available():
            async with self._pool.connection() as connection:
                return await find_checkpoint(connection, ACTIONS)

    async def between(self, after: int, until: int) -> list[Action]:
        return [Action(*row) for row in await self._rows("between", {"after": after, "until": until})]

    async def by_actor(self, wanted: Wanted) -> list[Action]:
        facts = {
            "actor": wanted.actor,
            "after": wanted.after_position,
            "before": wanted.before_position,
            "command_type": wanted.command_type,
            "limit": wanted.limit,
        }
        return [Action(*row) for row in await self._rows("by_actor", facts)]

    async def actors(self, after: str, limit: int) -> list[Actor]:
        return [Actor(*row) for row in await self._rows("actors", {"after": after, "limit": limit})]

    async def _rows(self, name: str, facts: dict[str, Any]) -> list[Any]:
        """Never prepared: a filter that is null must drop out of the plan, not stay in a general one."""
        with available():
            async with self._pool.connection() as connection:
                return await (await connection.execute(_query(name), facts, prepare=False)).fetchall()
