"""Months: made ahead, pruned; positions go on; what is noted of them and of streams."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest

from domain.errors import AppendRejected
from domain.log import Appended, Conflicted
from infrastructure import sql
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from tests.support.log import appended, command
from tests.support.old_log import EACH, MONTHS, fill, month_of
from tests.support.postgres import connected, rows, set_clock, tell_plans, value


@pytest.fixture
async def old_log(log: PostgresEventLog) -> PostgresEventLog:
    return await fill(log)


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
    assert await log.ensure_months(month_of(21), datetime(2012, 3, 31, tzinfo=UTC)) == []
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
        (n * EACH + 1, (n + 1) * EACH, month_of(n), month_of(n) + timedelta(hours=EACH - 1)) for n in range(MONTHS)
    ]
    assert kept[MONTHS:] == [(MONTHS * EACH + 1, None, appended(outcome).recorded_at, None)]


async def test_reading_a_stream_touches_its_own_months_only(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    def whole(stream_id: str, at: datetime | None, position: int | None) -> tuple[object, ...]:
        return (stream_id, 0, None, None, at, position, False, 100)

    assert await _touched(database_url, tenant, "read_stream", whole("agent-7", None, None)) == ["events_2010_08"]
    assert len(await _touched(database_url, tenant, "read_stream", whole("pool-all", None, None))) == MONTHS
    by_time = await _touched(database_url, tenant, "read_stream", whole("pool-all", month_of(2), None))
    assert by_time == ["events_2010_01", "events_2010_02", "events_2010_03"]
    by_position = await _touched(database_url, tenant, "read_stream", whole("pool-all", None, 2 * EACH))
    assert by_position == ["events_2010_01", "events_2010_02"]
    several = await _touched(database_url, tenant, "read_streams", (["agent-3", "agent-20"], [-1, -1], None))
    assert several == ["events_2010_04", "events_2011_09"]


async def test_folds_and_cuts_touch_their_own_months_only(
    old_log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    def fold(stream_id: str, at: datetime | None, position: int | None, after: int = 0) -> tuple[object, ...]:
        return (stream_id, after, None, None, None, None, None if after == 0 else month_of(after), at, position, 100)

    async def touched(function: str, *arguments: object) -> list[str]:
        return await _touched(database_url, tenant, function, arguments)

    assert await touched("read_fold", *fold("agent-7", None, None)) == ["events_2010_08"]
    by_time = await touched("read_fold", *fold("pool-all", month_of(2), None))
    assert by_time == ["events_2010_01", "events_2010_02", "events_2010_03"]
    by_position = await touched("read_fold", *fold("pool-all", None, 2 * EACH))
    assert by_position == ["events_2010_01", "events_2010_02"]
    from_a_snapshot = await touched("read_fold", *fold("pool-all", month_of(MONTHS - 3), None, after=MONTHS - 4))
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
    assert await _touched(database_url, tenant, "position_at", (month_of(5),)) == ["events_2010_06"]
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
