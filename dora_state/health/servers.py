"""Health by the servers' addresses: asks for the figures, has them judged, and reports."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from domain.errors import DoraStateError
from dora_state.health.cache import judge_cache
from dora_state.health.database import judge_clock, judge_database, judge_snapshots, judge_transactions
from dora_state.health.judging import Check
from dora_state.health.machine import judge_disk, judge_memory
from dora_state.health.queue import check_queue
from dora_state.health.replica import judge_sight
from dora_state.health.report import HealthReport
from dora_state.health.tenant import judge_dead_letters, judge_mode, judge_months, judge_projection
from dora_state.settings import Settings
from infrastructure.machine import disk_vitals, memory_vitals
from infrastructure.replica import look_at
from infrastructure.vitals import CacheVitals, DatabaseVitals, ProcessMemory, cache_vitals, database_vitals

T = TypeVar("T")


async def check_servers(
    settings: Settings, database_url: str, redis_url: str | None, broker_url: str | None
) -> HealthReport:
    """Connects anew: that is a check too. Never raises for a server that is away."""
    async with asyncio.TaskGroup() as group:  # who is cancelled waits until both have closed what they opened
        asked = group.create_task(_told(partial(database_vitals, database_url, settings.tenant)))
        asked_cache = group.create_task(
            _told(partial(_cache, settings, redis_url)) if redis_url is not None else _none()
        )
    database = asked.result()
    checks = dict(_judged_database(database, settings.tenant))
    checks["cache"] = judge_cache(asked_cache.result())
    checks["queue"] = await check_queue(settings, broker_url)
    if settings.read_database_url is not None:
        url = settings.read_database_url.get_secret_value()
        checks["replica"] = judge_sight(await _told(partial(look_at, database_url, url, settings.tenant)))
    return _report(checks, settings, () if isinstance(database, str) else database.processes)


async def _cache(settings: Settings, redis_url: str) -> CacheVitals:
    return await cache_vitals(redis_url, settings.tenant, cluster=settings.redis_cluster)


def check_without_servers(settings: Settings, reason: str) -> HealthReport:
    """The health when the embedded servers could not be started."""
    checks = dict(_judged_database(reason, settings.tenant))
    checks["cache"] = Check("unhealthy", "The embedded Valkey was not started either.")
    checks["queue"] = Check("unhealthy", "Without it there is no queue.")
    return _report(checks, settings)


def _report(checks: dict[str, Check], settings: Settings, processes: Sequence[ProcessMemory] = ()) -> HealthReport:
    checks["memory"] = judge_memory(memory_vitals(), processes)
    try:
        checks["disk"] = judge_disk(disk_vitals(settings.home))
    except OSError as error:
        checks["disk"] = Check("warning", f"{settings.home} can't be looked at ({error.strerror}).")
    # SPEC's five first, in its order.
    first = ("database", "cache", "transactions", "memory", "disk")
    ordered = {name: checks.pop(name) for name in first} | checks
    return HealthReport(ordered, datetime.now(UTC))


async def _none() -> None:
    return None


async def _told(ask: Callable[[], Awaitable[T]]) -> T | str:
    """What is asked for, or the sentence that says why there is none."""
    try:
        return await ask()
    except DoraStateError as error:
        return error.message


def _judged_database(found: DatabaseVitals | str, tenant: str) -> Iterator[tuple[str, Check]]:
    if isinstance(found, str):
        yield "database", Check("unhealthy", found)
        yield "transactions", Check("unhealthy", "No transaction is possible without the database.")
        return
    yield "database", judge_database(found, tenant)
    yield "transactions", judge_transactions(found)
    yield "snapshots", judge_snapshots(found)
    if found.tenant is not None:
        yield "projection", judge_projection(found.tenant, found.log_clock, tenant)
        yield "months", judge_months(found.tenant, found.server.clock, tenant)
        yield "clock", judge_clock(found, found.tenant)
        yield "dead_letters", judge_dead_letters(found.tenant)
        yield "mode", judge_mode(found.tenant, tenant)
