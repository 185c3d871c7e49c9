"""The caches of one process: what it keeps near, how it hears of changes, what it counts and is asked for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from domain.errors import DoraStateError, NotFound
from infrastructure.hot_copies import RedisHotCopies, UseBook
from infrastructure.near import NearDocuments, Tracking
from infrastructure.read_meter import ReadMeter
from infrastructure.redis_client import RedisClient
from projections.cache_ports import HotCopies, NoHotCopies
from projections.signal import ProcessSignal

Load = Callable[[str, str], Awaitable[object]]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NearVitals:
    """How a process reads: `wanted` documents near, `listening` for changes, `failing` without Redis just now."""

    wanted: bool
    listening: bool
    failing: bool
    usable: bool
    documents: int
    bytes: int
    levels: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Caches:
    """`redis`, `redis_copies`, `tracking` and `use` are None in a house without Redis: then nothing is kept near."""

    tenant: str
    near: NearDocuments
    meter: ReadMeter
    redis: RedisClient | None
    redis_copies: RedisHotCopies | None
    tracking: Tracking | None
    use: UseBook | None

    @property
    def hot(self) -> HotCopies:
        return self.redis_copies or NoHotCopies()

    def vitals(self) -> NearVitals:
        """How this process reads, for its health."""
        return NearVitals(
            wanted=self.tracking is not None and self.near.wanted.is_set(),
            listening=self.tracking is not None and self.tracking.listening,
            failing=self.redis_copies is not None and self.redis_copies.failing,
            usable=self.near.usable,
            documents=self.near.count,
            bytes=self.near.figures.bytes,
            levels=self.meter.told(self.near.figures),
        )

    @property
    def moved(self) -> ProcessSignal | None:
        return self.tracking.moved if self.tracking is not None else None


def make_caches(redis: RedisClient | None, tenant: str, near_bytes: int) -> Caches:
    meter = ReadMeter()
    near = NearDocuments(near_bytes, meter.levels["l1"].took)
    if redis is None:
        return Caches(tenant, near, meter, None, None, None, None)
    use = UseBook(redis.client, tenant, near)
    copies = RedisHotCopies(redis.client, tenant, use.note)
    tracking = Tracking(redis.connection, tenant, near) if near_bytes else None
    return Caches(tenant, near, meter, redis, copies, tracking, use)


@asynccontextmanager
async def caching(caches: Caches, load: Load, *, at_once: bool) -> AsyncIterator[None]:
    """Keeps them while the block runs: near ones from when somebody first wants one, or `at_once` and warmed.

    `load` asks for one document, `cached`.
    """
    if at_once:
        caches.near.wanted.set()
    works = []
    if caches.use is not None:
        works.append(caches.use.run())
    if caches.tracking is not None:
        works.append(_listen(caches.near, caches.tracking))
        if at_once:
            works.append(_warm(caches, load))
    tasks = [asyncio.create_task(work, name="caches") for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if caches.redis_copies is not None:
            await caches.redis_copies.settled()


async def _listen(near: NearDocuments, tracking: Tracking) -> None:
    await near.wanted.wait()
    await tracking.run()


async def _warm(caches: Caches, load: Load) -> None:
    """What was asked most: most of it with one read, and the tasks, whose trails are in the log, one by one."""
    if caches.tracking is None or caches.use is None or caches.redis_copies is None:
        return
    await caches.tracking.ready.wait()
    wanted = await caches.use.most_asked()
    loaded = await caches.use.warm(caches.redis_copies, [name for name in wanted if name[0] != "task"])
    for kind, id in wanted:
        if kind == "task":
            with suppress(NotFound):
                try:
                    await load(kind, id)
                except DoraStateError as error:
                    log.info("The rest of what is asked most is loaded when it is asked for: %s", error)
                    return
                loaded += 1
    log.info("%d documents that are asked most are loaded.", loaded)
