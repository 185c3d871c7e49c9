"""The one fold: what it says of an event that it can't apply, and that snapshots are gone on from."""

from hashlib import sha256
from typing import Any

import pytest

from domain.all_events import AGGREGATES, CATALOGUE
from domain.catalogue import EventCatalogue, UnknownEvent
from domain.errors import CorruptLog
from domain.folding import FOLDER, Folded, Folder
from domain.log import Cut, Stretch, place_of
from domain.snapshots import Place, Snapshot, StateCodec
from domain.task import TASK, Task, TaskProgressed, TaskScheduled
from tests.support.memory_log import STRETCH
from tests.support.stories import at, full_stories, full_task
from tests.support.told_log import ToldLog

STREAM = "task-t-1"


def a_task() -> ToldLog:
    log = ToldLog()
    log.tell_all(*full_task("t-1"))
    return log


@pytest.mark.parametrize(
    ("type_name", "data", "schema_version", "kind", "said"),
    [
        ("TaskVanished", b"{}", 1, UnknownEvent, "The log holds an event TaskVanished of schema version 1"),
        ("TaskScheduled", b'{"at":"2024-01-17T10:00:00Z"}', 2, UnknownEvent, "of schema version 2"),
        ("TaskScheduled", b"{}", 1, CorruptLog, "A stored event TaskScheduled does not have the shape of its type"),
        ("TaskScheduled", b"\xff", 1, CorruptLog, "A stored event TaskScheduled does not have the shape of its type"),
        ("PoolResized", b'{"at":"2024-01-17T10:00:00Z","total":{}}', 1, CorruptLog, "PoolResized does not belong"),
    ],
)
async def test_an_event_that_can_not_be_applied_is_named_with_what_can_still_be_asked_for(
    type_name: str, data: bytes, schema_version: int, kind: type[CorruptLog], said: str
) -> None:
    log = a_task()
    version = len(log.events)
    log.put(STREAM, type_name, data, schema_version=schema_version)
    log.tell((STREAM, TaskProgressed(at=at(900), note="after it")))
    with pytest.raises(kind, match=f"^{STREAM}, version {version + 1}: ") as error:
        await FOLDER.at(log, STREAM)
    assert said in error.value.message
    assert error.value.message.endswith(f"; its states up to version {version} can be asked for.")
    assert (error.value.facts["stream_id"], error.value.facts["version"]) == (STREAM, version + 1)
    assert (await FOLDER.at(log, STREAM, Cut(version=version))).version == version


async def test_an_event_that_contradicts_what_came_before_it_is_named_too() -> None:
    log = a_task()
    log.put("pool-p", "ReservationReleased", b'{"at":"2024-01-17T10:00:00Z","reservation_id":"r","reason":"x"}')
    with pytest.raises(CorruptLog, match=r"^pool-p, version 1: ReservationReleased can't be the first event") as error:
        await FOLDER.at(log, "pool-p")
    assert error.value.message == (
        "pool-p, version 1: ReservationReleased can't be the first event of a stream; restore the log from a backup."
    )
    log.put(
        "workflow-w",
        "WorkflowCreated",
        b'{"at":"2024-01-17T10:00:00Z","workflow_id":"w","definition_id":"d","definition_version":"1"}',
    )
    log.put("workflow-w", "WorkflowTaskChanged", b'{"at":"2024-01-17T10:00:00Z","task_id":"t","state":"running"}')
    with pytest.raises(CorruptLog) as error:
        await FOLDER.at(log, "workflow-w")
    assert error.value.message == (
        "workflow-w, version 2: An event WorkflowTaskChanged does not fit what came before it (KeyError: 't');"
        " restore it from a backup; its states up to version 1 can be asked for."
    )
    assert error.value.facts == {"event_type": "WorkflowTaskChanged", "stream_id": "workflow-w", "version": 2}


async def test_a_step_gives_an_event_and_the_state_after_it_and_names_one_that_it_can_not_apply() -> None:
    log = a_task()
    state: Any = None
    for stored in log.events:
        event, state = FOLDER.step(stored, state)
        assert event == CATALOGUE.decode(stored.type, stored.schema_version, stored.data)
    assert state == (await FOLDER.at(log, STREAM)).state
    for type_name, data, kind in (("TaskVanished", b"{}", UnknownEvent), ("TaskScheduled", b"{}", CorruptLog)):
        broken = log.put(STREAM, type_name, data)
        with pytest.raises(kind, match=f"^{STREAM}, version {broken.version}: ") as error:
            FOLDER.step(broken, state)
        assert type_name in error.value.message
        assert (error.value.facts["stream_id"], error.value.facts["version"]) == (STREAM, broken.version)
    foreign = log.put("workflow-w", "WorkflowStarted", b'{"at":"2024-01-17T10:00:00Z"}')
    with pytest.raises(CorruptLog, match="workflow-w, version 1: WorkflowStarted can't be the first event"):
        FOLDER.step(foreign, None)


async def test_a_folder_folds_the_aggregates_that_it_is_given() -> None:
    folder, log = Folder({"task": TASK}, EventCatalogue(TASK.events)), a_task()
    assert await folder.at(log, STREAM) == await FOLDER.at(log, STREAM)
    assert folder.stamps == {"task": FOLDER.stamps["task"]}
    with pytest.raises(KeyError):
        folder.codec("pool-p")


async def task_at(log: ToldLog, version: int) -> Task:
    state = (await FOLDER.at(log, STREAM, Cut(version=version))).state
    assert isinstance(state, Task)
    return state


async def test_a_fold_goes_on_from_the_nearest_snapshot_with_its_stamp() -> None:
    log, codec = a_task(), StateCodec(TASK)
    state = await task_at(log, 4)
    state.note = "told by the snapshot"
    log.snapshots[STREAM, codec.stamp] = [Snapshot(place_of(log.events[3]), codec.to_bytes(state))]
    assert (await task_at(log, 4)).note == "told by the snapshot"
    assert (await FOLDER.at(log, STREAM, Cut(version=4))).place == place_of(log.events[3])
    assert (await task_at(log, 3)).note is None
    log.tell((STREAM, TaskScheduled(at=at(900))))
    folded = await FOLDER.at(log, STREAM)
    assert folded.version == len(log.events)
    assert (await task_at(log, folded.version)).scheduled_at == at(900)


async def test_what_is_asked_of_the_log_begins_at_a_snapshot_and_ends_at_a_version() -> None:
    log, codec = a_task(), StateCodec(TASK)
    log.snapshots[STREAM, codec.stamp] = [Snapshot(place_of(log.events[2]), codec.to_bytes(await task_at(log, 3)))]
    [stretch] = await log.read_folds([FOLDER.request(STREAM, 4)])
    assert (stretch.snapshot is not None, len(stretch.events)) == (True, 1)
    assert FOLDER.go_on(STREAM, stretch) == Folded(await task_at(log, 4), place_of(log.events[3]))
    with pytest.raises(UnknownEvent, match=f"^{STREAM}, version 1: "):
        FOLDER.go_on(STREAM, Stretch(None, [("TaskVanished", 1, b"{}")], None))


async def test_a_long_stream_is_folded_stretch_by_stretch() -> None:
    log = a_task()
    log.tell_all(*((STREAM, TaskProgressed(at=at(900 + note), note=str(note))) for note in range(2 * STRETCH)))
    folded, last = await FOLDER.at(log, STREAM), log.events[-1]
    assert folded.place == Place(last.version, last.position, last.following, last.recorded_at)
    assert folded.version == len(log.events)
    assert folded.state == TASK.fold([CATALOGUE.decode(one.type, 1, one.data) for one in log.events])
    log.put(STREAM, "TaskVanished", b"{}")
    with pytest.raises(UnknownEvent, match=f"^{STREAM}, version {len(log.events)}: "):
        await FOLDER.at(log, STREAM)


async def test_nothing_is_folded_of_a_stream_that_has_not_begun() -> None:
    folded = await FOLDER.at(a_task(), "task-nobody")
    assert (folded.version, folded.state, folded.place) == (0, None, None)


@pytest.mark.parametrize("category", AGGREGATES)
def test_a_fold_that_gives_other_states_has_another_version(category: str) -> None:
    """Snapshots that an older fold made must not be gone on from. Where this fails, `evolve` gives other states for
    the same events: raise the aggregate's fold_version, and write both here. A new field of a state needs only the
    digest."""
    aggregate = AGGREGATES[category]
    codec, told = StateCodec(aggregate), sha256()
    states: dict[str, Any] = {}
    for stream_id, event in full_stories():
        if stream_id.startswith(f"{category}-"):
            states[stream_id] = aggregate.evolve(states.get(stream_id), event)
            told.update(codec.to_bytes(states[stream_id]))
    assert (aggregate.fold_version, told.hexdigest()[:12]) == FOLDS[category]


FOLDS = {
    "workflow": (1, "159918fa173d"),
    "task": (1, "d204f800c639"),
    "agent": (1, "7f607fb5289a"),
    "pool": (1, "51a842060d87"),
    "system": (1, "1f1069e09e8b"),
}
