"""Months that are archived, attached again, or detached by hand."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from domain.errors import LogUnavailable
from domain.log import AlreadyRecorded, Conflicted, Cut
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from tests.support.log import appended, command
from tests.support.old_log import EACH, MONTHS, fill, month_of
from tests.support.postgres import Connection, connected, rows, set_clock, value


@pytest.fixture
async def old_log(log: PostgresEventLog) -> PostgresEventLog:
    return await fill(log)


async def _archive(connection: Connection, partition: str) -> None:
    await connection.execute("SELECT archive_month(%s)", (partition,))


async def test_positions_go_on_after_the_oldest_month_is_archived(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, "events_2010_01")

    (outcome,) = await old_log.append([command({"pool-all": MONTHS})])
    assert appended(outcome).first_position == MONTHS * EACH + 1
    assert len(await old_log.read_log(after_position=EACH, limit=10_000)) == (MONTHS - 1) * EACH + 1
    assert [e.version async for e in old_log.read_stream("pool-all", after_version=1)] == list(range(2, MONTHS + 2))
    newest = [e.version async for e in old_log.read_stream("pool-all", backwards=True, limit=3)]
    assert newest == [MONTHS + 1, MONTHS, MONTHS - 1]


async def test_what_is_archived_is_never_left_out_silently(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, "events_2010_01")

    with pytest.raises(LogUnavailable, match="positions 1 to 20 are archived") as refused:
        await old_log.read_log(after_position=0, limit=10)
    assert refused.value.facts["partitions"] == "events_2010_01"
    assert "what came after position 20, 2010-01-16T07:00:00Z, can be read" in refused.value.message
    with pytest.raises(LogUnavailable):
        await old_log.position_at(month_of(0) + timedelta(hours=1))
    reads = [
        old_log.read_stream("pool-all"),
        old_log.read_stream("agent-0"),
        old_log.read_stream("pool-all", backwards=True),
        old_log.read_stream("pool-all", cut=Cut(at=month_of(0) + timedelta(days=2))),
        old_log.read_stream("pool-all", cut=Cut(position=EACH)),
        old_log.read_stream("pool-all", cut=Cut(version=1)),
    ]
    for read in reads:
        with pytest.raises(LogUnavailable, match="are archived"):
            [e async for e in read]
    with pytest.raises(LogUnavailable, match="are archived"):
        await old_log.read_streams(["pool-all"])
    assert [e async for e in old_log.read_stream("pool-all", cut=Cut(at=month_of(0)))] == []
    assert len([e async for e in old_log.read_stream("agent-1")]) == EACH - 1
    assert [e async for e in old_log.read_stream("pool-all", after_version=MONTHS)] == []


async def test_months_are_archived_from_the_oldest_on(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        with pytest.raises(psycopg.Error, match="from the oldest on"):
            await _archive(connection, "events_2010_02")


@pytest.mark.parametrize("by_hand", [False, True], ids=["archived", "detached by hand"])
async def test_positions_and_time_go_on_after_the_only_month_is_detached(
    log: PostgresEventLog, database_url: str, tenant: str, by_hand: bool
) -> None:
    (before,) = await log.append([command({"task-1": 0}, {"task-1": 4})])
    only = f"events_{datetime.now(UTC):%Y_%m}"
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        if by_hand:
            await connection.execute(f"ALTER TABLE events DETACH PARTITION {only} CONCURRENTLY".encode())
        else:
            await _archive(connection, only)

    outcomes = [(await log.append([command({"task-1": 4 + n})]))[0] for n in range(3)]

    assert [appended(one).first_position for one in outcomes] == [5, 6, 7]
    assert appended(outcomes[0]).recorded_at > appended(before).recorded_at
    assert [e.position for e in await log.read_log(after_position=4, limit=10)] == [5, 6, 7]
    assert [e.version async for e in log.read_stream("task-1", after_version=4)] == [5, 6, 7]


async def test_streams_of_archived_months_and_of_others_may_meet(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await set_clock(database_url, tenant, "timestamptz '2031-10-05 12:00:00+00'")
    await log.append([command({"agent-1": 0, "agent-2": 0})])
    await set_clock(database_url, tenant, "timestamptz '2031-11-05 12:00:00+00'")
    await log.append([command({"task-1": 0}, {"task-1": 7})])
    await set_clock(database_url, tenant, "timestamptz '2031-12-05 12:00:00+00'")
    await log.append([command({"pool-1": 0})])
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, "events_2031_10")
    (outcome,) = await log.append([command({"agent-1": 1, "task-1": 7, "agent-2": 1})])
    assert appended(outcome).first_position == 11


async def test_a_month_may_be_archived_part_by_part(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await set_clock(database_url, tenant, "timestamptz '2031-12-05 12:00:00+00'")
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        for number, partition in enumerate(("events_2031_12", "events_2031_12_2", "events_2031_12_3")):
            await log.append([command({"task-1": number})])
            assert await rows(connection, "SELECT tableoid::regclass::text FROM events") == [(partition,)]
            await _archive(connection, partition)
        assert await rows(
            connection, "SELECT first_position, last_position FROM months WHERE state = 'archived' ORDER BY starts_at"
        ) == [
            (1, 1),
            (2, 2),
            (3, 3),
        ]


async def test_time_never_falls_below_what_is_archived(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    (before,) = await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, f"events_{datetime.now(UTC):%Y_%m}")
        assert (await log.head()).recorded_at == appended(before).recorded_at
        assert (await log.head()).position == 1
    await set_clock(database_url, tenant, "clock_timestamp() - interval '30 seconds'")

    (after,) = await log.append([command({"task-1": 1})])
    assert appended(after).recorded_at == appended(before).recorded_at + timedelta(microseconds=1)


async def test_an_empty_month_is_detached_and_forgotten(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await log.ensure_months(month_of(0), month_of(0))
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, "events_2010_01")
        assert await value(connection, "SELECT count(*) FROM months WHERE partition = 'events_2010_01'") == 0
    async with connected(database_url, tenant, Role.WRITER) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await _archive(connection, "events_2010_01")


async def test_a_month_that_is_attached_again_is_as_if_nothing_had_been(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    before = await old_log.read_log(after_position=0, limit=10_000)
    known = command({"pool-all": MONTHS})
    await old_log.append([known])
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        for partition in ("events_2010_01", "events_2010_02"):
            await _archive(connection, partition)
        assert isinstance((await old_log.append([known]))[0], AlreadyRecorded)
        assert isinstance((await old_log.append([command({"pool-all": MONTHS})]))[0], Conflicted)
        (outcome,) = await old_log.append([command({"pool-all": MONTHS + 1})])
        with pytest.raises(psycopg.Error, match="from the newest archived one on"):
            await connection.execute("SELECT attach_month('events_2010_01')")
        for partition in ("events_2010_02", "events_2010_01"):
            await connection.execute("SELECT attach_month(%s)", (partition,))
        with pytest.raises(psycopg.Error) as refused:
            await connection.execute("DELETE FROM events_2010_01")
        assert refused.value.sqlstate == "DS006"

    assert appended(outcome).first_position == MONTHS * EACH + 2
    assert (await old_log.read_log(after_position=0, limit=10_000))[: len(before)] == before
    assert [e.version async for e in old_log.read_stream("pool-all")] == list(range(1, MONTHS + 3))
    (after,) = await old_log.append([command({"pool-all": MONTHS + 2})])
    assert appended(after).first_position == MONTHS * EACH + 3


async def test_the_only_month_goes_on_in_a_second_part_when_it_is_attached_again(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    only = f"events_{datetime.now(UTC):%Y_%m}"
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, only)
        await log.append([command({"task-1": 1})])
        await connection.execute("SELECT attach_month(%s)", (only,))
    await log.append([command({"task-1": 2})])
    assert [(e.position, e.version) async for e in log.read_stream("task-1")] == [(1, 1), (2, 2), (3, 3)]


async def test_a_table_that_lost_something_is_not_attached_again(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0}, {"task-1": 3})])
    only = f"events_{datetime.now(UTC):%Y_%m}"
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await _archive(connection, only)
        await connection.execute(f"ALTER TABLE {only} DISABLE TRIGGER refuse_change".encode())
        await connection.execute(f"DELETE FROM {only} WHERE position = 2".encode())
        with pytest.raises(psycopg.Error, match="does not hold what was archived"):
            await connection.execute("SELECT attach_month(%s)", (only,))
