"""The way to Redis: one server, or a cluster. Of a cluster, a tenant uses the one node that has its slot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url

from infrastructure.hot_copies.guarded import CONNECT_SECONDS, cancellable
from infrastructure.hot_copies.keys import Keys
from infrastructure.whole import whole

POOL_SECONDS = 5.0
"""How long a call waits for a connection that others use."""
_NO_LIMIT: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": CONNECT_SECONDS}
"""As `cancellable` says."""


class WaitingCluster(RedisCluster):
    """A cluster's client that waits for a connection when all are in use; redis-py's own raises."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turns = asyncio.Semaphore(options["max_connections"])

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        async with self._turns:
            return await super().execute_command(*words, **options)


class RedisClient:
    """A client, and how to get a connection besides to the node that has a tenant's keys."""

    def __init__(self, client: Redis, tenant: str) -> None:
        self.client = client
        self.keys = Keys(tenant)

    async def connection(self) -> AbstractConnection:
        """One that nobody else uses, not connected yet, for the protocol's second version."""
        place = await self._place()
        made: AbstractConnection = place.connection_class(**place.connection_kwargs | _NO_LIMIT | {"protocol": 2})
        return made

    async def node(self) -> Redis:
        """A client of the server that has the tenant's keys; `close` it after use."""
        place = await self._place()
        pool = ConnectionPool(place.connection_class, **place.connection_kwargs | _NO_LIMIT)
        return Redis.from_pool(pool)

    async def _place(self) -> Any:
        """What knows how to connect to that server."""
        client: Any = self.client
        if not isinstance(client, RedisCluster):
            return client.connection_pool
        await client.initialize()
        return client.get_node_from_key(self.keys.mark)


async def close(client: Redis) -> None:
    """Of connections that it did not begin to close when it is cancelled, redis-py closes none."""
    await whole(client.aclose())


@asynccontextmanager
async def open_redis(url: str, tenant: str, pool_size: int, *, cluster: bool = False) -> AsyncIterator[RedisClient]:
    """A client for as long as the block runs. Nothing is tried yet: Redis may be away."""
    client: Any
    if cluster:
        client = WaitingCluster(**_cluster_options(url) | _NO_LIMIT | {"max_connections": pool_size})
    else:
        # A pool that waits: with all connections in use, a read is a little later and not without its copy.
        pool = BlockingConnectionPool.from_url(url, max_connections=pool_size, timeout=POOL_SECONDS)
        client = Redis.from_pool(cancellable(pool))
    try:
        yield RedisClient(client, tenant)
    finally:
        await close(client)


def _cluster_options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    return options | {"ssl": True} if options.pop("connection_class", None) is SSLConnection else options
