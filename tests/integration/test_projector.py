"""The projector on PostgreSQL and Redis: exactly once, whatever is killed, however many there are."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from domain.all_events import AGGREGATES, CATALOGUE
from domain.log import CommandAppend, NewEvent
from infrastructure.checking import PostgresKept
from infrastructure.event_store import PostgresEventLog
from infrastructure.pools import Pool
from projections.batch import Batch
from projections.cache_ports import NoHotCopies
from projections.documents import RENDERINGS
from projections.errors import CheckpointMoved, ReadModelsUnavailable
from projections.ports import Counts
from projections.projector import Projector
from tests.support.postgres import connected
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import finished_task, full_stories, full_task, pending_task


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


async def stored(side: ReadSide) -> dict[str, str]:
    """Every document in the database by its stream."""
    return {
        f"{kind}-{id}": document
        for kind in RENDERINGS
        for id, document in await side.rows(f"SELECT id, document::text FROM {kind}s")
    }


def folded(side: ReadSide) -> dict[str, str]:
    """Every document as a fold of its stream alone gives it."""
    documents = {}
    for stream_id in {event.stream_id for event in side.log.events}:
        kind = stream_id.partition("-")[0]
        records = [event for event in side.log.events if event.stream_id == stream_id]
        state = AGGREGATES[kind].fold(CATALOGUE.decode(r.type, r.schema_version, r.data) for r in records)
        last = records[-1]
        body = RENDERINGS[kind].render(state, last.version, last.position, last.recorded_at)
        documents[stream_id] = body.decode()
    return documents


async def require_equal(side: ReadSide, attempts: int) -> None:
    """The documents are the fold, byte for byte; attempts and counts are exact; the checkpoint is the end."""
    assert await stored(side) == folded(side)
    assert await side.rows("SELECT count(*) FROM attempts") == [(attempts,)]
    assert (await side.store.checkpoint()).position == len(side.log.events)
    for kind in RENDERINGS:
        counted = await side.rows("SELECT state, count FROM counts WHERE kind = %s AND count <> 0", kind)
        assert dict(counted) == dict(await side.rows(f"SELECT state, count(*) FROM {kind}s GROUP BY state"))
    kept = PostgresKept(side.pool)
    assert (await kept.miscounted(), await kept.misheld(), await kept.misrated()) == ([], [], [])


def tell_much(side: ReadSide, tasks: int) -> None:
    side.log.tell_all(*full_stories())
    for number in range(tasks):
        side.log.tell(*finished_task(f"t{number}", begin=number, end=number + 5))


async def test_the_documents_of_postgresql_are_the_fold_byte_for_byte(side: ReadSide) -> None:
    tell_much(side, 20)
    await side.project(batch_size=7, states_kept=3)
    await require_equal(side, attempts=21)


async def test_it_projects_what_the_real_log_recorded(side: ReadSide, log: PostgresEventLog) -> None:
    told = [*full_stories(), *finished_task("t9")]
    events = [
        NewEvent(record.event_id, stream, event.type, 1, CATALOGUE.encode(event), b"{}")
        for record, (stream, event) in zip(side.log.tell(*told), told, strict=True)
    ]
    expected = dict.fromkeys((stream for stream, _ in told), 0)
    await log.append([CommandAppend(uuid4(), expected, tuple(events), b"")])
    projector = Projector(log, side.store, side.hot, batch_size=5)
    await projector.catch_up(len(told), timeout=30)
    await projector.release()
    assert (await stored(side)).keys() == folded(side).keys()
    assert (await side.store.checkpoint()).position == len(told)


async def kill_projectors(database_url: str, tenant: str, waiting_for: str) -> int:
    """Terminate the tenant's projectors' connections that wait for a lock of this kind."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND wait_event_type = 'Lock' AND wait_event = %s",
            (f"dora-state projector {tenant}", waiting_for),
        )
        return len(await cursor.fetchall())


async def test_a_connection_killed_in_the_middle_of_a_batch_leaves_nothing_half_written(
    side: ReadSide, database_url: str, tenant: str
) -> None:
    tell_much(side, 10)
    projector = side.projector()
    async with connected(database_url, tenant) as other, other.transaction():
        await other.execute("LOCK TABLE counts IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(projector.run_once())
        async with asyncio.timeout(20):
            while not await kill_projectors(database_url, tenant, "relation"):  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.02)
        with pytest.raises(ReadModelsUnavailable):
            await running
    assert await stored(side) == {}
    assert await side.rows("SELECT count(*) FROM attempts") == [(0,)]
    assert (await side.store.checkpoint()).position == 0
    await projector.catch_up(len(side.log.events), timeout=30)
    await projector.release()
    await require_equal(side, attempts=11)


class CrashingCopies(NoHotCopies):
    """The process dies after the commit, before the copies are made."""

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        raise asyncio.CancelledError


async def test_a_crash_between_the_commit_and_the_copies_applies_nothing_twice_and_leaves_no_old_copy(
    side: ReadSide,
) -> None:
    side.log.tell_all(*full_task("t"))
    await side.project()
    copy = await side.hot.get("task", "t")
    assert copy.body is not None
    side.log.tell(*finished_task("t")[-1:])
    crashing = side.projector(CrashingCopies())
    with pytest.raises(asyncio.CancelledError):
        await crashing.run_once()
    side.log.tell(*pending_task("u", 1))
    await side.project()
    await require_equal(side, attempts=2)
    assert (await side.queries().task("t"))["state"] == "completed"
    assert (await side.queries().task("t"))["state"] == "completed", "and from the fresh copy"


async def test_of_two_projectors_one_writes_and_the_other_takes_over(side: ReadSide) -> None:
    projectors = [side.projector(batch_size=9), side.projector(batch_size=11)]
    stops = [asyncio.Event(), asyncio.Event()]
    runs = [asyncio.create_task(p.run(stop)) for p, stop in zip(projectors, stops, strict=True)]
    tell_much(side, 30)
    reader = side.projector()
    await _until_reached(side, len(side.log.events))
    assert await reader.run_once() == 0, "the lock is taken"
    leader = 0 if projectors[0]._writer else 1
    assert projectors[1 - leader]._writer is None
    stops[leader].set()
    await runs[leader]
    for number in range(100, 130):
        side.log.tell(*finished_task(f"t{number}", begin=number, end=number + 5))
    await _until_reached(side, len(side.log.events))
    stops[1 - leader].set()
    await runs[1 - leader]
    await require_equal(side, attempts=61)


async def _until_reached(side: ReadSide, position: int) -> None:
    async with asyncio.timeout(20):
        while (await side.store.checkpoint()).position < position:  # noqa: ASYNC110  another process may write
            await asyncio.sleep(0.02)


async def test_a_batch_is_dropped_when_the_checkpoint_is_not_its_start(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    projector = side.projector(batch_size=10)
    await projector.run_once()
    checkpoint = (await side.store.checkpoint()).position
    await side.rows("UPDATE checkpoints SET position = position + 5 RETURNING position")
    before = await stored(side)
    with pytest.raises(CheckpointMoved):
        await projector.run_once()
    assert await stored(side) == before
    await side.rows("UPDATE checkpoints SET position = %s RETURNING position", checkpoint)
    await projector.catch_up(len(side.log.events), timeout=30)
    await projector.release()
    await require_equal(side, attempts=1)


async def test_dead_letters_are_kept_with_their_error_and_stop_no_other_document(side: ReadSide) -> None:
    side.log.put("task-bad", "TaskScheduled", b'{"at":"2024-01-17T10:00:00Z"}')
    side.log.tell_all(*full_task("t"), *pending_task("bad", 1))
    await side.project()
    letters = await side.rows("SELECT position, stream_id, version, type, error FROM dead_letters ORDER BY 1")
    assert [letter[:4] for letter in letters] == [
        (1, "task-bad", 1, "TaskScheduled"),
        (len(side.log.events), "task-bad", 2, "TaskCreated"),
    ]
    assert "CorruptLog" in letters[0][4]
    assert list(await stored(side)) == ["task-t"]


async def test_another_writer_than_the_projector_may_not_write_documents(side: ReadSide, pool: Pool) -> None:
    async with pool.connection() as writer:
        await writer.execute("SELECT count(*) FROM tasks")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await writer.execute("UPDATE checkpoints SET position = 7")


async def test_without_redis_everything_is_projected_and_answered(side: ReadSide) -> None:
    from redis.asyncio import Redis

    from infrastructure.hot_copies import RedisHotCopies

    nowhere = Redis.from_url("unix:///nowhere/at/all.sock")
    hot = RedisHotCopies(nowhere, side.tenant)
    side.log.tell_all(*full_stories())
    await side.project(hot)
    document = await side.queries(hot).workflow("wf-1")
    assert document["state"] == "failed"
    await nowhere.aclose()


async def test_an_outage_of_redis_is_told_once(side: ReadSide, caplog: pytest.LogCaptureFixture) -> None:
    from redis.asyncio import Redis

    from infrastructure import hot_copies

    nowhere = Redis.from_url("unix:///nowhere/at/all.sock")
    hot = hot_copies.RedisHotCopies(nowhere, side.tenant)
    hot._guarded._quiet_until = 0
    for _ in range(3):
        hot._guarded._quiet_until = 0
        assert (await hot.get("task", "t")).body is None
    assert [record.message for record in caplog.records if "Redis fails" in record.message] != []
    assert sum("Redis fails" in record.message for record in caplog.records) == 1
    await nowhere.aclose()
