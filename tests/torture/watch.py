"""Looks at the log and the read models all the time, past the proxy: how long they stand, how soon they go on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg

from domain.errors import LogError
from tests.support.postgres import Connection, connected, rows
from tests.torture.stage import TENANT, Stage

LOOK_SECONDS = 0.05
_LOOK = "SELECT (SELECT last_position FROM log_head()), (SELECT min(position) FROM checkpoints)"


@dataclass(slots=True)
class Recoveries:
    """Seconds from when PostgreSQL took connections again."""

    writes: list[float] = field(default_factory=list)
    projections: list[float] = field(default_factory=list)


class Watch:
    """What was seen. `longest_stop`: seconds for which nothing was recorded while PostgreSQL answered."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.recoveries = Recoveries()
        self.longest_stop = 0.0
        self.head = 0
        self.checkpoint = 0
        self._up_since: float | None = None
        self._moved_at = time.monotonic()
        self._writes_from: tuple[float, int] | None = None
        self._projections_from: tuple[float, int] | None = None

    async def look(self) -> None:
        """For ever."""
        while True:
            try:
                async with connected(self._stage.servers.database_url, TENANT) as connection:
                    await self._is_up(connection)
                    while True:
                        await self._see(connection)
                        await asyncio.sleep(LOOK_SECONDS)
            except (psycopg.Error, LogError):
                self._up_since = None
                await asyncio.sleep(LOOK_SECONDS)

    async def _is_up(self, connection: Connection) -> None:
        head, _ = await self._ask(connection)
        now = time.monotonic()
        self._up_since = self._moved_at = now
        self._writes_from, self._projections_from = (now, head), (now, head)

    async def _see(self, connection: Connection) -> None:
        head, checkpoint = await self._ask(connection)
        now = time.monotonic()
        if head > self.head:
            self._moved_at = now
        self.longest_stop = max(self.longest_stop, now - self._moved_at)
        self.head, self.checkpoint = head, checkpoint
        if self._writes_from is not None and head > self._writes_from[1]:
            self.recoveries.writes.append(now - self._writes_from[0])
            self._writes_from = None
        if self._projections_from is not None and checkpoint >= self._projections_from[1]:
            self.recoveries.projections.append(now - self._projections_from[0])
            self._projections_from = None

    async def _ask(self, connection: Connection) -> tuple[int, int]:
        ((head, checkpoint),) = await rows(connection, _LOOK)
        return int(str(head)), int(str(checkpoint))


@asynccontextmanager
async def watching(stage: Stage) -> AsyncIterator[Watch]:
    watch = Watch(stage)
    looking = asyncio.create_task(watch.look())
    try:
        yield watch
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
