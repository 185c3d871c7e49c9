"""Months: made ahead, pruned, archived; positions go on."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from domain.errors import AppendRejected, LogUnavailable
from domain.log import AlreadyRecorded, Appended, Conflicted, Cut
from infrastructure import sql
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from tests.support.log import appended, command
from tests.support.postgres import Connection, connected, rows, set_clock, tell_plans, value

BEGIN = datetime(2010, 1, 15, 12, tzinfo=UTC)
MONTHS = 60
EACH = 20  # commands a month, one event each


def _month(number: int) -> datetime:
    """The middle of the nth month of the log, from 0."""
    return BEGIN.replace(year=BEGIN.year + number // 12, month=1 + number % 12)


@pytest.fixture
async def old_log(log: PostgresEventLog) -> PostgresEventLog:
    """Five years: in each month 20 events, of a stream of that month's and of one that goes on for ever."""
    import_id = uuid4()
    importing = await log.begin_import(import_id)
    await log.ensure_months(_month(0), _month(MONTHS - 1))
    for month in range(MONTHS):
        group = [
            command({f"agent-{month}": n}, at=_month(month) + timedelta(hours=n))
            if n < EACH - 1
            else command({"pool-all": month}, at=_month(month) + timedelta(hours=n))
            for n in range(EACH)
        ]
        for outcome in await importing.append(group):
            appended(outcome)
    await log.end_import(import_id)
    return log


async def _touched(
    database_url: str, tenant: str, query: LiteralString, arguments: Sequence[object] | Mapping[str, object]
) -> list[str]:
    """The partitions that a query really scans, nested statements included, as EXPLAIN ANALYZE tells them."""
    async with connected(database_url, tenant) as connection:
        plans = await tell_plans(connection)
        await connection.execute(sql.load(query), arguments)
    lines = [line for plan in plans for line in plan.splitlines() if "never executed" not in line]
    assert any("Scan" in line for line in lines)
    return sorted({found for line in lines for found in re.findall(r" on (events_\d{4}_\d\d)\b", line)})


async def test_months_are_made_ahead_by_migrating_and_by_maintaining(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        ahead = "SELECT count(*) FROM months WHERE starts_at >= clock_timestamp()"
        assert await value(connection, ahead) == 2
        assert await log.maintain() == []
        (last,) = (await rows(connection, "SELECT partition FROM months ORDER BY starts_at DESC LIMIT 1"))[0]
        await connection.execute(f"ALTER TABLE events DETACH PARTITION {last}; DROP TABLE {last}".encode())
        await connection.execute("DELETE FROM months WHERE partition = %s", (last,))
        assert await log.maintain() == [last]
        assert await value(connection, ahead) == 2


async def test_months_are_made_once_and_within_reason(log: PostgresEventLog) -> None:
    made = await log.ensure_months(datetime(2011, 10, 31, 23, tzinfo=UTC), datetime(2012, 3, 1, tzinfo=UTC))

    assert made == [f"events_{month}" for month in ("2011_10", "2011_11", "2011_12", "2012_01", "2012_02", "2012_03")]
    assert await log.ensure_months(_month(21), datetime(2012, 3, 31, tzinfo=UTC)) == []
    with pytest.raises(AppendRejected):
        await log.ensure_months(datetime(2012, 1, 1, tzinfo=UTC), datetime(2011, 1, 1, tzinfo=UTC))
    with pytest.raises(AppendRejected):
        await log.ensure_months(datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


async def test_months_are_those_of_utc(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await log.ensure_months(datetime(2012, 3, 31, 23, 30, tzinfo=UTC), datetime(2012, 3, 31, 23, 30, tzinfo=UTC))
    async with connected(database_url, tenant, Role.WRITER) as connection:
        await connection.execute("SET timezone = 'Pacific/Auckland'")
        await connection.execute("SELECT ensure_months('2012-04-30 23:30+00', '2012-04-30 23:30+00')")
        await connection.execute("SET timezone = 'UTC'")
        found = await rows(
            connection,
            "SELECT partition, starts_at, ends_at FROM months WHERE starts_at < '2013-01-01' ORDER BY starts_at",
        )
    assert found == [
        ("events_2012_03", datetime(2012, 3, 1, tzinfo=UTC), datetime(2012, 4, 1, tzinfo=UTC)),
        ("events_2012_04", datetime(2012, 4, 1, tzinfo=UTC), datetime(2012, 5, 1, tzinfo=UTC)),
    ]


async def test_each_month_keeps_its_positions_and_times_when_it_is_over(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    (outcome,) = await old_log.append([command({"task-1": 0})])
    assert appended(outcome).first_position == MONTHS * EACH + 1
    async with connected(database_url, tenant, Role.PROJECTOR) as connection:
        kept = await rows(
            connection,
            "SELECT first_position, last_position, first_recorded_at, last_recorded_at FROM months"
            " WHERE first_position IS NOT NULL ORDER BY starts_at",
        )
    assert kept[:MONTHS] == [
        (n * EACH + 1, (n + 1) * EACH, _month(n), _month(n) + timedelta(hours=EACH - 1)) for n in range(MONTHS)
    ]
    assert kept[MONTHS:] == [(MONTHS * EACH + 1, None, appended(outcome).recorded_at, None)]


async def test_reading_a_stream_touches_its_own_months_only(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    def whole(stream_id: str, at: datetime | None, position: int | None) -> tuple[object, ...]:
        return (stream_id, 0, None, None, at, position, False, 100)

    assert await _touched(database_url, tenant, "read_stream", whole("agent-7", None, None)) == ["events_2010_08"]
    assert len(await _touched(database_url, tenant, "read_stream", whole("pool-all", None, None))) == MONTHS
    by_time = await _touched(database_url, tenant, "read_stream", whole("pool-all", _month(2), None))
    assert by_time == ["events_2010_01", "events_2010_02", "events_2010_03"]
    by_position = await _touched(database_url, tenant, "read_stream", whole("pool-all", None, 2 * EACH))
    assert by_position == ["events_2010_01", "events_2010_02"]
    several = await _touched(database_url, tenant, "read_streams", (["agent-3", "agent-20"], [-1, -1], None))
    assert several == ["events_2010_04", "events_2011_09"]


async def test_folds_and_cuts_touch_their_own_months_only(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    def fold(stream_id: str, at: datetime | None, position: int | None, after: int = 0) -> tuple[object, ...]:
        return (stream_id, after, None, None, None, None, None if after == 0 else _month(after), at, position, 100)

    async def touched(function: str, *arguments: object) -> list[str]:
        return await _touched(database_url, tenant, function, arguments)

    assert await touched("read_fold", *fold("agent-7", None, None)) == ["events_2010_08"]
    by_time = await touched("read_fold", *fold("pool-all", _month(2), None))
    assert by_time == ["events_2010_01", "events_2010_02", "events_2010_03"]
    by_position = await touched("read_fold", *fold("pool-all", None, 2 * EACH))
    assert by_position == ["events_2010_01", "events_2010_02"]
    from_a_snapshot = await touched("read_fold", *fold("pool-all", _month(MONTHS - 3), None, after=MONTHS - 4))
    assert from_a_snapshot == ["events_2014_09", "events_2014_10"]
    assert await touched("whole_command", 10 * EACH) == []  # where a month ended is known
    assert await touched("whole_command", 10 * EACH - 1) == ["events_2010_10"]
    assert await touched("moved_between", EACH, 2 * EACH, "", 100) == ["events_2010_02"]
    due = {"after": EACH, "until": 2 * EACH, "spacing": 500}
    stamps = {"categories": ["pool"], "schemas": ["x"], "fold_versions": [1]}
    assert await _touched(database_url, tenant, "snapshots/due", due | stamps) == ["events_2010_02"]


async def test_reading_the_log_touches_the_months_of_those_positions_only(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async def months(after: int, limit: int, categories: list[str] | None = None) -> list[str]:
        return await _touched(database_url, tenant, "read_log", (after, limit, categories, None, None, None))

    head = "events_2014_12"  # looked up each time
    assert await months(0, 5) == ["events_2010_01", head]
    assert await months(10 * EACH, 2 * EACH) == ["events_2010_11", "events_2010_12", head]
    assert await months(MONTHS * EACH - 3, 5) == [head]
    assert await months(MONTHS * EACH - EACH - 3, 10, ["pool"]) == ["events_2014_11", head]
    assert await _touched(database_url, tenant, "position_at", (_month(5),)) == ["events_2010_06"]
    assert await _touched(database_url, tenant, "log_head", ()) == ["events_2014_12"]


async def test_appending_touches_the_newest_month_and_for_a_stream_that_was_idle_the_one_it_was_in(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await old_log.append([command({"task-1": 0})])
    from infrastructure.event_store.group import Group

    now = f"events_{datetime.now(UTC):%Y_%m}"
    for expected, touched in (
        ({"task-1": 1}, [now]),
        ({"task-1": 2, "agent-3": EACH - 1}, ["events_2010_04", now]),  # its version is asked where it was last
        ({"task-1": 3, "agent-3": EACH}, [now]),
    ):
        group = Group()
        group.add(command(expected))
        assert await _touched(database_url, tenant, "append", group.arguments(None)) == touched


async def test_a_stream_that_was_idle_for_months_is_not_taken_for_one_that_is_not_there(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await set_clock(database_url, tenant, "now() - interval '2 months'")
    await log.append([command({"task-1": 0}, {"task-1": 2})])
    await set_clock(database_url, tenant, "now()")
    await log.append([command({"task-2": 0})])
    for expected in (0, 1, 3):
        assert await log.append([command({"task-1": expected})]) == [Conflicted("task-1", expected, 2)]
        assert await log.append([command({"task-1": expected}, {"task-1": 0})]) == [Conflicted("task-1", expected, 2)]
    appended((await log.append([command({"task-1": 2})]))[0])


async def test_every_position_and_time_is_found_across_months(old_log: PostgresEventLog) -> None:
    read = await old_log.read_log(after_position=0, limit=10_000)
    assert [e.position for e in read] == list(range(1, MONTHS * EACH + 1))
    for e in read[:: EACH // 2 + 1]:
        assert await old_log.position_at(e.recorded_at) == e.position
        assert await old_log.position_at(e.recorded_at - timedelta(microseconds=1)) == e.position - 1
        assert await old_log.position_at(e.recorded_at + timedelta(days=0.01)) == e.position
    assert [e.version async for e in old_log.read_stream("pool-all")] == list(range(1, MONTHS + 1))


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
        await old_log.position_at(_month(0) + timedelta(hours=1))
    reads = [
        old_log.read_stream("pool-all"),
        old_log.read_stream("agent-0"),
        old_log.read_stream("pool-all", backwards=True),
        old_log.read_stream("pool-all", cut=Cut(at=_month(0) + timedelta(days=2))),
        old_log.read_stream("pool-all", cut=Cut(position=EACH)),
        old_log.read_stream("pool-all", cut=Cut(version=1)),
    ]
    for read in reads:
        with pytest.raises(LogUnavailable, match="are archived"):
            [e async for e in read]
    with pytest.raises(LogUnavailable, match="are archived"):
        await old_log.read_streams(["pool-all"])
    assert [e async for e in old_log.read_stream("pool-all", cut=Cut(at=_month(0)))] == []
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


async def test_of_each_stream_its_newest_month_is_noted_and_its_version_when_that_began(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async def noted() -> list[tuple[object, ...]]:
        async with connected(database_url, tenant) as connection:
            return await rows(
                connection, "SELECT stream_id, to_char(month, 'YYYY-MM'), version FROM streams ORDER BY stream_id"
            )

    await set_clock(database_url, tenant, "timestamptz '2031-10-05 12:00:00+00'")
    await log.append([command({"task-1": 0}, {"task-1": 2}), command({"task-1": 2, "agent-9": 0}, {"task-1": 1})])
    assert await noted() == [("task-1", "2031-10", 0)], "what is only read is not noted"
    await log.append([command({"task-2": 0, "task-1": 3, "agent-9": 0}, {"task-2": 1})])
    await log.append([command({"task-1": 3}), command({"task-1": 4})])
    assert await noted() == [("task-1", "2031-10", 0), ("task-2", "2031-10", 0)]

    await set_clock(database_url, tenant, "timestamptz '2031-12-31 23:59:59.999997+00'")
    await log.append([command({"task-1": 5}), command({"task-1": 6})])
    assert await noted() == [("task-1", "2031-12", 5), ("task-2", "2031-10", 0)]
    await log.append([command({"task-1": 7}), command({"task-2": 1})])
    assert await noted() == [("task-1", "2031-12", 5), ("task-2", "2032-01", 1)]
    await log.append([command({"task-1": 8}), command({"task-1": 9})])
    assert await noted() == [("task-1", "2032-01", 8), ("task-2", "2032-01", 1)]


async def test_a_command_without_events_begins_no_month(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    begun: LiteralString = (
        "SELECT partition, first_position, last_position FROM months"
        " WHERE first_position IS NOT NULL ORDER BY starts_at"
    )
    async with connected(database_url, tenant) as connection:
        for month, before in ((10, []), (12, [("events_2031_10", 1, None)])):
            await set_clock(database_url, tenant, f"timestamptz '2031-{month}-05 12:00:00+00'")
            assert isinstance((await log.append([command({})]))[0], Appended)
            assert await rows(connection, begun) == before
            await log.append([command({f"task-{month}": 0})])
        assert await rows(connection, begun) == [("events_2031_10", 1, 1), ("events_2031_12", 2, None)]
        await set_clock(database_url, tenant, "timestamptz '2031-12-31 23:59:59.999999+00'")
        await log.append([command({"task-12": 1}), command({})])
        assert await rows(connection, begun) == [("events_2031_10", 1, 1), ("events_2031_12", 2, None)]
        assert (await log.head()).position == 3
        assert appended((await log.append([command({"task-12": 2})]))[0]).first_position == 4


async def test_the_versions_of_the_open_month_are_known_at_once(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """Those of other months are looked for one by one."""
    await set_clock(database_url, tenant, "timestamptz '2031-10-05 12:00:00+00'")
    await log.append([command({"agent-1": 0}, {"agent-1": 3})])
    await set_clock(database_url, tenant, "timestamptz '2031-12-05 12:00:00+00'")
    await log.append([command({"task-1": 0}, {"task-1": 2})])
    async with connected(database_url, tenant, Role.PROJECTOR) as connection:
        open_ones = await value(connection, "SELECT open_versions(ARRAY['task-1', 'agent-1', 'task-9'])")
        assert open_ones == [2, None, None]
        known = await value(connection, "SELECT older_versions(ARRAY['task-1', 'agent-1', 'task-9'], %s)", open_ones)
        assert known == [2, 3, None]


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
    await log.ensure_months(_month(0), _month(0))
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
