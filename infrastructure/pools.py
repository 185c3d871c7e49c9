"""Pools of connections that work for one tenant with one role, and are there again as soon as the server is."""

import select
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from psycopg_pool.base import BasePool

from infrastructure import sql
from infrastructure.database import Connection, Role, assume, connect, parameters, refused, search_path, tenant_schema
from infrastructure.silence import WatchedConnection

Pool = AsyncConnectionPool[Connection]
ThreadConnection = psycopg.Connection[tuple[object, ...]]
ThreadPool = ConnectionPool[ThreadConnection]
RECONNECT_SECONDS = 1.0
"""How long a pool pauses at most between two tries to connect; by itself it would pause twice as long each time."""


class Connections(Protocol):
    """Where connections come from: a pool, or one that somebody holds."""

    def connection(self) -> AbstractAsyncContextManager[Connection]: ...

    async def drain(self) -> None:
        """Replace what is lost."""
        ...


class Held:
    """One connection, in the midst of what somebody does with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        return nullcontext(self._connection)

    async def drain(self) -> None: ...


def _configure(schema: str, role: Role) -> Callable[[Connection], Awaitable[None]]:
    async def configure(connection: Connection) -> None:
        await assume(connection, schema, role)

    return configure


async def open_pool(database_url: str, tenant: str, role: Role, min_size: int = 1, max_size: int = 4) -> Pool:
    """A pool of connections that see one tenant with the rights of one role; close it after use.

    Raises LogUnavailable at once when there is no server or the role does not exist, LogError when the
    server refuses for another reason.
    """
    return await open_schema_pool(database_url, tenant_schema(tenant), role, min_size, max_size, name=tenant)


async def open_schema_pool(
    database_url: str, schema: str, role: Role, min_size: int = 1, max_size: int = 4, *, name: str | None = None
) -> Pool:
    """The same for a schema of any name, which is checked by whoever made it."""
    name = name or schema
    async with await connect(database_url) as probe:
        try:
            await assume(probe, schema, role)
        except psycopg.Error as error:
            raise refused(database_url, error) from None
    pool = schema_pool(database_url, schema, role, min_size, max_size, name=name)
    await pool.open()
    return pool


def _reconnecting(go_on: Callable[[Any], Any]) -> dict[str, Any]:
    """A pool gives up after a short while and begins anew: so it is there as soon as the server is."""
    return {"reconnect_timeout": RECONNECT_SECONDS, "reconnect_failed": go_on}


def _is_needed(pool: BasePool) -> bool:
    """Whether a connection is missing: without that, none is tried for again."""
    told = pool.get_stats()
    return told.get("requests_waiting", 0) > 0 or told["pool_size"] < told["pool_min"]


async def _go_on(pool: Pool) -> None:
    if _is_needed(pool):
        await pool.check()


def _go_on_in_threads(pool: ThreadPool) -> None:
    if _is_needed(pool):
        pool.check()


def _see_to(connection: WatchedConnection) -> None:
    """Raises psycopg.OperationalError for one that was ended while nobody used it. Nothing is sent for that: what
    comes to a connection that nobody asks is mostly its end.
    """
    news = select.poll()
    news.register(connection.pgconn.socket, select.POLLIN)
    if connection.silences.is_doubtful(connection):
        raise psycopg.OperationalError("another connection to the server was given up since it was heard of")
    for _ in range(2):  # a last word may come before the end
        if news.poll(0):
            connection.pgconn.consume_input()


def schema_pool(
    database_url: str, schema: str, role: Role, min_size: int, max_size: int, *, name: str, timeout: float = 30.0
) -> Pool:
    """The same, not open yet, and it tries nothing. A connection is waited for `timeout` seconds."""

    async def check(connection: Connection) -> None:
        assert isinstance(connection, WatchedConnection)
        try:
            _see_to(connection)
        except psycopg.OperationalError:
            connection.pgconn.finish()
            await pool.drain()  # where one was ended, others were
            raise

    pool: Pool = AsyncConnectionPool(
        database_url,
        connection_class=WatchedConnection,
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=_configure(schema, role),
        kwargs=parameters(database_url, f"dora-state {role.name.lower()} {name}"),
        name=f"{name}-{role.name.lower()}",
        timeout=timeout,
        check=check,
        **_reconnecting(_go_on),
    )
    return pool


def thread_pool(database_url: str, tenant: str, role: Role, max_size: int) -> ThreadPool:
    """A pool of connections for threads, as `open_pool` makes one for tasks; not open yet, and it tries nothing."""
    schema = tenant_schema(tenant)

    def configure(connection: ThreadConnection) -> None:
        connection.execute(sql.load("session"), (role.value, search_path(schema)))

    return ConnectionPool(
        database_url,
        min_size=0,
        max_size=max_size,
        open=False,
        configure=configure,
        kwargs=parameters(database_url, f"dora-state {role.name.lower()} {tenant}"),
        name=f"{tenant}-{role.name.lower()}",
        **_reconnecting(_go_on_in_threads),
    )
