"""The mode importing: an older log, with its own times, into an empty tenant."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from domain.errors import AppendRejected, LogImporting
from domain.log import Cut
from domain.snapshots import Stamp
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from infrastructure.pools import Pool
from tests.support.log import appended, command
from tests.support.postgres import connected, set_clock

THEN = datetime(2011, 10, 1, 8, tzinfo=UTC)


async def test_an_import_says_its_times_in_order_and_possibly_equal(log: PostgresEventLog) -> None:
    importing = await log.begin_import(import_id := uuid4())
    assert await log.importing() == import_id
    times = [THEN, THEN, THEN + timedelta(days=40), THEN + timedelta(days=40), THEN + timedelta(days=70)]

    first = await importing.append([command({"task-1": n}, at=at) for n, at in enumerate(times[:3])])
    second = await importing.append([command({"task-1": n}, at=times[n]) for n in (3, 4)])

    assert [appended(one).recorded_at for one in (*first, *second)] == times
    read = await log.read_log(after_position=0, limit=10)
    assert [(e.position, e.recorded_at) for e in read] == list(enumerate(times, 1))
    assert await log.position_at(THEN) == 2
    assert [e.version async for e in log.read_stream("task-1", cut=Cut(at=THEN))] == [1, 2]
    assert [e.version async for e in log.read_stream("task-1", cut=Cut(at=times[2]))] == [1, 2, 3, 4]


async def test_the_log_of_an_import_is_the_one_that_it_began_with_in_all_else(log: PostgresEventLog) -> None:
    assert log._appender is not None
    stamps = {"task": Stamp("shape", 7)}
    began_with = PostgresEventLog(log._connections, log._appender, stamps=stamps)
    importing = await began_with.begin_import(import_id := uuid4())
    assert vars(importing) == vars(began_with) | {"_import_id": import_id, "_stamps": stamps}


async def test_after_the_import_the_tenant_is_live_and_the_clock_tells_the_time(log: PostgresEventLog) -> None:
    importing = await log.begin_import(import_id := uuid4())
    await importing.append([command({"task-1": 0}, at=THEN)])
    await log.end_import(import_id)

    assert await log.importing() is None
    (outcome,) = await log.append([command({"task-1": 1})])
    assert appended(outcome).first_position == 2
    assert abs((appended(outcome).recorded_at - datetime.now(UTC)).total_seconds()) < 30
    with pytest.raises(AppendRejected, match="live"):
        await importing.append([command({"task-1": 2}, at=THEN)])
    with pytest.raises(AppendRejected, match="has not begun or has ended"):
        await log.end_import(import_id)


@pytest.mark.parametrize("events", [0, 1])
async def test_only_the_import_appends_while_it_runs(log: PostgresEventLog, pool: Pool, events: int) -> None:
    importing = await log.begin_import(import_id := uuid4())
    other = PostgresEventLog(pool, import_id=uuid4())
    await importing.append([command({"task-0": 0}, at=datetime.now(UTC))] * events)  # it opens the month of now

    with pytest.raises(LogImporting) as refused:
        await log.append([command({"task-1": 0})])
    assert refused.value.facts["import_id"] == str(import_id)
    with pytest.raises(LogImporting):
        await other.append([command({"task-1": 0}, at=THEN)])
    with pytest.raises(LogImporting):
        await log.begin_import(uuid4())
    assert (await log.head()).position == events


async def test_an_import_goes_on_after_a_crash(log: PostgresEventLog) -> None:
    importing = await log.begin_import(import_id := uuid4())
    one = command({"task-1": 0}, at=THEN)
    (before,) = await importing.append([one])

    again = await log.begin_import(import_id)
    outcomes = await again.append([one, command({"task-1": 1}, at=THEN)])

    assert outcomes[0].recorded_at == appended(before).recorded_at  # type: ignore[union-attr]  # already recorded
    assert appended(outcomes[1]).first_position == 2


@pytest.mark.parametrize(
    "times",
    [
        [THEN, THEN - timedelta(microseconds=1)],
        [datetime.now(UTC) + timedelta(days=1)],
    ],
    ids=["out of order", "in the future"],
)
async def test_an_import_out_of_order_or_in_the_future_is_refused(log: PostgresEventLog, times: list[datetime]) -> None:
    importing = await log.begin_import(uuid4())
    with pytest.raises(AppendRejected, match="in the order of recorded_at"):
        await importing.append([command({"task-1": n}, at=at) for n, at in enumerate(times)])
    assert (await log.head()).position == 0


async def test_what_happens_this_very_moment_is_not_in_the_future(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    importing = await log.begin_import(uuid4())
    await set_clock(database_url, tenant, "timestamptz '2011-10-01 08:00:00+00'")
    with pytest.raises(AppendRejected, match="in the order of recorded_at"):
        await importing.append([command({"task-1": 0}, at=THEN + timedelta.resolution)])
    assert appended((await importing.append([command({"task-1": 0}, at=THEN)]))[0]).recorded_at == THEN


@pytest.mark.parametrize("times", [[], [THEN, THEN], [None]])
async def test_an_import_says_a_time_for_each_command_and_no_more(
    log: PostgresEventLog, database_url: str, tenant: str, times: list[datetime | None]
) -> None:
    """Whoever it is that imports: our own adapter refuses such a group itself."""
    await log.begin_import(import_id := uuid4())
    async with connected(database_url, tenant, Role.WRITER) as connection:
        with pytest.raises(psycopg.Error, match="an import says recorded_at for each command"):
            await connection.execute(
                "SELECT append(%s::uuid[], ARRAY[''::bytea], ARRAY[0], %s::timestamptz[], '{}', '{}', '{}', '{}', '{}',"
                " '{}', '{}', '{}', '{}', '{}', '{}', %s)",
                ([uuid4()], times, import_id),
            )


async def test_an_import_never_goes_before_the_last_event(log: PostgresEventLog) -> None:
    importing = await log.begin_import(uuid4())
    await importing.append([command({"task-1": 0}, at=THEN)])
    with pytest.raises(AppendRejected, match="in the order of recorded_at"):
        await importing.append([command({"task-1": 1}, at=THEN - timedelta(seconds=1))])


@pytest.mark.parametrize("writes", [{"task-1": 1}, {}], ids=["an event", "only a refusal"])
async def test_an_import_goes_into_an_empty_tenant_only(log: PostgresEventLog, writes: dict[str, int]) -> None:
    await log.append([command({"task-1": 0}, writes)])
    with pytest.raises(AppendRejected, match="empty tenant"):
        await log.begin_import(uuid4())
    assert await log.importing() is None


async def test_an_import_without_its_times_is_refused(log: PostgresEventLog) -> None:
    importing = await log.begin_import(uuid4())
    with pytest.raises(AppendRejected, match="recorded_at for each command"):
        await importing.append([command({"task-1": 0})])


async def test_a_group_of_an_import_may_span_months_that_nobody_made(log: PostgresEventLog) -> None:
    importing = await log.begin_import(uuid4())
    outcomes = await importing.append([command({"task-1": n}, at=THEN + timedelta(days=20 * n)) for n in range(10)])

    assert [appended(one).first_position for one in outcomes] == list(range(1, 11))
    assert [e.position for e in await log.read_log(after_position=6, limit=10)] == [7, 8, 9, 10]
    assert await log.position_at(THEN + timedelta(days=100)) == 6
