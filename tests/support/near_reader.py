"""A reader in another process, as far as caches go: documents near, tracked over connections of its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from infrastructure.hot_copies import RedisHotCopies, UseBook
from infrastructure.near import NearDocuments, Tracking
from infrastructure.read_meter import ReadMeter
from infrastructure.redis_client import RedisClient, open_redis
from projections.documents.values import Document
from projections.ports import ReadModelStore, StoredDocument
from projections.queries import Queries
from tests.support.read_side import ReadSide


class CountingStore:
    """The store, which counts how often each document is asked for, and can be held up."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.asked: Counter[tuple[str, str]] = Counter()
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def document(
        self, kind: str, id: str, min_position: int = 0, *, to_copy: bool = False
    ) -> StoredDocument | None:
        self.asked[kind, id] += 1
        self.entered.set()
        await self.gate.wait()
        found: StoredDocument | None = await self._store.document(kind, id)
        return found


class NearReader:
    def __init__(self, side: ReadSide, redis: RedisClient, capacity: int) -> None:
        self.redis = redis.client
        self.store = CountingStore(side.store)
        self.meter = ReadMeter()
        self.near = NearDocuments(capacity, self.meter.levels["l1"].took)
        self.use = UseBook(redis.client, side.tenant, self.near)
        self.hot = RedisHotCopies(redis.client, side.tenant, self.use.note)
        self.tracking = Tracking(redis.connection, side.tenant, self.near)
        store: ReadModelStore = self.store
        self.queries = Queries(
            store,
            self.hot,
            side.presence,
            side.log,
            side.clock,
            near=self.near,
            meter=self.meter,
            moved=self.tracking.moved,
        )

    async def cached(self, kind: str, id: str) -> Document:
        return await self.queries.show(kind, id, consistency="cached")

    async def filled(self, kind: str, id: str) -> Document:
        """As it is kept near: once from the store into Redis, and once from there."""
        await self.cached(kind, id)
        await self.hot.settled()

        async def kept() -> bool:
            await self.cached(kind, id)
            return self.near.peek(kind, id) is not None

        await eventually(kept)
        return await self.cached(kind, id)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds, fifteen seconds at most."""
    async with asyncio.timeout(15):
        while not await holds():  # noqa: ASYNC110  # whoever makes it so does not tell
            await asyncio.sleep(0.01)


async def listening(reader: NearReader) -> None:
    """Wait until the reader hears of changes, and that somebody keeps the copies."""

    async def usable() -> bool:
        return reader.near.usable

    await eventually(usable)


@asynccontextmanager
async def near_reader(
    side: ReadSide, redis_url: str, *, cluster: bool = False, capacity: int = 10**7
) -> AsyncIterator[NearReader]:
    """A reader that listens; the copies must be kept."""
    async with open_redis(redis_url, side.tenant, 8, cluster=cluster) as redis:
        reader = NearReader(side, redis, capacity)
        tracking = asyncio.create_task(reader.tracking.run())
        try:
            await asyncio.wait_for(reader.tracking.ready.wait(), 30)
            yield reader
        finally:
            tracking.cancel()
            await asyncio.wait({tracking})
            await reader.hot.settled()
