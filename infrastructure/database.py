"""Connections: pools that work for one tenant with one role, and one sentence when there is no server."""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from domain.errors import InvalidInput, LogUnavailable
from infrastructure import sql

Connection = psycopg.AsyncConnection[tuple[object, ...]]
Pool = AsyncConnectionPool[Connection]

CONTROL_SCHEMA = "dora_state_control"
CONNECT_TIMEOUT_SECONDS = 10
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


def _server(database_url: str) -> str:
    """Which server a URL names, without its password."""
    try:
        parts = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        return "a URL that is none"
    host = str(parts.get("host") or parts.get("hostaddr") or "the local socket")
    port = str(parts.get("port") or "5432")
    return f"{host}, port {port}, database {parts.get('dbname') or 'the default'}"


def unreachable(database_url: str, error: Exception) -> LogUnavailable:
    """No server answers: one sentence with what was tried, why not, and what to do."""
    reason = " ".join(str(error).split()).rstrip(".")
    return LogUnavailable(
        f"PostgreSQL can't be reached at {_server(database_url)} ({reason}): start it, or correct"
        " DORA_STATE_DATABASE_URL.",
        server=_server(database_url),
    )


async def connect(database_url: str, application_name: str = "dora-state") -> Connection:
    """One connection with the login's own rights, in autocommit. Raises LogUnavailable."""
    try:
        return await psycopg.AsyncConnection.connect(
            database_url,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name=application_name,
        )
    except psycopg.Error as error:
        raise unreachable(database_url, error) from None
    except UnicodeError as error:
        raise unreachable(database_url, error) from None


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

    Raises LogUnavailable at once when there is no server or the role does not exist.
    """
    schema = tenant_schema(tenant)
    async with await connect(database_url) as probe:
        await assume(probe, schema, role)
    pool: Pool = AsyncConnectionPool(
        database_url,
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=_configure(schema, role),
        kwargs={
            "autocommit": True,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": f"dora-state {role.name.lower()} {tenant}",
        },
        name=f"{tenant}-{role.name.lower()}",
    )
    await pool.open()
    return pool
