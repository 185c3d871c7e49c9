"""Connections: pools that work for one tenant with one role, and one sentence when there is no server."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from enum import StrEnum
from typing import Any, Protocol

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from domain.errors import InvalidInput, LogError, LogUnavailable
from infrastructure import sql

Connection = psycopg.AsyncConnection[tuple[object, ...]]
Pool = AsyncConnectionPool[Connection]
ThreadConnection = psycopg.Connection[tuple[object, ...]]
ThreadPool = ConnectionPool[ThreadConnection]


class Connections(Protocol):
    """Where connections come from: a pool, or one that somebody holds."""

    def connection(self) -> AbstractAsyncContextManager[Connection]: ...

    async def check(self) -> None:
        """Replace what is lost."""
        ...


class Held:
    """One connection, in the midst of what somebody does with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        return nullcontext(self._connection)

    async def check(self) -> None: ...


CONTROL_SCHEMA = "dora_state_control"
CONNECT_TIMEOUT_SECONDS = 10
RECONNECT_SECONDS = 1.0
"""How long a pool pauses at most between two tries to connect; by itself it would pause twice as long each time."""
_PORTS = re.compile(r"[0-9, ]*")
_HINT = re.compile(r" ?Is the server running [^?]*\?")
_NO_ANSWER = ("08", "28", "3D000", "53300", "57P")  # SQLSTATEs
_TENANT = re.compile(r"[a-z][a-z0-9_]{0,49}")


class Role(StrEnum):
    """Whose rights a connection has. None of them owns what it works on but the one that migrates."""

    WRITER = "dora_state_writer"
    PROJECTOR = "dora_state_projector"
    MIGRATOR = "dora_state_migrator"


def tenant_schema(tenant: str) -> str:
    """The PostgreSQL schema of a tenant. Raises InvalidInput for a name that can't be one."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidInput(
            f"{tenant!r} is no name for a tenant: use a lower-case letter, then up to 49 letters, digits and _.",
            tenant=tenant,
        )
    return f"tenant_{tenant}"


def search_path(schema: str) -> str:
    """Only the schema: temporary tables come last, so that none shadows what is ours."""
    return f"{schema}, pg_temp"


def url_parts(database_url: str, name: str = "DORA_STATE_DATABASE_URL") -> dict[str, object]:
    """What a URL says. Raises InvalidInput without a word of a URL that is none: it may hold a password.

    A host, port or database with an @, or a port that is no number, is what is left of a password that is
    not percent-encoded.
    """
    try:
        parts: dict[str, object] = dict(conninfo_to_dict(database_url))
    except (psycopg.Error, ValueError):
        parts = {}
        well_formed = False
    else:
        places = (str(parts.get(name) or "").lstrip("@") for name in ("host", "hostaddr", "dbname"))
        well_formed = bool(_PORTS.fullmatch(str(parts.get("port") or ""))) and not any("@" in place for place in places)
    if not well_formed:
        raise InvalidInput(
            f"{name} is no PostgreSQL URL: write it like postgresql://user:password@host:5432/database,"
            " with special characters percent-encoded."
        )
    return parts


def _server(database_url: str) -> str:
    """Which server a URL names, without its password."""
    parts = url_parts(database_url)
    host = str(parts.get("host") or parts.get("hostaddr") or "the local socket")
    port = str(parts.get("port") or "5432")
    return f"{host}, port {port}, database {parts.get('dbname') or 'the default'}"


def _reason(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return _HINT.sub("", " ".join((primary or str(error)).split())).rstrip(".")


def unreachable(database_url: str, error: Exception) -> LogUnavailable:
    """No server answers: one sentence with what was tried, why not, and what to do."""
    server = _server(database_url)
    return LogUnavailable(
        f"PostgreSQL can't be reached at {server} ({_reason(error)}): start it, or correct DORA_STATE_DATABASE_URL.",
        server=server,
    )


def refused(database_url: str, error: psycopg.Error) -> LogError:
    """What a server's error means while a connection or the schema is set up: one sentence, with what to do."""
    facts = {"server": _server(database_url), "sqlstate": error.sqlstate}
    match error:
        case psycopg.errors.QueryCanceled():
            said = (
                f"PostgreSQL cancelled a statement ({_reason(error)}): raise the login's statement_timeout; try again."
            )
        case psycopg.errors.LockNotAvailable():
            said = f"Another session holds a lock for too long ({_reason(error)}): end it, and try again."
        case psycopg.errors.ReadOnlySqlTransaction():
            said = (
                f"The database is read-only, and its schema is not up to date ({_reason(error)}):"
                " run `dora-state init` where it can be written."
            )
        case psycopg.OperationalError() if (error.sqlstate or "08").startswith(_NO_ANSWER):
            return unreachable(database_url, error)
        case psycopg.OperationalError():
            said = f"PostgreSQL can't do it just now ({_reason(error)}): mend that, and try again."
        case _:
            return LogError(f"PostgreSQL refused it ({_reason(error)}): mend that, and run `dora-state init`.", **facts)
    return LogUnavailable(said, **facts)


async def connect(database_url: str, application_name: str = "dora-state") -> Connection:
    """One connection with the login's own rights, in autocommit.

    Raises InvalidInput for a URL that is none, LogUnavailable, and LogError when refused.
    """
    url_parts(database_url)
    try:
        connection = await psycopg.AsyncConnection.connect(database_url, **_parameters(application_name))
    except (psycopg.Error, UnicodeError) as error:
        raise unreachable(database_url, error) from None
    try:
        await connection.execute(sql.load("setup/isolation"))
    except psycopg.Error as error:
        await connection.close()
        raise refused(database_url, error) from None
    except BaseException:  # whoever waited for it has gone away
        await connection.close()
        raise
    return connection


def _parameters(application_name: str) -> dict[str, Any]:
    """What each connection needs, whatever the URL, the environment or the server would choose."""
    return {
        "autocommit": True,
        "client_encoding": "UTF8",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": application_name,
    }


async def assume(connection: Connection, schema: str, role: Role) -> None:
    """Give a connection the rights of a role, and sight of one schema only. Raises LogUnavailable."""
    try:
        await connection.execute(sql.load("session"), (role.value, search_path(schema)))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        raise LogUnavailable(
            f"The database is not set up for the role {role.value} ({str(error).splitlines()[0]}):"
            " run `dora-state init`.",
            role=role.value,
        ) from None


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


async def _go_on(pool: Pool) -> None:
    await pool.check()


def schema_pool(
    database_url: str, schema: str, role: Role, min_size: int, max_size: int, *, name: str, timeout: float = 30.0
) -> Pool:
    """The same, not open yet, and it tries nothing. A connection is waited for `timeout` seconds."""
    return AsyncConnectionPool(
        database_url,
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=_configure(schema, role),
        kwargs=_parameters(f"dora-state {role.name.lower()} {name}"),
        name=f"{name}-{role.name.lower()}",
        timeout=timeout,
        **_reconnecting(_go_on),
    )


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
        kwargs=_parameters(f"dora-state {role.name.lower()} {tenant}"),
        name=f"{tenant}-{role.name.lower()}",
        **_reconnecting(lambda pool: pool.check()),
    )
