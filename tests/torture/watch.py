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


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing was recorded for a while, while PostgreSQL answered; `began` is Unix time."""

    began: float
    lasted: float


class Watch:
    """What was seen; `stops` are those of more than a second."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.recoveries = Recoveries()
        self.stops: list[Stop] = []
        self.counts_stops = False
        """Not before all is at work, nor when all is to be quiet."""
        self.head = 0
        self.checkpoint = 0
        self._moved_at = time.time()
        self._writes_from: tuple[float, int] | None = None
        self._projections_from: tuple[float, int] | None = None

    async def look(self) -> None:
        """For ever."""
        was_away = False
        while True:
            try:
                async with connected(self._stage.servers.database_url, TENANT) as connection:
                    await self._begin(connection, was_away)
                    was_away = False
                    while True:
                        await self._see(connection)
                        await asyncio.sleep(LOOK_SECONDS)
            except (psycopg.Error, LogError):
                was_away = await self._is_away()
                await asyncio.sleep(LOOK_SECONDS)

    async def _is_away(self) -> bool:
        """A session that was ended says nothing of the server."""
        try:
            async with connected(self._stage.servers.database_url, TENANT):
                return False
        except (psycopg.Error, LogError):
            return True

    async def _begin(self, connection: Connection, was_away: bool) -> None:
        head, _ = await self._ask(connection)
        self._moved_at = now = time.time()
        if was_away:
            self._writes_from, self._projections_from = (now, head), (now, head)

    async def _see(self, connection: Connection) -> None:
        head, checkpoint = await self._ask(connection)
        now = time.time()
        if head > self.head:
            if self.counts_stops and now - self._moved_at > 1:
                self.stops.append(Stop(self._moved_at, now - self._moved_at))
            self._moved_at = now
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
