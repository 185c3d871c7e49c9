"""The figures that health is judged by: of the database, a tenant, the cache."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from domain.errors import DoraStateError, LogUnavailable
from infrastructure import sql
from infrastructure.database import Connection, Role, assume, connect, tenant_schema
from infrastructure.hot_copies.guarded import FAILURES
from infrastructure.hot_copies.values import standing
from infrastructure.redis_client import RedisClient, close, open_redis

SECONDS_TO_ANSWER = 10.0
_CACHE_SECONDS = 3.0
FULL = 0.98
"""What one connection needs may be all that is left."""
_NOT_SET_UP = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
)


class CacheUnavailable(DoraStateError):
    """Redis can't be reached."""

    code = "cache_unavailable"


@dataclass(frozen=True, slots=True)
class OldestTransaction:
    pid: int
    application: str
    state: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ProjectionVitals:
    """How far one is, in the order of the query `health/projections`.

    `unapplied_since` is when the first event that it lacks was recorded. `halt_reason`: it can't go on, as a worker
    noted.
    """

    name: str
    checkpoint: int
    unapplied_since: datetime | None = None
    halt_reason: str | None = None
    halted_since: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class TenantVitals:
    """`clock_set_seconds` is how far the log's clock is ahead of the server's: it is set for drills only."""

    position: int
    last_recorded_at: datetime | None
    dead_letters: int
    months_end: datetime | None
    import_id: UUID | None
    clock_bound_seconds: float
    clock_set_seconds: float = 0.0
    projections: Sequence[ProjectionVitals] = ()


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What a process noted of its resident bytes within the last hour, in the order of the query `health/processes`."""

    process: str
    since: datetime
    until: datetime
    first_bytes: int
    most_bytes: int
    last_bytes: int


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """In the order of the queries `health/clock` and `health/server`."""

    clock: datetime
    version: str
    read_only: bool
    bytes: int
    connections: int
    max_connections: int
    committed: int
    rolled_back: int
    deadlocks: int


@dataclass(frozen=True, slots=True)
class DatabaseVitals:
    """`clock_offset` is how many seconds the database's clock is ahead of ours, to half a round trip.

    `tenant` is None where nothing is set up for it. `processes` are those that note their memory there now.
    """

    connect_seconds: float
    transaction_seconds: float
    server: ServerFigures
    clock_offset: float
    oldest: OldestTransaction | None
    tenant: TenantVitals | None
    processes: Sequence[ProcessMemory] = ()

    @property
    def log_clock(self) -> datetime:
        """The clock that events are recorded by: the server's, unless a drill has set the tenant's."""
        return self.server.clock + timedelta(seconds=self.tenant.clock_set_seconds if self.tenant is not None else 0.0)


@dataclass(frozen=True, slots=True)
class CacheVitals:
    """`max_bytes` is 0 where nothing is set. `full`: it takes nothing more.

    `position` is up to where the copies of the tenant are good; None where none are believed, as nobody keeps them.
    """

    seconds: float
    server: str
    server_version: str
    used_bytes: int
    max_bytes: int
    full: bool = False
    position: int | None = None


async def database_vitals(database_url: str, tenant: str) -> DatabaseVitals:
    """Raises LogUnavailable when the database does not answer within `SECONDS_TO_ANSWER`."""
    try:
        async with asyncio.timeout(SECONDS_TO_ANSWER):
            return await _database_vitals(database_url, tenant)
    except TimeoutError:
        raise LogUnavailable(
            f"PostgreSQL did not answer within {SECONDS_TO_ANSWER:g} seconds; see what holds it up."
        ) from None
    except psycopg.Error as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise LogUnavailable(f"PostgreSQL broke off ({reason}); see its log.") from None


async def _database_vitals(database_url: str, tenant: str) -> DatabaseVitals:
    began = time.monotonic()
    async with await connect(database_url, "dora-state health") as connection:
        connected = time.monotonic()
        asked_at = datetime.now(UTC)
        async with connection.transaction():
            told = await (await connection.execute(sql.load("health/clock"))).fetchone()
            middle = asked_at + (datetime.now(UTC) - asked_at) / 2
        ended = time.monotonic()
        row = await (await connection.execute(sql.load("health/server"))).fetchone()
        if row is None or told is None:
            raise LogUnavailable("PostgreSQL keeps no statistics of this database; switch track_counts on.")
        found = await (await connection.execute(sql.load("health/oldest_transaction"))).fetchone()
        of_tenant = await _tenant_vitals(connection, tenant)
        return DatabaseVitals(
            connect_seconds=connected - began,
            transaction_seconds=ended - connected,
            server=ServerFigures(*told, *row),
            clock_offset=(told[0] - middle).total_seconds(),
            oldest=OldestTransaction(*found) if found else None,
            tenant=of_tenant,
            processes=await _processes(connection) if of_tenant is not None else (),
        )


async def _tenant_vitals(connection: Connection, tenant: str) -> TenantVitals | None:
    try:
        await assume(connection, tenant_schema(tenant), Role.PROJECTOR)
        row: Any = await (await connection.execute(sql.load("health/tenant"))).fetchone()
        rows: list[Any] = await (await connection.execute(sql.load("health/projections"))).fetchall()
    except (LogUnavailable, *_NOT_SET_UP):
        return None
    found = [ProjectionVitals(*one) for one in rows]
    if row is None:
        return None
    return replace(TenantVitals(*row), projections=found, clock_set_seconds=await _clock_set_seconds(connection))


async def _clock_set_seconds(connection: Connection) -> float:
    """On a connection that sees the tenant. The schema of an earlier release does not let health ask."""
    try:
        row: Any = await (await connection.execute(sql.load("health/log_clock"))).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return 0.0
    return float(row[0])


async def _processes(connection: Connection) -> list[ProcessMemory]:
    """On a connection that sees the tenant. A standby has no unlogged tables, an older schema not this one."""
    try:
        rows = await (await connection.execute(sql.load("health/processes"))).fetchall()
    except (psycopg.errors.FeatureNotSupported, *_NOT_SET_UP):
        return []
    return [ProcessMemory(*row) for row in rows]  # type: ignore[arg-type]  # a row's values are of any type


async def partitions(database_url: str, tenant: str) -> list[str]:
    """The partitions of a tenant's log, in order; none where nothing is set up. Raises LogUnavailable."""
    async with await connect(database_url, "dora-state init") as connection:
        try:
            await assume(connection, tenant_schema(tenant), Role.PROJECTOR)
            rows = await (await connection.execute(sql.load("health/months"))).fetchall()
        except (LogUnavailable, *_NOT_SET_UP):
            return []
    return [str(name) for (name,) in rows]


async def cache_vitals(redis_url: str, tenant: str, *, cluster: bool = False) -> CacheVitals:
    """Of a cluster, the node that has the tenant's keys. Raises CacheUnavailable."""
    try:
        async with open_redis(redis_url, tenant, 1, cluster=cluster) as redis, asyncio.timeout(_CACHE_SECONDS):
            return await _cache_vitals(redis)
    except (*FAILURES, ValueError) as error:
        parts = urlsplit(redis_url)
        where = f"{parts.hostname}, port {parts.port or 6379}" if parts.hostname else parts.path
        reason = " ".join(str(error).split()).rstrip(".") or f"no answer within {_CACHE_SECONDS:g} seconds"
        raise CacheUnavailable(
            f"Redis can't be reached at {where} ({reason}): start it, or correct DORA_STATE_REDIS_URL.", server=where
        ) from None


async def _cache_vitals(redis: RedisClient) -> CacheVitals:
    node = await redis.node()
    try:
        await node.ping()
        began = time.monotonic()
        await node.ping()
        seconds = time.monotonic() - began
        told = await node.info()
        (lease,) = await node.mget([redis.keys.lease])
    finally:
        await close(node)
    believed = standing(lease)
    used, most = int(told["used_memory"]), int(told.get("maxmemory", 0))
    return CacheVitals(
        seconds=seconds,
        server="Valkey" if "valkey_version" in told else "Redis",
        server_version=str(told.get("valkey_version") or told.get("redis_version") or "unknown"),
        used_bytes=used,
        max_bytes=most,
        full=bool(most) and used >= FULL * most and told.get("maxmemory_policy") == "noeviction",
        position=None if believed is None else believed.seen,
    )
