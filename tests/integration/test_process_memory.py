"""Processes note their memory while a platform is open, and health reads what they noted."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest

from dora_state.platform import open_platform
from dora_state.settings import load_settings
from infrastructure import process_memory
from infrastructure.database import Role
from infrastructure.machine import MemoryVitals
from infrastructure.pools import Pool, open_pool
from infrastructure.process_memory import note_memory, noting_memory, process_name
from infrastructure.vitals import database_vitals
from tests.support.postgres import Connection, connected, rows, value

RESIDENT = 70_000_000


@pytest.fixture
async def projector_pool(database_url: str, tenant: str) -> AsyncIterator[Pool]:
    async with await open_pool(database_url, tenant, Role.PROJECTOR) as pool:
        yield pool


@pytest.fixture(autouse=True)
def resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on every machine."""
    monkeypatch.setattr(process_memory, "memory_vitals", lambda: MemoryVitals(10**10, 10**9, RESIDENT))


async def _noted(connection: Connection, process: str, ago: str, resident_bytes: int) -> None:
    await connection.execute(
        "INSERT INTO process_memory VALUES (%s, now() - %s::interval, %s)", (process, ago, resident_bytes)
    )


async def _count(connection: Connection) -> int:
    count = await value(connection, "SELECT count(*) FROM process_memory")
    assert isinstance(count, int)
    return count


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1000):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def test_a_process_notes_its_memory_again_and_again_until_the_block_ends(
    projector_pool: Pool, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.PROJECTOR) as connection:

        async def has_noted_again() -> bool:
            return await _count(connection) > 1

        async with noting_memory(projector_pool, 0.02):
            await _until(has_noted_again)
        count = await _count(connection)
        await asyncio.sleep(0.1)
        assert await _count(connection) == count
        noted = await rows(connection, "SELECT DISTINCT process, resident_bytes FROM process_memory")
    assert noted == [(process_name(), RESIDENT)]


async def test_what_is_old_is_forgotten_and_so_is_who_had_the_name_before(
    projector_pool: Pool, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant) as connection:
        await _noted(connection, "other:1", "25 hours", 1)
        await _noted(connection, "other:1", "23 hours", 2)
        await _noted(connection, process_name(), "22 hours", 3)  # before these tests ran
        await _noted(connection, process_name(), "0 seconds", 4)
        await note_memory(projector_pool)
        assert await rows(connection, "SELECT process, resident_bytes FROM process_memory ORDER BY at") == [
            ("other:1", 2),
            (process_name(), 4),
            (process_name(), RESIDENT),
        ]


async def test_where_the_machine_does_not_tell_nothing_is_noted(
    projector_pool: Pool, database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_memory, "memory_vitals", lambda: MemoryVitals(None, None, None))
    await note_memory(projector_pool)
    async with connected(database_url, tenant) as connection:
        assert await _count(connection) == 0


async def test_what_can_not_be_noted_is_no_more_than_a_word_to_who_debugs(
    projector_pool: Pool, database_url: str, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, process_memory.__name__)

    def levels() -> set[str]:
        return {record.levelname for record in caplog.records if record.name == process_memory.__name__}

    async with connected(database_url, tenant) as connection:
        await connection.execute("ALTER TABLE process_memory RENAME TO away")

        async def has_tried() -> bool:
            return bool(levels())

        async def has_noted() -> bool:
            return await _count(connection) > 0

        async with noting_memory(projector_pool, 0.02):
            await _until(has_tried)
            await connection.execute("ALTER TABLE away RENAME TO process_memory")
            await _until(has_noted)
    assert levels() == {"DEBUG"}


async def test_a_note_that_waits_is_not_waited_for(projector_pool: Pool, database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant) as connection, connection.transaction():
        await connection.execute("LOCK TABLE process_memory")
        async with connected(database_url, tenant) as watching, noting_memory(projector_pool, 0.02):

            async def waits() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'process_memory'::regclass"
                return await value(watching, waiting) == 1

            await _until(waits)
            began = time.monotonic()
        assert time.monotonic() - began < 5
    async with projector_pool.connection() as connection:  # and its connection is as good as before
        assert await _count(connection) == 0


async def test_health_reads_of_each_process_that_is_there_what_it_noted_within_the_hour(
    database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant) as connection:
        for ago, resident_bytes in (("61 minutes", 1), ("58 minutes", 20), ("30 minutes", 50), ("1 minute", 40)):
            await _noted(connection, "host:2", ago, resident_bytes)
        await _noted(connection, "host:1", "2 minutes", 7)
        await _noted(connection, "gone:3", "4 minutes", 9)
        since = await value(connection, "SELECT min(at) FROM process_memory WHERE resident_bytes = 20")
    one, two = (await database_vitals(database_url, tenant)).processes
    assert (one.process, one.first_bytes, one.most_bytes, one.last_bytes) == ("host:1", 7, 7, 7)
    assert one.since == one.until
    assert (two.process, two.first_bytes, two.most_bytes, two.last_bytes) == ("host:2", 20, 50, 40)
    assert two.since == since
    assert 56 < (two.until - two.since).total_seconds() / 60 < 58


async def test_health_of_a_schema_without_these_notes_lacks_only_them(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant) as connection:
        await connection.execute("DROP TABLE process_memory")
    found = await database_vitals(database_url, tenant)
    assert found.tenant is not None
    assert found.processes == []
    assert (await database_vitals(database_url, f"{tenant}_none")).processes == ()


async def test_an_open_platform_notes_and_one_that_is_soon_closed_has_written_nothing(
    database_url: str, redis_url: str, tenant: str
) -> None:
    async with open_platform(load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)) as platform:
        assert "process memory" in {task.get_name() for task in asyncio.all_tasks()}
        async with connected(database_url, tenant) as connection:
            assert await _count(connection) == 0
            await note_memory(platform.projector_pool)
        memory = (await platform.health.check()).checks["memory"]
        processes = memory.figures["processes"]
        assert isinstance(processes, list)
        assert [(one["process"], one["last_bytes"]) for one in processes] == [(process_name(), RESIDENT)]
    assert "process memory" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_the_writer_may_not_touch_what_is_noted(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM process_memory")
