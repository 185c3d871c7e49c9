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


@dataclass(frozen=True, slots=True)
class Span:
    """`began` is Unix time, `lasted` in seconds."""

    began: float
    lasted: float


@dataclass(slots=True)
class Recovery:
    """From when PostgreSQL took connections again until something had come to a position."""

    done: list[Span] = field(default_factory=list)
    broken_off: list[Span] = field(default_factory=list)
    """Those in which PostgreSQL went away once more."""
    _from: tuple[float, int] | None = None

    def begin(self, at: float, position: int, *, went_away: float) -> None:
        if self._from is not None:
            self.broken_off.append(Span(self._from[0], went_away - self._from[0]))
        self._from = at, position

    def see(self, at: float, position: int) -> None:
        if self._from is not None and position >= self._from[1]:
            self.done.append(Span(self._from[0], at - self._from[0]))
            self._from = None


class Watch:
    """What was seen. `stops` are times of more than a second without a new event, while PostgreSQL answered."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.writes = Recovery()
        """Until there is an event more than there were."""
        self.projections = Recovery()
        """Until all read models have the events that there were."""
        self.stops: list[Span] = []
        self.counts_stops = False
        """Not before all is at work, nor when all is to be quiet."""
        self.head = 0
        self.checkpoint = 0
        self._moved_at = self._seen_at = time.time()

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
            self.writes.begin(now, head + 1, went_away=self._seen_at)
            self.projections.begin(now, head, went_away=self._seen_at)

    async def _see(self, connection: Connection) -> None:
        head, checkpoint = await self._ask(connection)
        now = time.time()
        if head > self.head:
            if self.counts_stops and now - self._moved_at > 1:
                self.stops.append(Span(self._moved_at, now - self._moved_at))
            self._moved_at = now
        self.head, self.checkpoint, self._seen_at = head, checkpoint, now
        self.writes.see(now, head)
        self.projections.see(now, checkpoint)

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
