"""What was parked of a stream: applied again from where its document stands, or let be; and what is written of it."""

import logging
from dataclasses import replace
from typing import NamedTuple

import pytest

from domain.aggregate import Event
from domain.all_events import AGGREGATES
from domain.folding import Folder
from domain.log import RecordedEvent
from domain.task import TASK, Task, TaskPhaseCompleted, TaskProgressed
from projections.batch import Batch
from projections.cache_ports import NoHotCopies
from projections.documents import RENDERINGS
from projections.documents.values import decode
from projections.ports import Counts, StoredDocument
from projections.projector import LAST_VERSION, Projector
from tests.support.broken_release import broken
from tests.support.memory_read_models import MemoryReadModels
from tests.support.stories import at, finished_task, full_agent
from tests.support.told_log import ToldLog

RENDERING = RENDERINGS["task"]


class Mend(NamedTuple):
    """What the store was asked to write of a stream."""

    stream_id: str
    version: int
    batch: Batch | None
    done: bool


class Store(MemoryReadModels):
    def __init__(self) -> None:
        super().__init__()
        self.mended: list[Mend] = []

    async def document(
        self, kind: str, id: str, min_position: int = 0, *, to_copy: bool = False
    ) -> StoredDocument | None:
        assert kind in RENDERINGS, "there is no table of it"
        return await super().document(kind, id, min_position, to_copy=to_copy)

    async def mend(self, stream_id: str, version: int, batch: Batch | None, *, done: bool) -> Counts:
        self.mended.append(Mend(stream_id, version, batch, done))
        return await super().mend(stream_id, version, batch, done=done)


class Copies(NoHotCopies):
    def __init__(self) -> None:
        self.mirrored: list[tuple[Batch, Counts]] = []

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        self.mirrored.append((batch, counts))


class House:
    """A projector over a log that is told, with what it writes and copies."""

    def __init__(self, batch_size: int = 3, folder: Folder | None = None) -> None:
        self.log, self.store, self.hot = ToldLog(), Store(), Copies()
        self.projector = self.another(batch_size, folder)

    def another(self, batch_size: int = 3, folder: Folder | None = None) -> Projector:
        options = {} if folder is None else {"folder": folder}
        return Projector(self.log, self.store, self.hot, batch_size=batch_size, **options)  # type: ignore[arg-type]  # the writer is the store

    async def catch_up(self) -> None:
        await self.projector.catch_up(len(self.log.events))

    async def ask(self, stream_id: str, what: str = "retry") -> list[Mend]:
        """What is written, once that is asked for."""
        self.store.asks[stream_id] = what  # type: ignore[assignment]  # one of the two
        self.store.mended.clear()
        self.hot.mirrored.clear()
        await self.projector.run_once()
        return self.store.mended

    def progress(self, events: int, task_id: str = "t", begin: int = 0) -> None:
        for step in range(begin, begin + events):
            self.log.tell((f"task-{task_id}", TaskProgressed(at=at(step), percentage=float(step))))

    def stream(self, stream_id: str) -> list[RecordedEvent]:
        return [event for event in self.log.events if event.stream_id == stream_id]


async def parked_house(events: int, others: int = 0, batch_size: int = 3) -> House:
    """Of task t, three events are in its document, and those after them are parked."""
    house = House(batch_size)
    house.log.tell_all(*finished_task("t")[:3])
    with broken("running"):
        await house.catch_up()
        house.log.tell_all(*finished_task("t")[3:4])
        house.progress(events - 1)
        house.log.tell_all(*full_agent()[:others])
        await house.catch_up()
    assert house.store.documents["task", "t"].position == 3
    return house


@pytest.mark.parametrize(
    ("events", "pages"),
    [
        (1, [(4, 1, True)]),
        (2, [(5, 2, True)]),
        (3, [(6, 3, False), (6, None, True)]),
        (4, [(6, 3, False), (7, 1, True)]),
        (8, [(6, 3, False), (9, 3, False), (11, 2, True)]),
    ],
)
async def test_it_is_applied_a_page_at_a_time_after_the_document_as_it_stands(
    events: int, pages: list[tuple[int, int | None, bool]]
) -> None:
    house = await parked_house(events, others=2)
    head = len(house.log.events)
    assert house.store.dead_letters
    stream = house.stream("task-t")
    mended = await house.ask("task-t")
    assert [(mend.stream_id, mend.version, mend.done) for mend in mended] == [
        ("task-t", version, done) for version, _, done in pages
    ]
    batches = [mend.batch for mend in mended if mend.batch is not None]
    assert [len(batch.documents) for batch in batches] == [1] * len(batches)
    for mend in mended:
        if mend.batch is not None:
            assert (mend.batch.start, mend.batch.end, mend.batch.behind) == (head, head, False)
            assert mend.batch.ended_at == stream[mend.version - 1].recorded_at
            assert mend.batch.documents[0].position == stream[mend.version - 1].position
    assert house.hot.mirrored == [(batch, house.store.counted) for batch in batches]
    assert house.store.documents["task", "t"].position == stream[-1].position
    assert decode(house.store.documents["task", "t"].body)["stream_version"] == len(stream)
    assert house.store.dead_letters == {}
    assert house.store.asks == {}


async def test_what_comes_after_it_was_applied_is_applied_too() -> None:
    house = await parked_house(4)
    await house.ask("task-t")
    house.progress(1, begin=50)
    await house.catch_up()
    assert house.store.documents["task", "t"].position == len(house.log.events)
    assert decode(house.store.documents["task", "t"].body)["progress"]["percentage"] == 50.0


async def test_what_came_since_the_checkpoint_is_not_applied_before_its_turn() -> None:
    house = await parked_house(1)
    checkpoint = house.store.position
    house.progress(2)
    house.store.asks["task-t"] = "retry"
    assert await house.projector.run_once() == 2
    ((_, version, batch, _),) = house.store.mended
    assert (version, batch.end if batch else None) == (4, checkpoint)
    assert house.store.dead_letters == {}
    assert house.store.documents["task", "t"].position == len(house.log.events)


async def test_it_is_told_in_the_log_of_the_process(caplog: pytest.LogCaptureFixture) -> None:
    house = await parked_house(2)
    caplog.clear()
    await house.ask("task-t")
    assert caplog.messages == ["What was parked of task-t is applied."]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_what_fails_again_stays_parked_from_there_on(caplog: pytest.LogCaptureFixture) -> None:
    house = await parked_house(4)
    caplog.clear()
    with broken("running"):
        (mend,) = await house.ask("task-t")
    assert (mend.version, mend.done) == (6, True)
    assert sorted(house.store.dead_letters) == [6, 7]
    assert house.store.dead_letters[6].error == "ValueError: no word for running"
    assert house.store.documents["task", "t"].position == 3
    assert caplog.messages == ["What was parked of task-t could not be applied again."]
    # It is as it was for what comes after, and for who asks again.
    house.progress(1)
    await house.catch_up()
    assert house.store.dead_letters[8].error == "follows an event of its stream that is parked"
    await house.ask("task-t")
    assert house.store.dead_letters == {}


async def test_a_stream_without_a_document_is_applied_from_its_first_event() -> None:
    house = House()
    house.log.tell_all(*finished_task("t"))
    with broken("created", "assigned", "running", "completed"):
        await house.catch_up()
    assert house.store.documents == {}
    mended = await house.ask("task-t")
    assert [(mend.version, mend.done) for mend in mended] == [(3, False), (5, True)]
    assert house.store.documents["task", "t"].position == 5
    assert list(house.store.attempts) == [5]


async def test_a_stream_of_no_kind_is_parked_again(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.log.put("nothing-t", "TaskScheduled", b'{"at":"2024-01-17T10:00:00Z"}')
    await house.catch_up()
    caplog.clear()
    (mend,) = await house.ask("nothing-t")
    assert (mend.version, mend.done) == (1, True)
    (letter,) = house.store.dead_letters.values()
    assert letter.error == "LookupError: no kind of document comes from the stream nothing-t"
    assert caplog.messages == ["What was parked of nothing-t could not be applied again."]


async def test_what_this_release_cannot_fold_up_to_its_document_stays_parked(caplog: pytest.LogCaptureFixture) -> None:
    def evolve(task: Task | None, event: Event) -> Task:
        raise ValueError("a later release")

    house = await parked_house(2, others=3)
    await house.projector.release()
    house.projector = house.another(folder=Folder(AGGREGATES | {"task": replace(TASK, evolve=evolve)}))
    caplog.clear()
    assert await house.ask("task-t") == [("task-t", 0, None, True)]
    (letter,) = house.store.dead_letters.values()
    assert house.store.asks == {}
    assert house.hot.mirrored == []
    (told,) = caplog.messages
    assert told.startswith("What was parked of task-t could not be applied again: ")
    assert "a later release" in told
    house.progress(1)
    house.log.tell_all(*full_agent()[3:4])
    await house.catch_up()
    assert list(house.store.dead_letters) == [letter.position, letter.position + 4], "it is parked as it was"


@pytest.mark.parametrize("shown", [0, 1, 2, 3])
async def test_whatever_its_document_shows_and_memory_holds_it_becomes_the_fold_of_the_stream(shown: int) -> None:
    house = House()
    stream = "task-of-a-longer-name"
    told = [(stream, event) for _, event in finished_task("of-a-longer-name")[:4]]
    told.append((stream, TaskPhaseCompleted(at=at(20), phase="reading")))  # which twice would be shown twice
    house.log.tell_all(*told[:shown])
    await house.catch_up()
    with broken("created", "scheduled", "assigned", "running"):
        house.log.tell_all(*told[shown:])
        await house.catch_up()
    assert house.projector._states.get(stream) is None, "of what is parked nothing is kept"
    house.projector._states.put(stream, object())
    await house.ask(stream)
    last = house.log.events[-1]
    state = AGGREGATES["task"].fold(event for _, event in told)
    document = house.store.documents["task", "of-a-longer-name"]
    assert document.body == RENDERING.render(state, last.version, last.position, last.recorded_at)


async def test_of_a_stream_that_can_be_folded_no_more_nothing_is_kept_in_memory() -> None:
    house = House()
    house.log.tell_all(*finished_task("t")[:3])
    await house.catch_up()
    house.log.put("task-t", "TaskStarted", b"{}")
    await house.catch_up()
    assert house.projector._states.get("task-t") is None


@pytest.mark.parametrize("in_memory", [True, False])
async def test_what_is_dropped_is_let_be_and_the_next_event_is_applied(
    caplog: pytest.LogCaptureFixture, in_memory: bool
) -> None:
    house = await parked_house(2)
    caplog.clear()
    if in_memory:
        house.projector._states.put("task-t", object())
    assert await house.ask("task-t", "drop") == [("task-t", LAST_VERSION, None, True)]
    assert house.store.dead_letters == {}
    assert house.store.asks == {}
    assert house.store.documents["task", "t"].position == 3
    assert caplog.messages == ["What was parked of task-t is dropped; its document follows from its next event."]
    house.progress(1, begin=70)
    await house.catch_up()
    assert house.store.documents["task", "t"].position == len(house.log.events)
    assert decode(house.store.documents["task", "t"].body)["progress"]["percentage"] == 70.0


async def test_each_stream_gets_what_was_asked_of_it_and_no_other_is_touched() -> None:
    house = House(batch_size=100)
    for name in ("a", "b", "c"):
        house.log.tell_all(*finished_task(name))
    with broken("completed"):
        await house.catch_up()
    house.store.asks["task-a"] = "drop"
    mended = await house.ask("task-c")
    assert [(mend.stream_id, mend.done) for mend in mended] == [("task-a", True), ("task-c", True)]
    assert list(house.store.documents) == [("task", "c")]
    assert [letter.stream_id for letter in house.store.dead_letters.values()] == ["task-b"]
    for name in ("a", "b", "c"):
        house.log.tell((f"task-{name}", TaskProgressed(at=at(90), percentage=1.0)))
    await house.catch_up()
    assert [letter.stream_id for letter in house.store.dead_letters.values()] == ["task-b", "task-b"]
