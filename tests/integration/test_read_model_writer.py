"""What the projector writes: a batch as a whole, from where the checkpoint is, and in the place of dead letters."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from domain.pool import Reservation
from infrastructure.checking import PostgresKept
from infrastructure.read_model_writer import PostgresReadModelWriter
from projections.batch import Attempt, Batch, Completion, DeadLetter, RenderedDocument
from projections.errors import CheckpointMoved
from projections.ports import Checkpoint
from projections.projection import STATES
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, full_pool

ATTEMPT = Attempt(
    position=2,
    at=at(60),
    task_id="t",
    workflow_id="w",
    agent_id="a",
    outcome="completed",
    duration=50.0,
    response_time=2.5,
)


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


@pytest.fixture
async def writer(side: ReadSide) -> AsyncIterator[PostgresReadModelWriter]:
    async with side.writing() as writer:
        yield writer


def batch(start: int, end: int) -> Batch:
    return Batch(start, end, at(end), behind=False)


def system(position: int, state: str = "operational") -> RenderedDocument:
    return RenderedDocument("system", "platform", position, state, (), b'{"position":%d}' % position)


def letter(version: int, stream_id: str = "task-t", position: int = 0) -> DeadLetter:
    return DeadLetter(position or version, stream_id, version, "TaskStarted", f"why {version}")


async def test_a_batch_is_written_whole_with_its_checkpoint(side: ReadSide, writer: PostgresReadModelWriter) -> None:
    told = batch(0, 5)
    told.documents.append(system(4))
    told.attempts += [ATTEMPT, replace(ATTEMPT, position=3, outcome="failed", duration=None, response_time=None)]
    told.completions.append(Completion(5, at(61), "w"))
    told.dead_letters.append(letter(1))
    told.reservations["p"] = {"r": Reservation({"cpu": "2"}, at(5), "t", "a", at(50))}
    assert await writer.write(told) == {("system", "operational"): 1}
    found = await side.store.checkpoint()
    assert (found.position, found.recorded_at, found.version) == (5, at(5), STATES.version)
    assert await side.rows("SELECT id, position, state, document::text FROM systems") == [
        ("platform", 4, "operational", '{"position":4}')
    ]
    columns = "position, at, task_id, workflow_id, agent_id, outcome, duration, response_time"
    assert await side.rows(f"SELECT {columns} FROM attempts ORDER BY position") == [
        (2, at(60), "t", "w", "a", "completed", 50.0, 2.5),
        (3, at(60), "t", "w", "a", "failed", None, None),
    ]
    assert await side.rows("SELECT position, at, workflow_id FROM completions") == [(5, at(61), "w")]
    assert await side.rows("SELECT position, stream_id, version, type, error, asked FROM dead_letters") == [
        (1, "task-t", 1, "TaskStarted", "why 1", None)
    ]
    columns = "pool_id, id, task_id, agent_id, resources, created_at, expires_at"
    assert await side.rows(f"SELECT {columns} FROM reservations") == [("p", "r", "t", "a", {"cpu": "2"}, at(5), at(50))]
    assert await writer.parked() == {"task-t"}


async def test_only_what_goes_on_from_the_checkpoint_is_written(
    side: ReadSide, writer: PostgresReadModelWriter
) -> None:
    await writer.write(batch(0, 5))
    for start in (0, 4, 6):
        told = batch(start, 9)
        told.documents.append(system(9))
        with pytest.raises(CheckpointMoved):
            await writer.write(told)
        with pytest.raises(CheckpointMoved):
            await writer.mend("task-t", 1, told, done=True)
    assert (await side.store.checkpoint()).position == 5
    assert await side.rows("SELECT FROM systems") == []


async def test_what_is_mended_takes_the_place_of_its_dead_letters(
    side: ReadSide, writer: PostgresReadModelWriter
) -> None:
    told = batch(0, 9)
    told.dead_letters += [letter(1), letter(2), letter(3), letter(1, "task-u", 7)]
    told.attempts.append(ATTEMPT)  # of an event whose document could not be rendered
    told.completions.append(Completion(3, at(61), "w"))
    await writer.write(told)
    await side.store.ask("retry")
    assert await writer.asked() == {"task-t": "retry", "task-u": "retry"}

    again = batch(9, 9)
    again.documents.append(system(2))
    again.attempts.append(replace(ATTEMPT, agent_id="b", duration=51.0))
    again.completions.append(Completion(3, at(62), "w"))
    again.reservations["p"] = {"r": Reservation({"cpu": "2"}, at(5))}
    assert await writer.mend("task-t", 2, again, done=False) == {("system", "operational"): 1}
    assert await side.rows("SELECT stream_id, version FROM dead_letters ORDER BY position") == [
        ("task-t", 3),
        ("task-u", 1),
    ]
    assert await writer.asked() == {"task-t": "retry", "task-u": "retry"}, "more is to be done"
    assert await side.rows("SELECT position, agent_id, duration FROM attempts") == [(2, "b", 51.0)]
    assert await side.rows("SELECT position, at FROM completions") == [(3, at(62))]
    assert await side.rows("SELECT pool_id, id FROM reservations") == [("p", "r")]
    assert (await side.store.checkpoint()).position == 9
    assert await PostgresKept(side.pool).misrated() == []

    assert await writer.mend("task-t", 2, None, done=True) == {("system", "operational"): 1}
    assert await writer.asked() == {"task-u": "retry"}
    assert await writer.parked() == {"task-t", "task-u"}
    await writer.mend("task-t", 3, None, done=True)
    assert await writer.parked() == {"task-u"}


async def test_counts_are_kept_now_and_then(
    side: ReadSide, writer: PostgresReadModelWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.read_model_writer.COUNTS_SPACING", 10)
    for start, end in pairwise((0, 9, 10, 19, 21, 25, 40)):
        told = batch(start, end)
        told.documents.append(system(end, "degraded" if end > 20 else "operational"))
        await writer.write(told)
    assert await side.rows("SELECT position, recorded_at, counts FROM kept_counts ORDER BY position") == [
        (10, at(10), [["system", "operational", 1]]),
        (21, at(21), [["system", "degraded", 1], ["system", "operational", 0]]),
        (40, at(40), [["system", "degraded", 1], ["system", "operational", 0]]),
    ]


@pytest.mark.parametrize(("version", "left"), [(0, [1, 3, 5, 7, 9]), (1, [1]), (2, [1]), (3, [1])])
async def test_counts_from_what_is_mended_on_are_kept_no_more(
    side: ReadSide, writer: PostgresReadModelWriter, monkeypatch: pytest.MonkeyPatch, version: int, left: list[int]
) -> None:
    monkeypatch.setattr("infrastructure.read_model_writer.COUNTS_SPACING", 1)
    letters = {3: letter(1, position=3), 7: letter(2, position=7), 1: letter(1, "task-u", 1)}
    for start, end in pairwise((0, 1, 3, 5, 7, 9)):
        told = batch(start, end)
        told.dead_letters += [letters[end]] if end in letters else []
        await writer.write(told)
    await writer.mend("task-t", version, None, done=True)
    assert await side.rows("SELECT array_agg(position ORDER BY position) FROM kept_counts") == [(left,)]


async def test_a_pool_has_the_reservations_that_it_has_and_no_others(side: ReadSide) -> None:
    side.log.tell_all(*full_pool("p"), *full_pool("q"))
    await side.project(batch_size=2)
    assert await side.rows("SELECT pool_id, id FROM reservations ORDER BY 1, 2") == [
        ("p", "big"),
        ("p", "res-uuid-123"),
        ("q", "big"),
        ("q", "res-uuid-123"),
    ]
    assert await PostgresKept(side.pool).misheld() == []


async def test_an_older_document_takes_no_newer_ones_place(side: ReadSide, writer: PostgresReadModelWriter) -> None:
    for start, end, position in ((0, 5, 5), (5, 9, 4)):
        told = batch(start, end)
        told.documents.append(system(position, f"state-{position}"))
        await writer.write(told)
    assert await side.rows("SELECT position, state FROM systems") == [(5, "state-5")]
    assert await writer.counts() == {("system", "state-5"): 1}


@pytest.mark.parametrize(
    ("kind", "columns"), [("system", [("one",)]), ("pool", [()]), ("pool", [(1,) * 99]), ("pool", [(), (1,)])]
)
async def test_a_document_that_has_not_the_columns_of_its_kind_is_not_written(
    side: ReadSide, writer: PostgresReadModelWriter, kind: str, columns: list[tuple[Any, ...]]
) -> None:
    told = batch(0, 5)
    told.documents += [
        RenderedDocument(kind, f"d{place}", place + 1, "state", own, b"{}") for place, own in enumerate(columns)
    ]
    with pytest.raises(ValueError, match="zip"):
        await writer.write(told)
    assert (await side.store.checkpoint()).position == 0


async def test_it_is_known_where_it_is(writer: PostgresReadModelWriter) -> None:
    before = await writer.checkpoint()
    assert before == Checkpoint(0, None, 0, 0, before.term)
    await writer.write(batch(0, 5))
    assert await writer.checkpoint() == Checkpoint(5, at(0) + timedelta(seconds=5), STATES.version, 0, before.term)
    await writer.require_same()
