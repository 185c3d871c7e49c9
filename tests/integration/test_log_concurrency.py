"""Many writers and readers at once: positions, order, claims, isolation."""

import asyncio
import random
from itertools import pairwise
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.errors import LogUnavailable
from domain.log import AlreadyRecorded, Appended, Conflicted, RecordedEvent
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from tests.support.log import command
from tests.support.postgres import Connection, append_in, connected, rows, set_clock, until_waiting

WRITERS = 8
ROUNDS = 20


async def _write(connection: Connection, name: int) -> None:
    """Append commands, roll some back, and hold some transactions open after the append."""
    chance = random.Random(name)
    version = 0
    for _ in range(ROUNDS):
        kind = chance.choice(["plain", "aborted", "slow"])
        count = chance.randint(1, 4)
        one = command({f"task-{name}": version}, {f"task-{name}": count})
        try:
            async with connection.transaction():
                (outcome,) = await append_in(connection, one)
                assert isinstance(outcome, Appended)
                if kind == "slow":
                    await asyncio.sleep(0.01)
                if kind == "aborted":
                    raise ZeroDivisionError
            version += count
        except ZeroDivisionError:
            pass


async def _tail(log: PostgresEventLog, done: asyncio.Event) -> list[RecordedEvent]:
    """Read what comes after the checkpoint, over and over, until nothing more will come."""
    seen: list[RecordedEvent] = []
    while True:
        last = done.is_set()
        batch = await log.read_log(after_position=seen[-1].position if seen else 0, limit=7)
        seen += batch
        if not batch and last:
            return seen


async def test_positions_are_contiguous_and_a_reader_neither_misses_nor_sees_early(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async def writer(name: int) -> None:
        async with connected(database_url, tenant, Role.WRITER) as connection:
            await _write(connection, name)

    done = asyncio.Event()
    reader = asyncio.create_task(_tail(log, done))
    await asyncio.gather(*(writer(name) for name in range(WRITERS)))
    done.set()
    seen = await reader

    assert [e.position for e in seen] == list(range(1, (await log.head()).position + 1))
    assert seen == await log.read_log(after_position=0, limit=100_000)
    for before, after in pairwise(seen):
        if before.following:
            assert (after.following, after.recorded_at) == (before.following - 1, before.recorded_at)
        else:
            assert after.recorded_at > before.recorded_at
    assert seen[-1].following == 0
    for name in range(WRITERS):
        versions = [e.version for e in seen if e.stream_id == f"task-{name}"]
        assert versions == list(range(1, len(versions) + 1))
        assert await log.stream_version(f"task-{name}") == len(versions)


@pytest.mark.parametrize("isolation", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
async def test_an_isolation_that_can_not_see_what_was_committed_is_refused(
    database_url: str, tenant: str, isolation: psycopg.IsolationLevel
) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        await connection.set_autocommit(False)
        await connection.set_isolation_level(isolation)
        with pytest.raises(psycopg.Error) as refused:
            await append_in(connection, command({"task-1": 0}))
    assert refused.value.sqlstate == "DS001"


async def test_a_duplicate_on_another_connection_waits_and_gets_the_first_answer(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    first = command({"task-1": 0}, answer=b"first")
    second = command({"task-1": 0}, command_id=first.command_id, answer=b"second")
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        async with one.transaction():
            (recorded,) = await append_in(one, first)
            waiting = asyncio.create_task(append_in(two, second))
            assert await until_waiting(watch, two) == "advisory"
        assert isinstance(recorded, Appended)
        assert await waiting == [AlreadyRecorded(b"first", recorded.recorded_at, 1, 1)]
    assert (await log.head()).position == 1


async def test_a_duplicate_of_what_was_rolled_back_is_appended(database_url: str, tenant: str) -> None:
    one_id = uuid4()
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        async with one.transaction(force_rollback=True):
            await append_in(one, command({"task-1": 0}, command_id=one_id))
            waiting = asyncio.create_task(append_in(two, command({"task-1": 0}, command_id=one_id)))
            await until_waiting(watch, two)
        (outcome,) = await waiting
    assert isinstance(outcome, Appended)
    assert outcome.first_position == 1


async def test_duplicates_sent_at_once_give_one_append(log: PostgresEventLog) -> None:
    for number in range(20):
        same = command({f"task-{number}": 0})
        outcomes = [one for (one,) in await asyncio.gather(*(log.append([same]) for _ in range(6)))]
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyRecorded"] * 5 + ["Appended"]
    assert (await log.head()).position == 20


async def test_groups_with_the_same_ids_in_another_order_do_not_deadlock(database_url: str, tenant: str) -> None:
    """A third holds the middle id: without an order of their own, each of the two would have taken an end first."""
    low, middle, high = (command({f"task-{n}": 0}, command_id=UUID(int=n)) for n in (1, 2, 3))
    async with (
        connected(database_url, tenant, Role.WRITER) as holder,
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        async with holder.transaction(force_rollback=True):
            await append_in(holder, middle)
            upwards = asyncio.create_task(append_in(one, low, middle, high))
            await until_waiting(watch, one)
            downwards = asyncio.create_task(append_in(two, high, middle, low))
            await until_waiting(watch, two)
        results = await asyncio.gather(upwards, downwards, return_exceptions=True)
    assert [[type(outcome) for outcome in result] for result in results if not isinstance(result, BaseException)] == [
        [Appended] * 3,
        [AlreadyRecorded] * 3,
    ], results


async def test_commands_that_cross_their_streams_do_not_deadlock(log: PostgresEventLog) -> None:
    streams = [f"pool-{n}" for n in range(6)]
    await log.append([command({stream: 0}) for stream in streams])
    appended = 0

    async def cross(seed: int) -> int:
        chance, count = random.Random(seed), 0
        for _ in range(20):
            mine = chance.sample(streams, 4)
            versions = {stream: await log.stream_version(stream) for stream in mine}
            (outcome,) = await log.append([command(versions)])
            count += isinstance(outcome, Appended)
        return count

    appended = sum(await asyncio.gather(*(cross(seed) for seed in range(8))))
    assert (await log.head()).position == 6 + 4 * appended


async def test_who_has_the_log_alone_cannot_lose_and_the_others_wait(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with (
        connected(database_url, tenant, Role.WRITER) as other,
        connected(database_url, tenant) as watch,
    ):
        async with log.alone() as alone:
            waiting = asyncio.create_task(append_in(other, command({"task-1": 1})))
            assert await until_waiting(watch, other) == "advisory"
            version = (await alone.read_streams(["task-1"]))["task-1"][-1].version
            assert isinstance((await alone.append([command({"task-1": version})]))[0], Appended)
        assert await waiting == [Conflicted("task-1", 1, 2)]


async def test_who_has_the_log_alone_and_fails_has_appended_nothing(log: PostgresEventLog) -> None:
    async def fail() -> None:
        async with log.alone() as alone:
            await alone.append([command({"task-1": 0})])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await log.head()).position == 0
    assert isinstance((await log.append([command({"task-1": 0})]))[0], Appended)


async def test_who_has_the_log_alone_and_does_nothing_is_not_waited_for_for_ever(log: PostgresEventLog) -> None:
    async def idle() -> None:
        async with log.alone() as alone:
            await asyncio.sleep(3)
            await alone.append([command({"task-1": 0})])

    idler = asyncio.create_task(idle())
    await asyncio.sleep(0.2)
    assert isinstance((await log.append([command({"task-1": 0})]))[0], Appended)
    with pytest.raises(LogUnavailable):
        await idler


async def test_of_two_that_make_the_same_stream_at_once_one_is_in_conflict(database_url: str, tenant: str) -> None:
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        async with one.transaction():
            await append_in(one, command({"task-1": 0}, {"task-1": 2}))
            waiting = asyncio.create_task(append_in(two, command({"task-1": 0})))
            assert await until_waiting(watch, two) == "advisory"
        assert await waiting == [Conflicted("task-1", 0, 2)]


async def test_a_month_that_was_opened_while_waiting_is_gone_on_from(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """Both sessions know the month before by heart; positions are unique within a month only."""
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        for month in range(3):
            await set_clock(database_url, tenant, f"now() + interval '{month + 1} months'")
            for version, connection in enumerate((one, two, one, two)):
                await append_in(connection, command({f"task-{month}": version}))
            await set_clock(database_url, tenant, f"now() + interval '{month + 2} months'")
            async with one.transaction():
                await append_in(one, command({f"task-{month}": 4}))
                waiting = asyncio.create_task(append_in(two, command({f"agent-{month}": 0})))
                assert await until_waiting(watch, two) == "advisory"
            assert isinstance((await waiting)[0], Appended)
    events = await log.read_log(after_position=0, limit=100)
    assert [event.position for event in events] == list(range(1, 19))


async def test_the_first_month_that_was_opened_while_waiting_is_gone_on_from(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """Both sessions know by heart that there is none."""
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        for connection in (one, two, one, two):  # what is refused leaves all as it is
            assert await append_in(connection, command({"task-1": 5})) == [Conflicted("task-1", 5, 0)]
        async with one.transaction():
            await append_in(one, command({"task-1": 0}, {"task-1": 2}))
            waiting = asyncio.create_task(append_in(two, command({"agent-1": 0})))
            assert await until_waiting(watch, two) == "advisory"
        (outcome,) = await waiting
        assert isinstance(outcome, Appended)
        assert outcome.first_position == 3
    assert [event.position for event in await log.read_log(after_position=0, limit=10)] == [1, 2, 3]


async def test_a_month_that_was_opened_while_waiting_is_gone_on_from_though_the_clock_is_not_there_yet(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """The clock of the one who waited says the month before, and so does all that its session knows by heart."""
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        for version, connection in enumerate((one, two, one, two)):
            await append_in(connection, command({"task-1": version}))
        await set_clock(database_url, tenant, "date_trunc('month', now(), 'UTC') + interval '1 month 10 seconds'")
        async with one.transaction():
            await append_in(one, command({"task-1": 4}))
            await set_clock(database_url, tenant, "date_trunc('month', now(), 'UTC') + interval '1 month -10 seconds'")
            waiting = asyncio.create_task(append_in(two, command({"agent-1": 0})))
            assert await until_waiting(watch, two) == "advisory"
        assert isinstance((await waiting)[0], Appended)
    events = await log.read_log(after_position=0, limit=100)
    assert [event.position for event in events] == list(range(1, 7))
    assert events[4].recorded_at < events[5].recorded_at


async def test_who_began_before_a_months_first_event_sees_the_head_of_then(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """A function's new text is seen at once, and rows only by whoever begins after them."""
    for month, before in ((0, 0), (2, 1), (4, 2)):
        await set_clock(database_url, tenant, f"now() + interval '{month} months'")
        async with connected(database_url, tenant, Role.PROJECTOR) as reader, reader.transaction():
            await reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await rows(reader, "SELECT count(*) FROM streams")
            await log.append([command({f"task-{month}": 0})])
            assert await rows(reader, "SELECT last_position FROM log_head()") == [(before,)]
    assert (await log.head()).position == 3


async def test_a_stream_that_was_made_while_waiting_is_there_for_who_expects_it(database_url: str, tenant: str) -> None:
    """Under the append lock everything is seen that was committed while it was waited for."""
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        async with one.transaction():
            await append_in(one, command({"task-1": 0}, {"task-1": 2}))
            waiting = asyncio.create_task(append_in(two, command({"task-1": 2})))
            await until_waiting(watch, two)
        (outcome,) = await waiting
    assert isinstance(outcome, Appended)
    assert outcome.first_position == 3


@pytest.mark.parametrize("writes", [{"task-2": 1}, {}], ids=["a write elsewhere", "a refusal"])
async def test_what_was_only_read_is_checked_after_waiting_for_the_other(
    log: PostgresEventLog, database_url: str, tenant: str, writes: dict[str, int]
) -> None:
    """No write skew: each reads what the other writes; the second must not be recorded."""
    await log.append([command({"task-1": 0}), command({"task-2": 0})])
    async with (
        connected(database_url, tenant, Role.WRITER) as one,
        connected(database_url, tenant, Role.WRITER) as two,
        connected(database_url, tenant) as watch,
    ):
        async with one.transaction():
            await append_in(one, command({"task-1": 1, "task-2": 1}, {"task-1": 1}))
            second = command({"task-1": 1, "task-2": 1}, writes)
            waiting = asyncio.create_task(append_in(two, second))
            await until_waiting(watch, two)
        assert await waiting == [Conflicted("task-1", 1, 2)]
    assert await log.find_command(second.command_id) is None
    assert (await log.head()).position == 3


async def test_tenants_do_not_wait_for_each_other(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    from infrastructure.migrations import drop_tenant, migrate

    other = f"{tenant}_other"
    await migrate(database_url, other)
    async with connected(database_url, other, Role.WRITER) as neighbour, neighbour.transaction():
        await append_in(neighbour, command({"task-1": 0}))
        (outcome,) = await asyncio.wait_for(log.append([command({"task-1": 0})]), 10)
        assert isinstance(outcome, Appended)
        assert outcome.first_position == 1
    await drop_tenant(database_url, other)
