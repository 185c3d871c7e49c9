"""dramatiq's broker over a client of asyncio, so that waiting for a message takes no thread."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from dramatiq.brokers.redis import RedisBroker

from infrastructure.broker import CALL_SECONDS, unavailable
from infrastructure.command_queue.fitness import Fitness
from infrastructure.command_queue.keys import QueueKeys
from infrastructure.command_queue.messages import QUEUE
from infrastructure.command_queue.news import AnswerNews
from infrastructure.hot_copies.guarded import FAILURES
from infrastructure.redis_client import RedisClient, open_redis

HEARTBEAT_SECONDS = 20.0
"""Who was not heard of for so long is dead, and what it had taken goes to others."""
FIT_SECONDS = 1.0
"""How long what the server told of itself is believed."""
T = TypeVar("T")


class _Dispatcher(RedisBroker):
    """Runs dramatiq's script, which finds dead consumers only when `qsize` is asked: that is our heartbeat."""

    _max_unpack_size_val = 1000  # type: ignore[assignment]  # far below half of what any server's stack takes

    def _should_do_maintenance(self, command: str) -> int:
        return int(command == "qsize")


class CommandBroker:
    """One tenant's queue as one process sees it, by so many connections at most. Calls raise BrokerUnavailable."""

    def __init__(
        self, redis: RedisClient, tenant: str, connections: int, *, heartbeat_seconds: float | None = None
    ) -> None:
        self.client = redis.client
        self.keys = QueueKeys(tenant)
        self.news = AnswerNews(redis.connection, self.keys.answered)
        self._turns = asyncio.Semaphore(connections)
        self._hung_at = 0.0
        timeout = int(1000 * (heartbeat_seconds or HEARTBEAT_SECONDS))
        # Its client is called, and what that gives is given: with one of asyncio, something to await.
        self._dispatcher: Any = _Dispatcher(  # type: ignore[no-untyped-call]  # it has no types
            client=cast(Any, redis.client), middleware=[], namespace=self.keys.namespace, heartbeat_timeout=timeout
        )
        self._fitness: Fitness | None = None
        self._fit_until = 0.0

    @property
    def consumer(self) -> str:
        """By what the broker knows this process."""
        return str(self._dispatcher.broker_id)

    async def enqueue(self, id: str, raw: bytes) -> None:
        await self.call(self._dispatcher.do_enqueue(QUEUE, id, raw))

    async def beat(self) -> None:
        """Say that we live, and send back what the dead had taken."""
        await self.call(self._dispatcher.do_qsize(QUEUE))

    async def requeue(self, ids: list[bytes]) -> None:
        if ids:
            await self.call(self._dispatcher.do_requeue(QUEUE, *ids))

    async def fitness(self) -> Fitness:
        """Of the server as it is now, or was within the last second."""
        if self._fitness is None or time.monotonic() > self._fit_until:
            self._fitness = Fitness.told(await self.call(self.client.info()))
            self._fit_until = time.monotonic() + FIT_SECONDS
        return self._fitness

    async def call(self, calling: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
        """What Redis answers, within so many seconds from when a connection is free.

        Whoever waits for one meanwhile does not wait on when Redis is found to hang.
        """
        since = time.monotonic()
        try:
            async with self._turns:
                if self._hung_at > since:
                    raise TimeoutError
                async with asyncio.timeout(seconds):
                    return await calling
        except FAILURES as error:
            if isinstance(error, TimeoutError):
                self._hung_at = time.monotonic()
            raise unavailable(error) from None
        finally:
            if asyncio.iscoroutine(calling):
                calling.close()  # it may have had no turn


@asynccontextmanager
async def open_broker(
    url: str, tenant: str, *, connections: int = 4, heartbeat_seconds: float | None = None
) -> AsyncIterator[CommandBroker]:
    """For as long as the block runs. Nothing is tried yet: the broker may be away."""
    async with open_redis(url, tenant, connections) as redis:
        broker = CommandBroker(redis, tenant, connections, heartbeat_seconds=heartbeat_seconds)
        try:
            yield broker
        finally:
            await broker.news.close()
