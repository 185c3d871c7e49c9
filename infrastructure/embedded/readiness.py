"""Whether the servers take connections: a real one to each, and nothing less, says so."""

from __future__ import annotations

from .errors import EmbeddedServerError
from .home import Home
from .postgres import DATABASE, is_recovering

_CONNECT_SECONDS = 2
_STARTING = "PostgreSQL is starting ..."
_RECOVERING = "PostgreSQL is recovering from a crash; this may take a few minutes ..."


def what_is_awaited(home: Home, database_url: str, redis_url: str) -> str | None:
    """None when a connection to each server works; else what is waited for, for people to read.

    Raises EmbeddedServerError if PostgreSQL takes connections but not to our database.
    """
    # Imported here because the supervisor imports this package too, and is to stay small and quick.
    import psycopg
    import redis

    server = psycopg.conninfo.make_conninfo(database_url, dbname="postgres", connect_timeout=_CONNECT_SECONDS)
    answer = psycopg.pq.Ping(psycopg.pq.PGconn.ping(server.encode()))
    if answer is psycopg.pq.Ping.REJECT:
        # It rejects in every start for a moment, and longer on a slow disk.
        return _RECOVERING if is_recovering(home) else _STARTING
    if answer is not psycopg.pq.Ping.OK:
        return _STARTING
    try:
        psycopg.connect(database_url, connect_timeout=_CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        if psycopg.pq.PGconn.ping(server.encode()) != psycopg.pq.Ping.OK:
            return _STARTING
        raise EmbeddedServerError(
            "embedded.database_refused",
            f"PostgreSQL in {home.path} refuses a connection to the database {DATABASE} "
            f"({' '.join(str(error).split())}): mend that and start again.",
            {"home": str(home.path), "reason": str(error)},
        ) from error
    client = redis.Redis.from_url(redis_url, socket_timeout=_CONNECT_SECONDS)
    try:
        client.ping()
    except redis.BusyLoadingError:
        return "Valkey is reading its data ..."
    except (redis.ConnectionError, redis.TimeoutError):
        return "Waiting for Valkey to start ..."
    finally:
        client.close()
    return None
