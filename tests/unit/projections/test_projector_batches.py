"""How much the projector reads at once and when, and whom it tells of what it wrote."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import pytest

from domain.log import RecordedEvent
from domain.task import TaskProgressed
from projections import projector as projecting
from projections.batch import Batch
from projections.cache_ports import NoHotCopies
from projections.errors import CheckpointMoved, ProjectionHalted, ReadModelsUnavailable
from projections.ports import Checkpoint, Counts
from projections.projector import FIRST, Projector
from projections.runner import BUSY
from projections.signal import ProcessSignal
from tests.support.memory_read_models import MemoryReadModels
from tests.support.stories import at, finished_task, full_agent, full_pool
from tests.support.told_log import ToldLog


class Log(ToldLog):
    """Notes each time that it is read, from where and how much at most."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []

    async def read_log(self, *, after_position: int, limit: int, **others: Any) -> list[RecordedEvent]:
        self.reads.append((after_position, limit))
        return await super().read_log(after_position=after_position, limit=limit, **others)

    def progress(self, events: int) -> None:
        """Of one task, each a command of its own."""
        for step in range(events):
            self.tell(("task-t", TaskProgressed(at=at(step), percentage=float(step % 100))))


class Store(MemoryReadModels):
    """Notes each batch, and may be of a later generation of tables."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []
        self.generation = 0
        self.moved = False

    async def checkpoint(self) -> Checkpoint:
        found = await super().checkpoint()
        return Checkpoint(found.position, found.recorded_at, found.version, self.generation)

    async def require_same(self) -> None:
        if self.moved:
            raise CheckpointMoved

    async def write(self, batch: Batch) -> Counts:
        self.batches.append(batch)
        return await super().write(batch)


class Copies(NoHotCopies):
    def __init__(self) -> None:
        self.told: list[Any] = []

    async def begin(self, position: int, generation: int) -> None:
        self.told.append(("begin", position, generation))

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        self.told.append(("mirror", batch, dict(counts)))

    async def tend(self, position: int, counts: Counts | None) -> None:
        self.told.append(("tend", position, None if counts is None else dict(counts)))


class House:
    def __init__(self, **options: Any) -> None:
        self.log, self.store, self.hot = Log(), Store(), Copies()
        self.projector = Projector(self.log, self.store, self.hot, **options)  # type: ignore[arg-type]  # the writer is the store

    async def applied(self, times: int) -> list[int]:
        return [await self.projector.run_once() for _ in range(times)]

    async def turns(self) -> None:
        """What was begun beside comes to where it waits."""
        for _ in range(3):
            await asyncio.sleep(0)


async def test_far_behind_it_reads_more_each_time_up_to_eight_times_as_much() -> None:
    house = House(batch_size=10)
    house.log.tell_all(*finished_task("t")[:4])
    house.log.progress(10 + 20 + 40 + 80 + 80 + 5 - 4)
    assert await house.applied(7) == [10, 20, 40, 80, 80, 5, 0]
    assert [limit for _, limit in house.log.reads] == [10, 20, 40, 80, 80, 80, 80]
    assert [(batch.start, batch.end, batch.behind) for batch in house.store.batches] == [
        (0, 10, True),
        (10, 30, True),
        (30, 70, True),
        (70, 150, True),
        (150, 230, True),
        (230, 235, False),
    ]
    assert [batch.ended_at for batch in house.store.batches] == [
        house.log.events[batch.end - 1].recorded_at for batch in house.store.batches
    ]


async def test_the_first_batch_is_small_where_nobody_knows_how_large_events_are() -> None:
    house = House()
    house.log.tell_all(*full_agent())
    await house.applied(2)
    assert [limit for _, limit in house.log.reads] == [FIRST, 2_000]
    for batch_size, size in ((FIRST - 1, FIRST - 1), (FIRST + 1, FIRST)):
        assert House(batch_size=batch_size).projector._size == size


@pytest.mark.parametrize(
    ("sizes", "behind", "size"),
    [
        ([100], True, 10),
        ([50, 150], True, 10),
        ([10], True, 20),
        ([49, 50], True, 20),
        ([101], True, 9),
        ([100], False, 10),
        ([101], False, 9),
        ([1], False, 10),
        ([501], True, 1),
        ([5000], True, 1),
        ([0], True, 20),
    ],
)
async def test_no_more_is_read_at_once_than_so_many_bytes(
    sizes: Sequence[int], behind: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "BYTES_AT_ONCE", 1_000)
    house = House(batch_size=10)
    records = [house.log.put("task-t", "TaskProgressed", b"x" * size) for size in sizes]
    assert house.projector._next_size(records, behind=behind) == size


@pytest.mark.parametrize(("bytes_at_once", "size"), [(1, 1), (2, 2), (10, 10)])
async def test_what_has_no_data_at_all_counts_as_one_byte(
    bytes_at_once: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "BYTES_AT_ONCE", bytes_at_once)
    house = House(batch_size=10)
    assert house.projector._next_size([house.log.put("task-t", "TaskProgressed", b"")], behind=False) == size


async def test_a_larger_size_is_kept_when_it_is_behind_no_more() -> None:
    house = House(batch_size=10)
    house.projector._size = 40
    records = [house.log.put("task-t", "TaskProgressed", b"x")]
    assert house.projector._next_size(records, behind=False) == 40
    house.projector._size = 4
    assert house.projector._next_size(records, behind=False) == 10


async def test_the_next_events_are_read_while_these_are_written() -> None:
    house = House(batch_size=10)
    house.log.tell_all(*finished_task("t")[:4])
    house.log.progress(26)
    await house.applied(1)
    await house.turns()
    assert house.log.reads == [(0, 10), (10, 20)]
    await house.applied(1)
    await house.turns()
    assert house.log.reads == [(0, 10), (10, 20), (30, 40)]


@pytest.mark.parametrize(("events", "reads"), [(BUSY - 1, 2), (BUSY, 1), (BUSY + 1, 1)])
async def test_where_little_comes_what_came_meanwhile_is_read_at_once(events: int, reads: int) -> None:
    house = House(batch_size=2_000)
    house.projector._size = 2_000
    house.log.tell_all(*finished_task("t")[:4])
    house.log.progress(events - 4)
    assert await house.applied(1) == [events]
    await house.turns()
    assert len(house.log.reads) == reads


async def test_one_that_never_ran_can_be_let_go_of() -> None:
    house = House()
    await house.projector.release()
    house.log.tell_all(*full_agent())
    assert await house.applied(1) == [11]


async def test_what_was_read_ahead_is_let_go_of_with_the_lead() -> None:
    house = House(batch_size=10)
    house.log.tell_all(*full_agent(), *full_agent("b"))
    await house.applied(1)
    ahead = house.projector._ahead
    assert ahead is not None
    await house.projector.release()
    assert ahead.cancelled()
    assert await house.applied(1) == [12]
    assert house.store.position == 22


async def test_a_reading_ahead_that_fails_is_known_when_its_turn_comes() -> None:
    house = House(batch_size=10)
    house.log.tell_all(*full_agent(), *full_agent("b"))
    await house.applied(1)
    house.log.outage = ReadModelsUnavailable("away")  # type: ignore[assignment]  # any error
    with pytest.raises(ReadModelsUnavailable, match="away"):
        await house.applied(1)
    house.log.outage = None
    assert await house.applied(1) == [12]


async def test_nothing_is_read_ahead_of_what_this_release_does_not_know() -> None:
    for batch_size in (5, 100):
        house = House(batch_size=batch_size)
        house.log.tell_all(*full_agent()[:4])
        house.log.put("task-t", "TaskTeleported", b"{}")
        assert await house.applied(1) == [4]
        await house.turns()
        assert len(house.log.reads) == 1
        with pytest.raises(ProjectionHalted) as caught:
            await house.applied(1)
        assert caught.value.facts == {"position": 5, "event_type": "TaskTeleported", "schema_version": 1}
        assert caught.value.message.endswith("or ask for what was up to position 4.")


@pytest.mark.parametrize("until", [1, 4, 10, 11, 15, 22])
@pytest.mark.parametrize("batch_size", [1, 10, 100])
async def test_it_ends_where_it_is_to_end(until: int, batch_size: int) -> None:
    house = House(batch_size=batch_size, until=until)
    house.log.tell_all(*full_agent(), *full_agent("b"))
    while await house.projector.run_once():
        assert house.store.position <= until
    assert house.store.position == until


async def test_the_copies_are_told_of_each_batch_and_tended_where_there_is_none() -> None:
    house = House(batch_size=100)
    house.store.generation = 7
    house.log.tell_all(*full_agent(), *full_pool("p"))
    await house.applied(2)
    (batch,) = house.store.batches
    counts = dict(house.store.counted)
    assert sorted(kind for kind, _ in counts) == ["agent", "pool"]
    assert house.hot.told == [("begin", 0, 7), ("mirror", batch, counts), ("tend", 14, counts)]
    assert batch.reservations["p"].keys() == {"big", "res-uuid-123"}
    # One that begins later knows the counts before it has written anything.
    await house.projector.release()
    house.hot.told.clear()
    await house.applied(1)
    assert house.hot.told == [("begin", 14, 7), ("tend", 14, counts)]
    # And nothing of them once it has let go.
    await house.projector.release()
    house.hot.told.clear()
    house.store.moved = True
    with pytest.raises(CheckpointMoved):
        await house.applied(1)
    assert house.hot.told == [("begin", 14, 7)]


async def test_reservations_are_those_of_that_moment() -> None:
    house = House()
    house.log.tell_all(*full_pool("p")[:2])
    await house.applied(1)
    house.log.tell_all(*full_pool("p")[2:])
    await house.applied(2)
    first, second = house.store.batches
    assert [sorted(batch.reservations["p"]) for batch in (first, second)] == [["big"], ["big", "res-uuid-123"]]


async def test_whoever_traces_is_told_of_each_batch() -> None:
    told: list[tuple[str, int, int]] = []

    class Tracing:
        def applied(self, projection: str, records: Sequence[RecordedEvent], since: int) -> None:
            told.append((projection, len(records), since))

    house = House(tracing=Tracing())
    house.log.tell_all(*full_agent())
    before = time.time_ns()
    await house.applied(2)
    ((projection, records, since),) = told
    assert (projection, records) == ("states", 11)
    assert before <= since <= time.time_ns()


async def test_a_parked_event_is_told_in_the_log_of_the_process(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.log.put("nothing-t", "TaskScheduled", b'{"at":"2024-01-17T10:00:00Z"}')
    await house.applied(1)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "Parked event 1 of nothing-t: LookupError: no kind of document comes from the stream nothing-t")
    ]
    (letter,) = house.store.dead_letters.values()
    assert (letter.position, letter.stream_id, letter.version, letter.type) == (1, "nothing-t", 1, "TaskScheduled")


async def test_a_wake_is_heard_while_it_waits() -> None:
    signal = ProcessSignal()
    house = House(signal=signal)
    house.projector._poll_seconds = 600
    stop = asyncio.Event()
    running = asyncio.create_task(house.projector.run(stop))
    await asyncio.sleep(0.05)
    house.log.tell_all(*full_agent())
    signal.wake()
    await house.store.reach(11)
    stop.set()
    await running


async def test_of_the_states_so_many_are_kept_in_memory() -> None:
    house = House(states_kept=2)
    house.log.tell_all(*full_agent("a")[:1], *full_agent("b")[:1], *full_agent("c")[:1])
    await house.applied(1)
    kept = house.projector._states
    assert [kept.get(f"agent-{name}") is not None for name in "abc"] == [False, True, True]
    assert House().projector._states._capacity == 20_000
