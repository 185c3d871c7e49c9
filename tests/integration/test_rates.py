"""Rates over time: exact sums of what ended in each minute, hour and day, in any time zone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.errors import InvalidInput
from domain.task import TaskCancelled, TaskFailed, TaskTimedOut
from domain.workflow import WorkflowCompleted, WorkflowCreated, WorkflowStarted
from infrastructure.checking import PostgresKept
from projections.rates import MAX_STRETCHES, Rate, RateHistory
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task
from tests.support.told_log import START


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


def history(side: ReadSide, zone: str = "UTC") -> RateHistory:
    return RateHistory(side.store, side.clock, ZoneInfo(zone))


def tell_much(side: ReadSide) -> None:
    """Within the first minute one of each outcome, then two completed, an hour later."""
    for name, end in (
        ("failed", TaskFailed(at=at(59), error="e")),
        ("timed_out", TaskTimedOut(at=at(59.5), reason="r")),
        ("cancelled", TaskCancelled(at=at(59.999999), reason="r")),
    ):
        side.log.tell_all(*finished_task(name, begin=10)[:-1], (f"task-{name}", end))
    side.log.tell_all(*finished_task("one", begin=10, end=60), *finished_task("two", begin=3600, end=3601.5))
    side.log.tell_all(*finished_task("three", begin=3600, end=3700))
    created = WorkflowCreated(at=at(0), workflow_id="w", definition_id="d", definition_version="1")
    side.log.tell_all(
        *(("workflow-w", event) for event in (created, WorkflowStarted(at=at(1)), WorkflowCompleted(at=at(3702))))
    )


@pytest.mark.parametrize("batch_size", [1, 1000])
async def test_each_stretch_tells_of_what_ended_in_it(side: ReadSide, batch_size: int) -> None:
    tell_much(side)
    await side.project(batch_size=batch_size)
    assert await PostgresKept(side.pool).misrated() == []
    side.now = at(3800)
    minutes = await history(side).rates("minute", START, at(180))
    minute = timedelta(minutes=1)
    assert minutes == [
        Rate(START, START + minute, 0, 1, 1, 1, 0, 1.0, 10.0, None),
        Rate(START + minute, START + 2 * minute, 1, 0, 0, 0, 0, 0.0, 10.0, 50.0),
        Rate(START + 2 * minute, START + 3 * minute),
    ]
    hours = await history(side).rates("hour", START)
    assert [(hour.begin.hour, hour.tasks_completed, hour.error_rate) for hour in hours] == [
        (10, 1, 0.6667),
        (11, 2, 0.0),
    ]
    assert (hours[1].average_execution_time, hours[1].workflows_completed) == (50.75, 1)
    (day,) = await history(side).rates("day", START, START + minute)
    assert (day.begin, day.tasks_completed, day.error_rate, day.average_response_time) == (
        datetime(2024, 1, 17, tzinfo=UTC),
        3,
        0.4,
        10.0,
    )


async def test_the_rates_of_an_agent_are_those_of_what_it_was_at(side: ReadSide) -> None:
    tell_much(side)
    side.log.tell_all(*finished_task("other", agent_id="agent-2", begin=10, end=40))
    await side.project()
    told = [await history(side).rates("hour", START, at(7200), agent_id=id) for id in ("agent-1", "agent-2", "nobody")]
    whole = await history(side).rates("hour", START, at(7200))
    assert [hour.tasks_completed for hour in whole] == [2, 2]
    assert [[hour.tasks_completed for hour in hours] for hours in told] == [[1, 2], [1, 0], [0, 0]]
    assert (told[0][0].error_rate, told[1][0].average_execution_time) == (0.6667, 30.0)
    assert [hour.workflows_completed for hour in whole + told[0]] == [0, 1, 0, 0]


async def test_days_and_hours_begin_where_the_zone_says(side: ReadSide) -> None:
    tell_much(side)
    await side.project()
    # 10:00 UTC is 15:45 in Nepal: the hour from 15:00 ends at 10:15 UTC.
    nepal = await history(side, "Asia/Kathmandu").rates("hour", START, at(7200))
    assert [(one.begin.hour, one.begin.minute, one.tasks_completed) for one in nepal] == [
        (9, 15, 1),
        (10, 15, 2),
        (11, 15, 0),
    ]
    # In Auckland it was 23:00, so the second hour is of another day.
    auckland = await history(side, "Pacific/Auckland").rates("day", START, at(7200))
    assert [(one.begin.day, one.begin.hour, one.tasks_completed) for one in auckland] == [(16, 11, 1), (17, 11, 2)]


async def test_a_day_on_which_clocks_are_put_forward_is_shorter(side: ReadSide) -> None:
    days = await history(side, "Europe/Amsterdam").rates(
        "day", datetime(2024, 3, 30, 12, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    )
    assert [(day.end - day.begin) / timedelta(hours=1) for day in days] == [24, 23, 24]
    hours = await history(side, "Europe/Amsterdam").rates("hour", days[1].begin, days[1].end)
    assert len(hours) == 23


async def test_without_moments_the_last_ones_are_told(side: ReadSide) -> None:
    side.now = at(30)
    assert [len(await history(side).rates(per)) for per in ("minute", "hour", "day")] == [61, 25, 31]


async def test_what_would_be_too_much_or_nothing_is_refused(side: ReadSide) -> None:
    side.now = START
    with pytest.raises(
        InvalidInput, match=f"more than {MAX_STRETCHES:,} minutes: ask for less time at once, or per day"
    ):
        await history(side).rates("minute", START - timedelta(minutes=MAX_STRETCHES + 1))
    assert len(await history(side).rates("minute", START - timedelta(minutes=MAX_STRETCHES))) == MAX_STRETCHES
    with pytest.raises(InvalidInput, match="more than 1,500 days: ask for less time at once\\."):
        await history(side).rates("day", datetime(1, 1, 2, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="give a later end"):
        await history(side).rates("hour", START, START)
    with pytest.raises(InvalidInput, match="has no zone; give it one"):
        await history(side).rates("hour", START.replace(tzinfo=None))
    with pytest.raises(InvalidInput, match="not told per week: use one of minute, hour, day"):
        await history(side).rates("week")
    with pytest.raises(InvalidInput, match="of the years 1 to 9999"):
        await history(side).rates("day", datetime(9999, 12, 30, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
