"""Connections, what each is pinned to, and one sentence when there is no server."""

import re
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from domain.errors import InvalidInput, LogError, LogUnavailable
from infrastructure import sql
from infrastructure.postgres_options import wrong_option
from infrastructure.silence import WatchedConnection

Connection = psycopg.AsyncConnection[tuple[object, ...]]
CONTROL_SCHEMA = "dora_state_control"
CONNECT_TIMEOUT_SECONDS = 10
TCP = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A host that is gone is found out within half a minute, where the URL says nothing else."""
_PORTS = re.compile(r"[0-9, ]*")
_HINT = re.compile(r" ?Is the server running [^?]*\?")
_FULL = re.compile("too many (clients|connections)|remaining connection slots")
"""Of a connection that is not made there is no SQLSTATE, so what to do can only be told by the words."""
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
        places = (str(parts.get(name) or "") for name in ("host", "hostaddr", "dbname"))
        well_formed = bool(_PORTS.fullmatch(str(parts.get("port") or ""))) and not any("@" in place for place in places)
    if not well_formed:
        raise InvalidInput(
            f"{name} is no PostgreSQL URL: write it like postgresql://user:password@host:5432/database,"
            " with special characters percent-encoded."
        )
    if (wrong := wrong_option(parts)) is not None:
        raise InvalidInput(f"{name}: {wrong}; correct it and start again.")
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
    server, reason = _server(database_url), _reason(error)
    advice = (
        "raise its max_connections, or lower DORA_STATE_POOL_SIZE of those who have them"
        if _FULL.search(reason)
        else "start it, or correct DORA_STATE_DATABASE_URL"
    )
    return LogUnavailable(
        f"PostgreSQL can't be reached at {server} ({reason}): {advice}.",
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
        case psycopg.errors.OutOfMemory():
            said = (
                f"PostgreSQL has no memory left for it ({_reason(error)}): raise its max_locks_per_transaction"
                " if that is shared memory, and try again."
            )
        case psycopg.OperationalError() | psycopg.errors.InternalError_():  # the latter where a quota is full
            said = f"PostgreSQL can't do it just now ({_reason(error)}): mend that, and try again."
        case _:
            return LogError(f"PostgreSQL refused it ({_reason(error)}): mend that, and run `dora-state init`.", **facts)
    return LogUnavailable(said, **facts)


async def connect(database_url: str, application_name: str = "dora-state") -> WatchedConnection:
    """One connection with the login's own rights, in autocommit.

    Raises InvalidInput for a URL that is none, LogUnavailable, and LogError when refused.
    """
    url_parts(database_url)
    try:
        connection = await WatchedConnection.connect(database_url, **parameters(database_url, application_name))
    except (psycopg.Error, UnicodeError) as error:
        raise unreachable(database_url, error) from None
    try:
        await connection.set_up(connection.execute(sql.load("setup/isolation")))
    except psycopg.Error as error:
        await connection.close()
        raise refused(database_url, error) from None
    except BaseException:  # whoever waited for it has gone away
        await connection.close()
        raise
    return connection


def parameters(database_url: str, application_name: str) -> dict[str, Any]:
    """What each connection needs, whatever the URL, the environment or the server would choose."""
    chosen = url_parts(database_url)
    return {
        **{name: value for name, value in TCP.items() if name not in chosen},
        "autocommit": True,
        "client_encoding": "UTF8",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": application_name,
    }


async def assume(connection: Connection, schema: str, role: Role) -> None:
    """Give a connection the rights of a role, and sight of one schema only. Raises LogUnavailable."""
    try:
        answer = connection.execute(sql.load("session"), (role.value, search_path(schema)))
        await (connection.set_up(answer) if isinstance(connection, WatchedConnection) else answer)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        raise LogUnavailable(
            f"The database is not set up for the role {role.value} ({str(error).splitlines()[0]}):"
            " run `dora-state init`.",
            role=role.value,
        ) from None
