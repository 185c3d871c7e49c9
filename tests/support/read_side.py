"""The read side of one tenant, as the composition root wires it, on a log that the test tells."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from redis.asyncio import Redis

from infrastructure.database import Role
from infrastructure.hot_copies import RedisHotCopies
from infrastructure.pools import Pool, open_pool
from infrastructure.presence import PresenceBook
from infrastructure.read_model_writer import PostgresReadModelWriter
from infrastructure.read_models import PostgresReadModels
from projections.cache_ports import HotCopies
from projections.lists import Lists
from projections.ports import StoredDocument
from projections.projector import Projector
from projections.queries import Queries
from tests.support.told_log import START, ToldLog


@dataclass
class ReadSide:
    tenant: str
    pool: Pool
    redis: Redis
    log: ToldLog = field(default_factory=ToldLog)
    now: datetime = START
    zone: str = "UTC"

    def __post_init__(self) -> None:
        self.store = PostgresReadModels(self.pool)
        self.hot = RedisHotCopies(self.redis, self.tenant)
        self.presence = PresenceBook(self.pool, self.redis, self.tenant)

    def clock(self) -> datetime:
        return self.now

    def projector(self, hot: HotCopies | None = None, **options: Any) -> Projector:
        return Projector(self.log, self.store, hot or self.hot, **options)

    def queries(self, hot: HotCopies | None = None) -> Queries:
        return Queries(self.store, hot or self.hot, self.presence, self.log, self.clock, zone=ZoneInfo(self.zone))

    def lists(self) -> Lists:
        return Lists(self.store, self.presence, self.clock)

    async def project(self, hot: HotCopies | None = None, **options: Any) -> None:
        """Everything that the log has, by a projector that then lets go."""
        projector = self.projector(hot, **options)
        await projector.catch_up(len(self.log.events), timeout=30)
        await projector.release()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[PostgresReadModelWriter]:
        """As a projector that has the lead."""
        async with self.store.run_alone() as writer:
            assert writer is not None
            await writer.checkpoint()
            yield writer

    async def offer(self, document: StoredDocument) -> None:
        """As a reader does who has just found it, and wait until it is kept."""
        await self.hot.offer(document, await self.hot.get(document.kind, document.id))
        await self.hot.settled()

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query.encode(), arguments or None)).fetchall()


@asynccontextmanager
async def read_side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with await open_pool(database_url, tenant, Role.PROJECTOR, min_size=1, max_size=8) as pool:
        redis = Redis.from_url(redis_url, socket_timeout=2)
        side = ReadSide(tenant, pool, redis)
        try:
            yield side
        finally:
            await side.hot.settled()
            await side.hot.clear()
            await redis.aclose()
