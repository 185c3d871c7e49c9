"""Reading: by stream or by position, in pages, as of a cut."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import InvalidInput, LogUnavailable
from domain.log import AlreadyRecorded, Appended, Cut, LogFilter
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog, PostgresEventReader
from infrastructure.event_store.reading import PAGE
from infrastructure.pools import Pool, open_pool
from tests.support.log import appended, command
from tests.support.postgres import Connection, connected, rows, value


async def test_an_empty_log_has_nothing(log: PostgresEventLog) -> None:
    assert ((head := await log.head()).position, head.recorded_at) == (0, None)
    assert await log.position_at(datetime.now(UTC)) == 0
    assert await log.stream_version("task-1") == 0
    assert [e async for e in log.read_stream("task-1")] == []
    assert await log.read_streams(["task-1"]) == {"task-1": []}
    assert await log.read_streams([]) == {}
    assert await log.read_log(after_position=0, limit=10) == []


async def test_a_long_stream_is_read_by_pages_both_ways_without_an_open_transaction(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    count = 2 * PAGE + 500
    await log.append([command({"task-1": n}) for n in range(count)])

    assert [e.version async for e in log.read_stream("task-1")] == list(range(1, count + 1))
    assert [e.version async for e in log.read_stream("task-1", backwards=True)] == list(range(count, 0, -1))
    for limit in (0, 1, PAGE, PAGE + 1, count + 5):
        read = [e.version async for e in log.read_stream("task-1", after_version=3, limit=limit)]
        assert read == list(range(4, min(limit, count - 3) + 4))
    back = log.read_stream("task-1", backwards=True, after_version=10, cut=Cut(version=PAGE + 50), limit=PAGE + 20)
    assert [e.version async for e in back] == list(range(PAGE + 50, 30, -1))
    async with connected(database_url, tenant) as watch:
        async for e in log.read_stream("task-1"):
            if e.version % PAGE in (1, 0):
                assert (
                    await value(
                        watch,
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND xact_start IS NOT NULL",
                        f"dora-state writer {tenant}",
                    )
                    == 0
                )


async def test_cuts_by_time_and_position_snap_down_to_whole_commands(log: PostgresEventLog) -> None:
    outcomes = await log.append(
        [
            command({"task-1": 0, "agent-1": 0}, {"task-1": 2, "agent-1": 2}),  # positions 1 to 4
            command({"task-1": 2}, {"task-1": 1}),  # 5
            command({"task-1": 3, "agent-1": 2}, {"task-1": 2, "agent-1": 1}),  # 6 to 8
        ]
    )

    async def versions(cut: Cut) -> list[int]:
        return [e.version async for e in log.read_stream("task-1", cut=cut)]

    by_position = [await versions(Cut(position=p)) for p in range(10)]
    assert by_position == [[]] * 4 + [[1, 2]] + [[1, 2, 3]] * 3 + [[1, 2, 3, 4, 5]] * 2
    whole = [(await log.read_streams(["task-1", "agent-1"], up_to_position=p)) for p in (3, 4, 7, 8)]
    assert [(len(s["task-1"]), len(s["agent-1"])) for s in whole] == [(0, 0), (2, 2), (3, 2), (5, 3)]
    times = [appended(one).recorded_at for one in outcomes]
    moment = timedelta(microseconds=1)
    assert [await versions(Cut(at=at)) for at in (times[0] - moment, *times, times[2] + moment)] == [
        [],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5],
    ]
    assert [await versions(Cut(version=n)) for n in (0, 1, 4, 9)] == [[], [1], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    assert [await log.position_at(at) for at in (times[0] - moment, *times)] == [0, 4, 5, 8]


async def test_a_batch_of_the_log_ends_with_a_command(log: PostgresEventLog) -> None:
    await log.append([command({f"task-{n}": 0}, {f"task-{n}": 3}) for n in range(5)])

    assert [len(await log.read_log(after_position=0, limit=n)) for n in (1, 2, 3, 4, 6, 7, 100)] == [
        3,
        3,
        3,
        6,
        6,
        9,
        15,
    ]
    assert [e.position for e in await log.read_log(after_position=3, limit=2)] == [4, 5, 6]
    assert await log.read_log(after_position=15, limit=2) == []
    assert await log.read_log(after_position=99, limit=2) == []
    with pytest.raises(InvalidInput):
        await log.read_log(after_position=0, limit=0)


async def test_the_log_is_filtered_by_category_and_type(log: PostgresEventLog) -> None:
    for n in range(300):
        category, type = ("agent", "rare") if n % 100 == 99 else ("task", "common")
        await log.append(
            [
                command(
                    {f"{category}-x-{n}": 0, "workflow-1": 2 * n}, {f"{category}-x-{n}": 2, "workflow-1": 2}, type=type
                )
            ]
        )

    async def positions(limit: int, *, after: int = 0, **only: list[str]) -> list[int]:
        chosen = LogFilter(frozenset(only.get("categories", ())), frozenset(only.get("types", ())))
        return [e.position for e in await log.read_log(after_position=after, limit=limit, only=chosen)]

    assert await positions(10, categories=["agent"]) == [397, 398, 797, 798, 1197, 1198]
    assert await positions(1, categories=["agent"]) == [397, 398]
    assert await positions(3, categories=["agent"]) == [397, 398, 797, 798]
    assert await positions(3, categories=["agent"], after=398) == [797, 798, 1197, 1198]
    assert await positions(5, types=["rare"]) == [397, 398, 399, 400, 797, 798, 799, 800]
    assert await positions(5, types=["rare"], categories=["workflow"]) == [399, 400, 799, 800, 1199, 1200]
    assert await positions(5, types=["never"]) == []
    assert len(await positions(5000, categories=["agent", "task", "workflow"])) == 1200


async def test_several_streams_come_in_one_round_trip_each_in_order(log: PostgresEventLog) -> None:
    await log.append([command({"task-1": n, "agent-1": n}) for n in range(5)])

    streams = await log.read_streams(["agent-1", "task-1", "task-none", "task-1"])

    assert {name: [e.version for e in events] for name, events in streams.items()} == {
        "agent-1": [1, 2, 3, 4, 5],
        "task-1": [1, 2, 3, 4, 5],
        "task-none": [],
    }


async def test_the_projector_reads_too(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await log.append([command({"task-1": 0})])
    async with await open_pool(database_url, tenant, Role.PROJECTOR) as pool:
        reader = PostgresEventReader(pool)
        assert len(await reader.read_log(after_position=0, limit=10)) == 1
        assert len([e async for e in reader.read_stream("task-1")]) == 1
        assert (await reader.head()).position == 1
        assert await reader.position_at(datetime.now(UTC) + timedelta(minutes=1)) == 1


KILL = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"


async def test_a_connection_lost_in_an_append_is_unavailable_and_the_same_ids_may_come_again(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    one = command({"task-1": 0})
    async with connected(database_url, tenant) as admin, log.alone():
        waiting = asyncio.ensure_future(log.append([one]))
        await until_locked(admin, f"dora-state append {tenant}")
        await admin.execute(KILL, (f"dora-state append {tenant}",))
        with pytest.raises(LogUnavailable, match="same command ids"):
            await waiting
    (outcome,) = await log.append([one])
    assert appended(outcome).first_position == 1


async def until_locked(connection: Connection, application: str) -> None:
    for _ in range(1000):
        found = await rows(
            connection,
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'",
            application,
        )
        if found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not wait for a lock")


async def test_a_connection_lost_while_nothing_is_asked_is_made_anew(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant) as admin:
        await admin.execute(KILL, (f"dora-state append {tenant}",))
    await asyncio.sleep(0.05)  # it is told so
    (outcome,) = await log.append([command({"task-1": 1})])
    assert appended(outcome).first_position == 2


async def test_who_goes_away_in_the_midst_of_an_append_leaves_a_connection_that_works(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    one = command({"task-1": 0})
    async with connected(database_url, tenant) as admin, log.alone():
        waiting = asyncio.ensure_future(log.append([one]))
        await until_locked(admin, f"dora-state append {tenant}")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    outcomes = [(await log.append([again]))[0] for again in (one, command({"task-2": 0}))]
    assert all(isinstance(outcome, Appended | AlreadyRecorded) for outcome in outcomes)
    assert (await log.head()).position == 2


async def test_a_closed_pool_is_unavailable(log: PostgresEventLog, pool: Pool) -> None:
    await pool.close()
    with pytest.raises(LogUnavailable):
        await log.head()
