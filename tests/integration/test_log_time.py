"""recorded_at rises from command to command, whatever the clock does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import ClockAhead
from domain.log import CommandAppend
from dora_state.health.database import judge_clock
from dora_state.health.judging import Check
from dora_state.health.tenant import judge_months
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from infrastructure.vitals import database_vitals
from tests.support.log import appended, command
from tests.support.postgres import connected, rows, set_clock, value

MICROSECOND = timedelta(microseconds=1)


async def test_time_rises_by_a_microsecond_when_the_clock_was_set_back(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    (before,) = await log.append([command({"task-1": 0})])
    await set_clock(database_url, tenant, "clock_timestamp() - interval '30 seconds'")

    outcomes = await log.append([command({"task-1": 1}, {"task-1": 3}), command({"task-1": 4})])
    (after,) = await log.append([command({"task-1": 5})])

    times = [appended(one).recorded_at for one in (before, *outcomes, after)]
    assert times == [times[0] + n * MICROSECOND for n in range(4)]


async def test_time_rises_when_the_clock_stands_still(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:07+00'")

    times = [appended((await log.append([command({"task-1": n})]))[0]).recorded_at for n in range(3)]

    start = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert times == [start, start + MICROSECOND, start + 2 * MICROSECOND]


async def test_a_clock_far_behind_the_log_is_refused_with_both_times(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    await set_clock(database_url, tenant, "clock_timestamp() - interval '2 minutes'")
    late = command({"task-1": 1})

    with pytest.raises(ClockAhead, match="mend the clock") as refused:
        await log.append([late])

    assert refused.value.facts["bound_seconds"] == 60
    assert (await log.head()).position == 1
    await set_clock(database_url, tenant, "clock_timestamp()")
    assert appended((await log.append([late]))[0]).first_position == 2


@pytest.mark.parametrize("beside", [[], [command({"task-9": 5})]], ids=["alone", "beside a conflict"])
async def test_a_clock_behind_the_log_by_the_bound_itself_is_just_right(
    log: PostgresEventLog, database_url: str, tenant: str, beside: list[CommandAppend]
) -> None:
    last = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:07+00'")
    await log.append([command({"task-1": 0})])
    group = [command({"task-1": 1}), *beside]
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:06.999999+00' - interval '60 seconds'")
    with pytest.raises(ClockAhead):
        await log.append(group)
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:07+00' - interval '60 seconds'")
    assert appended((await log.append(group))[0]).recorded_at == last + MICROSECOND


async def test_the_bound_is_a_setting(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await log.append([command({"task-1": 0})])
    await set_clock(database_url, tenant, "clock_timestamp() - interval '2 minutes'")
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("UPDATE mode SET clock_bound = interval '5 minutes'")

    assert appended((await log.append([command({"task-1": 1})]))[0]).first_position == 2


async def test_health_goes_by_the_clock_that_appends_go_by(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async def judged() -> tuple[Check, Check]:
        found = await database_vitals(database_url, tenant)
        assert found.tenant is not None
        return judge_clock(found, found.tenant), judge_months(found.tenant, found.server.clock, tenant)

    assert [check.status for check in await judged()] == ["healthy"] * 2
    await set_clock(database_url, tenant, "clock_timestamp() + interval '200 days'")
    drill, months = await judged()
    assert drill.message.startswith("The tenant's clock is set 17280000.0 s ahead of the database's, as for a drill:")
    assert months.status == "healthy", "what would be made is made"
    await log.append([command({"task-1": 0})])
    drill, months = await judged()
    assert (drill.status, drill.figures["last_recorded_ahead_seconds"]) == ("warning", 0.0), "it can be appended"
    assert drill.figures["set_seconds"] == pytest.approx(200 * 86_400, abs=2)
    assert months.status != "healthy"
    await log.maintain()
    assert (await judged())[1].status == "healthy"
    await set_clock(database_url, tenant, "clock_timestamp() - interval '1 hour'")
    drill, _ = await judged()
    assert (drill.status, drill.message[-40:]) == ("unhealthy", "clock: nothing can be appended, mend it.")


async def test_health_does_without_the_clock_of_an_earlier_schema(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("REVOKE EXECUTE ON FUNCTION log_clock FROM dora_state_projector")
    found = await database_vitals(database_url, tenant)
    assert found.tenant is not None
    assert (found.tenant.position, found.tenant.clock_set_seconds) == (1, 0.0)
    assert judge_clock(found, found.tenant).status == "healthy"


async def test_only_the_role_that_migrates_can_set_the_clock(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        assert await value(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')") is False
        assert (
            await value(
                connection,
                "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'log_clock'"
                " AND pronamespace = current_schema()::regnamespace",
            )
            == Role.MIGRATOR
        )


async def test_a_group_at_midnight_of_the_first_of_a_month_goes_into_both_months(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """Nobody made these months ahead: the append makes them."""
    await set_clock(database_url, tenant, "timestamptz '2031-12-31 23:59:59.999998+00'")

    outcomes = await log.append([command({"task-1": n}) for n in range(4)])

    first = datetime(2031, 12, 31, 23, 59, 59, 999998, tzinfo=UTC)
    assert [appended(one).recorded_at for one in outcomes] == [first + n * MICROSECOND for n in range(4)]
    async with connected(database_url, tenant, Role.PROJECTOR) as connection:
        assert await rows(connection, "SELECT tableoid::regclass::text, position FROM events ORDER BY position") == [
            ("events_2031_12", 1),
            ("events_2031_12", 2),
            ("events_2032_01", 3),
            ("events_2032_01", 4),
        ]
        assert await rows(
            connection,
            "SELECT partition, first_position, last_position FROM months WHERE first_position > 0 ORDER BY starts_at",
        ) == [("events_2031_12", 1, 2), ("events_2032_01", 3, None)]
    assert [e.version async for e in log.read_stream("task-1")] == [1, 2, 3, 4]
    assert (await log.head()).position == 4
    assert [await log.position_at(first + n * MICROSECOND) for n in (-1, 0, 1, 2, 3, 4)] == [0, 1, 2, 3, 4, 4]


@pytest.mark.parametrize("made_ahead", [False, True])
async def test_an_append_at_the_first_moment_of_a_month_closes_the_month_before(
    log: PostgresEventLog, database_url: str, tenant: str, made_ahead: bool
) -> None:
    await set_clock(database_url, tenant, "timestamptz '2031-12-31 23:59:59.999999+00'")
    await log.append([command({"task-1": 0}, {"task-1": 5})])
    if made_ahead:
        moment = datetime(2032, 1, 20, tzinfo=UTC)
        assert await log.ensure_months(moment, moment) == ["events_2032_01"]
    await set_clock(database_url, tenant, "timestamptz '2032-01-01 00:00:00+00'")
    await log.append([command({"task-1": 5}, {"task-1": 2})])

    async with connected(database_url, tenant, Role.PROJECTOR) as connection:
        assert await rows(
            connection,
            "SELECT partition, first_position, last_position, last_recorded_at FROM months"
            " WHERE first_position > 0 ORDER BY starts_at",
        ) == [
            ("events_2031_12", 1, 5, datetime(2031, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
            ("events_2032_01", 6, None, None),
        ]
    assert [e.position for e in await log.read_log(after_position=3, limit=10)] == [4, 5, 6, 7]


async def test_a_month_is_made_in_an_append_while_others_read(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, Role.PROJECTOR) as reader, reader.transaction():
        await rows(reader, "SELECT * FROM events")
        await set_clock(database_url, tenant, "timestamptz '2031-12-31 12:00:00+00'")
        (outcome,) = await asyncio.wait_for(log.append([command({"task-1": 1})]), 20)
        assert appended(outcome).first_position == 2
        assert len(await rows(reader, "SELECT * FROM events")) == 2
