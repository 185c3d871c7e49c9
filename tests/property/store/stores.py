"""The logs that the machine drives: the one in PostgreSQL, on a tenant of its own, and the one in memory."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Protocol

from psycopg import sql

from domain.log import EventLog
from domain.snapshots import TakenSnapshot
from infrastructure.database import Connection, Role
from infrastructure.event_store import Appender, PostgresEventLog
from infrastructure.pools import Held, Pool, open_pool
from infrastructure.snapshots import PostgresSnapshots
from tests.support.memory_log import MemoryEventLog
from tests.support.postgres import connected
from tests.support.tenants import lent


class Store(Protocol):
    """A log with two writers, and what surrounds it. `real`: it takes imports, rolls back, and minds a wrong clock."""

    real: bool

    @property
    def logs(self) -> Sequence[EventLog]: ...

    async def open(self, clock: datetime) -> None: ...

    async def set_clock(self, at: datetime) -> None: ...

    async def keep(self, snapshot: TakenSnapshot) -> None: ...

    async def forget(self, stream_id: str) -> None:
        """Its snapshots."""
        ...

    async def close(self) -> None: ...


class PostgresStore:
    """One writer appends through a connection of its own, as the bus does; the other through that which it reads by."""

    real = True

    def __init__(self, database_url: str) -> None:
        self.logs: Sequence[EventLog] = ()
        self._database_url = database_url
        self._left = AsyncExitStack()
        self._pool: Pool
        self._admin: Connection

    async def open(self, clock: datetime) -> None:
        url = self._database_url
        tenant = await self._left.enter_async_context(lent(url))
        first, second = [await self._left.enter_async_context(connected(url, tenant, Role.WRITER)) for _ in range(2)]
        self._admin = await self._left.enter_async_context(connected(url, tenant, Role.MIGRATOR))
        self._pool = await self._left.enter_async_context(await open_pool(url, tenant, Role.PROJECTOR, max_size=1))
        appender = Appender(url, tenant)
        self._left.push_async_callback(appender.close)
        self.logs = (PostgresEventLog(Held(first), appender), PostgresEventLog(Held(second)))
        await self.set_clock(clock)

    async def set_clock(self, at: datetime) -> None:
        body = sql.Literal(f"SELECT timestamptz '{at.isoformat()}'")
        function = "CREATE OR REPLACE FUNCTION log_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS {}"
        await self._admin.execute(sql.SQL(function).format(body))

    async def keep(self, snapshot: TakenSnapshot) -> None:
        async with PostgresSnapshots(self._pool).take_alone() as taker:
            assert taker is not None
            await taker.put([snapshot], "model", 0)

    async def forget(self, stream_id: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM snapshots WHERE stream_id = %s", (stream_id,))

    async def close(self) -> None:
        await self._left.aclose()


class MemoryStore:
    real = False

    def __init__(self) -> None:
        self._log = MemoryEventLog(lambda: self._now)
        self._now: datetime
        self.logs: Sequence[EventLog] = (self._log, self._log)

    async def open(self, clock: datetime) -> None:
        self._now = clock

    async def set_clock(self, at: datetime) -> None:
        self._now = at

    async def keep(self, snapshot: TakenSnapshot) -> None:
        kept = self._log.snapshots.setdefault((snapshot.stream_id, snapshot.stamp), [])
        if snapshot.snapshot not in kept:
            kept.append(snapshot.snapshot)

    async def forget(self, stream_id: str) -> None:
        for key in [key for key in self._log.snapshots if key[0] == stream_id]:
            del self._log.snapshots[key]

    async def close(self) -> None: ...
