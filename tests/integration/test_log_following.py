"""Following the log: every event once and in order, whoever writes it, woken by a signal or not."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from domain.log import LogFilter, RecordedEvent
from infrastructure.event_store import LogSignal, PostgresEventLog
from projections.following import follow
from projections.signal import ProcessSignal
from tests.support.log import command
from tests.support.postgres import connected, rows

WRITERS = 8
COMMANDS = 40
NEVER = 3600.0

WRITER = """
import asyncio, random, sys
from infrastructure.database import Role
from infrastructure.pools import open_pool
from infrastructure.event_store import PostgresEventLog
from tests.support.log import command
from tests.support.postgres import append_in, connected

async def main(url, tenant, name, count):
    chance = random.Random(name)
    async with connected(url, tenant, Role.WRITER) as connection:
        version = 0
        for _ in range(count):
            try:
                async with connection.transaction():
                    await append_in(connection, command({f"task-{name}": version}, {f"task-{name}": 2}))
                    await asyncio.sleep(chance.choice([0, 0, 0.01]))
                    if chance.random() < 0.2:
                        raise ZeroDivisionError
                version += 2
            except ZeroDivisionError:
                pass

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
"""


@asynccontextmanager
async def signal_of(database_url: str, tenant: str) -> AsyncIterator[LogSignal]:
    async with LogSignal(database_url, tenant) as signal:
        yield signal


async def collect(events: AsyncIterator[list[RecordedEvent]], count: int) -> list[RecordedEvent]:
    found: list[RecordedEvent] = []
    async with asyncio.timeout(60):
        async for batch in events:
            assert batch[-1].following == 0
            found += batch
            if len(found) >= count:
                break
    return found


async def test_two_followers_see_what_eight_processes_write_while_others_abort_sleep_and_hold_on(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant) as bystander, bystander.transaction():
        await rows(bystander, "SELECT pg_current_xact_id()")  # an open transaction that has to do with nothing
        done = asyncio.Event()

        async def follower(poll_seconds: float) -> list[RecordedEvent]:
            seen: list[RecordedEvent] = []
            async with aclosing(follow(log, ProcessSignal(), batch_size=7, poll_seconds=poll_seconds)) as events:
                async for batch in events:
                    seen += batch
                    if done.is_set() and seen[-1].position >= (await log.head()).position:
                        return seen
            return seen

        followers = [asyncio.create_task(follower(seconds)) for seconds in (0.001, 0.02)]
        writers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WRITER, database_url, tenant, str(name), str(COMMANDS)),
                env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
            )
            for name in range(WRITERS)
        ]
        assert [await writer.wait() for writer in writers] == [0] * WRITERS
        done.set()
        await log.append([command({"task-last": 0})])
        seen = await asyncio.gather(*followers)

    head = (await log.head()).position
    assert head > WRITERS * COMMANDS
    for events in seen:
        assert [event.position for event in events] == list(range(1, head + 1))
        for name in range(WRITERS):
            versions = [event.version for event in events if event.stream_id == f"task-{name}"]
            assert versions == list(range(1, len(versions) + 1))


async def test_a_follower_is_woken_by_its_own_process_and_by_another(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with signal_of(database_url, tenant) as here, signal_of(database_url, tenant) as elsewhere:
        one = asyncio.create_task(collect(follow(log, here, poll_seconds=NEVER), 2))
        other = asyncio.create_task(collect(follow(log, elsewhere, poll_seconds=NEVER), 2))
        await log.append([command({"task-1": 0})])
        here.wake()
        await until_listening(database_url, tenant)
        await log.append([command({"task-1": 1})])
        here.wake()
        assert [event.version for event in await one] == [1, 2]
        assert [event.version for event in await other] == [1, 2]


async def until_listening(database_url: str, tenant: str) -> None:
    """Until both processes' connections wait for notifications."""
    async with asyncio.timeout(20), connected(database_url, tenant) as connection:
        while True:
            found = await rows(
                connection,
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'dora-state signal'"
                " AND query ILIKE 'listen%%' AND state = 'idle' AND query LIKE '%%' || %s || '%%'",
                tenant,
            )
            if len(found) >= 2:
                return
            await asyncio.sleep(0.02)


async def test_many_appends_are_one_notification(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    async with signal_of(database_url, tenant) as here, signal_of(database_url, tenant) as elsewhere:
        waiting = asyncio.create_task(elsewhere.listener().wait(NEVER))
        other = asyncio.create_task(here.listener().wait(NEVER))
        await until_listening(database_url, tenant)
        for _ in range(1000):
            here.wake()
        await asyncio.wait_for(asyncio.gather(waiting, other), 20)


async def test_a_signal_that_lost_its_connections_comes_back(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with signal_of(database_url, tenant) as here, signal_of(database_url, tenant) as elsewhere:
        following = asyncio.create_task(collect(follow(log, elsewhere, poll_seconds=NEVER), 1))
        mine = asyncio.create_task(here.listener().wait(NEVER))
        here.wake()
        await until_listening(database_url, tenant)
        async with connected(database_url, tenant) as connection:
            await rows(
                connection,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dora-state signal'"
                " AND query LIKE '%%' || %s || '%%'",
                tenant,
            )
        await log.append([command({"task-1": 0})])
        here.wake()
        assert [event.version for event in await following] == [1]
        await mine


async def test_a_follower_with_a_filter_looks_at_nothing_twice(log: PostgresEventLog) -> None:
    for number in range(30):
        await log.append([command({f"task-{number}": 0})])
    reads: list[int] = []
    looked = asyncio.Event()

    class Counting(PostgresEventLog):
        async def read_log(
            self, *, after_position: int, limit: int, only: LogFilter | None = None, until_position: int | None = None
        ) -> list[RecordedEvent]:
            reads.append(after_position)
            found = await super().read_log(
                after_position=after_position, limit=limit, only=only, until_position=until_position
            )
            looked.set()
            return found

    counting = Counting(log._connections)
    only = LogFilter(categories=frozenset({"pool"}))
    following = asyncio.create_task(collect(follow(counting, ProcessSignal(), only=only, poll_seconds=0.01), 1))
    await looked.wait()
    await log.append([command({"pool-1": 0})])
    assert [event.stream_id for event in await following] == ["pool-1"]
    assert reads == [0, 30]


@pytest.mark.parametrize("after", [0, 3])
async def test_a_follower_begins_where_it_is_told(log: PostgresEventLog, after: int) -> None:
    await log.append([command({f"task-{number}": 0}) for number in range(5)])
    events = await collect(follow(log, ProcessSignal(), after_position=after), 5 - after)
    assert [event.position for event in events] == list(range(after + 1, 6))
