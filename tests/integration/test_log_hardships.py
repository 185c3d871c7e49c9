"""Large events, a full disk, a server that only reads, too many connections: refused or failed in our own words,
nothing half done, and the next command works."""

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psutil
import pytest

from commands.envelope import Answer
from commands.locks import Claim
from domain.errors import AppendRejected, LogUnavailable
from domain.log import MAX_EVENT_BYTES, Appended, CommandAppend, FoldRequest, LogFilter, may_go_on
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Role
from infrastructure.embedded import EmbeddedServers
from infrastructure.event_store import PostgresEventLog
from infrastructure.locks import PostgresLocks
from infrastructure.migrations import migrate
from infrastructure.pools import Pool, open_pool
from projections.following import follow
from projections.signal import ProcessSignal
from tests.support.file_limits import limit_files
from tests.support.homes import furnished_home
from tests.support.log import command, event
from tests.support.postgres import connected

MEGABYTE = 1024 * 1024


def large(stream_id: str, size: int, version: int = 0) -> CommandAppend:
    return CommandAppend(uuid4(), {stream_id: version}, (event(stream_id, data=os.urandom(size)),), b"done")


async def test_an_event_of_two_megabytes_is_kept_byte_for_byte(log: PostgresEventLog) -> None:
    one = large("task-1", 2 * MEGABYTE)
    assert isinstance((await log.append([one]))[0], Appended)
    (read,) = await log.read_log(after_position=0, limit=1)
    assert read.data == one.events[0].data


async def test_an_event_of_200_megabytes_is_refused_and_harms_nobody(log: PostgresEventLog) -> None:
    with pytest.raises(AppendRejected, match=r"has 209,715,2\d\d bytes, and the log takes 16,777,216 at most"):
        await log.append([command({"task-2": 0}), large("task-1", 200 * MEGABYTE)])
    assert (await log.head()).position == 0
    assert isinstance((await log.append([large("task-1", MAX_EVENT_BYTES - 100)]))[0], Appended)


@pytest.mark.long
async def test_a_fold_takes_large_events_some_at_a_time(log: PostgresEventLog) -> None:
    for version in range(8):
        assert isinstance((await log.append([large("task-1", 10 * MEGABYTE, version)]))[0], Appended)
    read = [one.data async for one in log.read_stream("task-1")]
    parts = [[data for _, _, data in one.events] async for one in log.read_stretches("task-1")]
    assert [len(part) for part in parts] == [6, 2]
    assert [data for part in parts for data in part] == read
    for request in (FoldRequest("task-1"), FoldRequest("task-1", until_version=8)):
        (whole,) = await log.read_folds([request])
        assert [data for _, _, data in whole.events] == read
        assert whole.last is not None
        assert whole.last.version == 8


@pytest.mark.long
async def test_the_log_and_a_stream_are_read_some_megabytes_at_a_time_and_nothing_is_left_out(
    log: PostgresEventLog,
) -> None:
    """Six events of 15 MB: no batch goes on behind the first that reaches 64 MB, whatever was asked for."""
    for version in range(6):
        await log.append([large("task-1", 15 * MEGABYTE, version)])
    await log.append([command({"task-2": 0})])
    first = await log.read_log(after_position=0, limit=1000)
    assert [event.position for event in first] == [1, 2, 3, 4, 5]
    assert may_go_on(first, 1000)
    rest = await log.read_log(after_position=5, limit=1000)
    assert [event.position for event in rest] == [6, 7]
    assert not may_go_on(rest, 1000)
    only = LogFilter(types=frozenset({"thing_happened"}))
    async with aclosing(follow(log, ProcessSignal(), only=only)) as batches:
        assert [event.position for event in await anext(batches)] == [1, 2, 3, 4, 5]
        assert [event.position for event in await anext(batches)] == [6, 7]
    for backwards in (False, True):
        read = [event.version async for event in log.read_stream("task-1", backwards=backwards)]
        assert read == ([6, 5, 4, 3, 2, 1] if backwards else [1, 2, 3, 4, 5, 6])
        read = [event.version async for event in log.read_stream("task-1", backwards=backwards, limit=5)]
        assert len(read) == 5
    whole = await log.read_streams(["task-1"])
    assert [event.version for event in whole["task-1"]] == [1, 2, 3, 4, 5, 6]


async def test_many_large_commands_at_once_go_in_groups_that_the_server_can_take(
    database_url: str, redis_url: str, tenant: str
) -> None:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:

        async def create(number: int) -> Answer:
            context = {"text": "x" * (MEGABYTE - 2000)}
            data = {"workflow_id": f"w{number}", "definition_id": "d", "context": context}
            return await manager.submit({"type": "CreateWorkflow", "data": data})

        answers = await asyncio.gather(*map(create, range(40)))
        too_large = await manager.submit({"type": "CreateWorkflow", "data": {"workflow_id": "w", "x": "y" * MEGABYTE}})
    assert [answer.outcome for answer in answers] == ["accepted"] * 40
    assert too_large.outcome == "invalid"


@pytest.fixture
def own_home() -> Iterator[Path]:
    with furnished_home("dora-state-hard-") as home:
        yield home


def manager_on(servers: EmbeddedServers) -> AbstractAsyncContextManager[StateManager]:
    settings = load_settings(database_url=servers.database_url, redis_url=servers.redis_url, tenant="hard")
    return open_state_manager(settings, default_actor="test")


def create(workflow_id: str) -> dict[str, object]:
    return {"type": "CreateWorkflow", "data": {"workflow_id": workflow_id, "definition_id": "d"}}


async def test_a_server_in_recovery_reads_and_says_that_it_takes_no_commands(own_home: Path) -> None:
    with EmbeddedServers(own_home) as servers:
        async with manager_on(servers) as manager:
            assert (await manager.submit(create("before"))).outcome == "accepted"
    standby = own_home / "pgdata" / "standby.signal"
    standby.touch()
    with EmbeddedServers(own_home) as servers:
        async with manager_on(servers) as manager:
            answer = await manager.submit(create("during"))
            assert answer.outcome == "failed"
            assert answer.problem is not None
            assert "read-only" in answer.problem.message
            assert (await manager.state("workflow", "before", live=True))["state"] == "created"
    standby.unlink()
    with EmbeddedServers(own_home) as servers:
        async with manager_on(servers) as manager:
            assert (await manager.submit(create("during"))).outcome == "accepted"
            assert (await manager.platform.log.head()).position == 2


async def opened_once_there_is_room(url: str, tenant: str) -> Pool:
    """A server counts a connection until its backend has ended, which is a moment after the client closed it."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await open_pool(url, tenant, Role.WRITER)
            except LogUnavailable as error:
                if "too many connections" not in str(error):
                    raise
                await asyncio.sleep(0.05)


async def test_without_a_connection_left_it_says_so_and_works_again_when_there_is_one(
    database_url: str, tenant: str
) -> None:
    login = f"few_{tenant}"
    async with connected(database_url, tenant) as admin:
        await admin.execute(f"CREATE ROLE {login} LOGIN CONNECTION LIMIT 1".encode())
        try:
            await admin.execute(f"GRANT dora_state_writer TO {login}".encode())
            parts = urlsplit(database_url)
            where = parts.netloc.rpartition("@")[2]
            url = urlunsplit(parts._replace(netloc=f"{quote(login)}@{where}"))
            async with await open_pool(url, tenant, Role.WRITER, min_size=1, max_size=1) as pool:
                log = PostgresEventLog(pool)
                assert isinstance((await log.append([command({"task-1": 0})]))[0], Appended)
                with pytest.raises(
                    LogUnavailable, match=r"too many connections for role .*: raise its max_connections"
                ):
                    await open_pool(url, tenant, Role.WRITER)
                assert isinstance((await log.append([command({"task-1": 1})]))[0], Appended)
            async with await opened_once_there_is_room(url, tenant) as pool:
                assert (await PostgresEventLog(pool).head()).position == 2
        finally:
            await admin.execute(f"DROP ROLE {login}".encode())


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own; only root can make one."""
    with tempfile.TemporaryDirectory(prefix="dora-state-disk-") as directory:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", directory], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("no file system can be mounted here")
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", "-l", directory], check=True)


@pytest.fixture
async def full_quota(database_url: str, tenant: str) -> AsyncIterator[tuple[Pool, psutil.Process]]:
    """A pool of one connection, and the server's process for it, whose files get no longer than 16 MiB."""
    async with await open_pool(database_url, tenant, Role.WRITER, max_size=1) as pool:
        async with pool.connection() as connection:
            backend = psutil.Process(connection.info.backend_pid)
        limit_files([backend], 16 * MEGABYTE)
        yield pool, backend


async def test_a_full_quota_is_no_fault_of_the_command(full_quota: tuple[Pool, psutil.Process]) -> None:
    pool, backend = full_quota
    log = PostgresEventLog(pool)
    for number in range(8):
        one = large(f"task-{number}", 4 * MEGABYTE)
        try:
            await log.append([one])
        except LogUnavailable as error:
            said = error.message
            break
    assert re.search(r"can't do it just now \(could not (extend|write) .*same command ids", said)
    limit_files([backend], None)
    assert isinstance((await log.append([one]))[0], Appended)
    assert (await log.head()).position == number + 1


async def test_where_a_quota_is_full_a_lock_is_waited_for(
    full_quota: tuple[Pool, psutil.Process], database_url: str, tenant: str
) -> None:
    pool, backend = full_quota
    async with PostgresLocks(database_url, tenant, pool) as locks:
        claim = Claim("task-1", holder=os.urandom(12 * MEGABYTE).hex())
        with pytest.raises(LogUnavailable, match=r"could not (extend|write)"):
            await locks.take(claim, 0.2)
        limit_files([backend], None)
        await locks.let_go(await locks.take(claim, 10.0))


@pytest.mark.timeout(180)
async def test_a_full_disk_loses_nothing_and_when_there_is_room_again_it_goes_on(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with EmbeddedServers(small_disk / "home") as servers:
        await migrate(servers.database_url, "hard")
        acknowledged = 0
        async with await open_pool(servers.database_url, "hard", Role.WRITER) as pool:
            log = PostgresEventLog(pool)
            assert isinstance((await log.append([large("task-0", MEGABYTE)]))[0], Appended)
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            ballast.write_bytes(bytes(free - 12 * MEGABYTE))
            failed: CommandAppend | None = None
            said = ""
            for number in range(1, 100):
                one = large(f"task-{number}", MEGABYTE)
                try:
                    await log.append([one])
                except LogUnavailable as error:
                    failed, said = one, error.message
                    break
                acknowledged += 1
            assert failed is not None
            assert "same command ids" in said
        ballast.unlink()
        async with asyncio.timeout(60):
            while True:
                await asyncio.to_thread(servers.bring_back)  # as a worker does
                try:
                    async with await open_pool(servers.database_url, "hard", Role.WRITER) as pool:
                        log = PostgresEventLog(pool)
                        await log.append([failed])
                        events = await log.read_log(after_position=0, limit=1000)
                    break
                except LogUnavailable:
                    await asyncio.sleep(0.1)
        assert [e.position for e in events] == list(range(1, len(events) + 1))
        assert {f"task-{number}" for number in range(acknowledged + 2)} == {e.stream_id for e in events}
        assert len(events) == acknowledged + 2
