"""What holds of the past of any log: cuts, differences and histories agree with each other and with the plain fold."""

from datetime import UTC, datetime
from typing import Any

import jsonpatch

from domain.all_events import AGGREGATES, CATALOGUE
from domain.folding import FOLDER
from domain.log import NOW, START, Cut, RecordedEvent, place_of
from domain.snapshots import Snapshot
from projections.changes import BOOKKEEPING
from projections.differences import Differences
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode
from projections.history import History
from tests.support.memory_log import MemoryEventLog

LATER = datetime(2100, 1, 1, tzinfo=UTC)


def by_hand(records: list[RecordedEvent]) -> Any:
    """The fold from the first event, and nothing else."""
    state = None
    for one in records:
        aggregate = AGGREGATES[one.stream_id.partition("-")[0]]
        state = aggregate.evolve(state, CATALOGUE.decode(one.type, one.schema_version, one.data))
    return state


def document(records: list[RecordedEvent]) -> Document:
    kind, last = records[-1].stream_id.partition("-")[0], records[-1]
    rendered = RENDERINGS[kind].render(by_hand(records), last.version, last.position, last.recorded_at)
    return plain(decode(rendered))


def plain(told: Document) -> Document:
    return {key: value for key, value in told.items() if key not in BOOKKEEPING}


def keep_snapshots(log: MemoryEventLog, spacing: int) -> None:
    log.snapshots.clear()
    for stream_id in {one.stream_id for one in log.events}:
        records = [one for one in log.events if one.stream_id == stream_id]
        codec = FOLDER.codec(stream_id)
        log.snapshots[stream_id, codec.stamp] = [
            Snapshot(place_of(one), codec.to_bytes(by_hand(records[: one.version])))
            for one in records
            if one.version % spacing == 0
        ]


async def check_past(log: MemoryEventLog, spacing: int) -> None:
    """With snapshots so many versions apart."""
    keep_snapshots(log, spacing)
    for stream_id in sorted({one.stream_id for one in log.events}):
        records = [one for one in log.events if one.stream_id == stream_id]
        await _check_cuts(log, stream_id, records)
        await _check_history(log, stream_id, records)
        await _check_difference(log, stream_id, records)
    await _check_everything(log)


async def _check_cuts(log: MemoryEventLog, stream_id: str, records: list[RecordedEvent]) -> None:
    for one in records:
        folded = await FOLDER.at(log, stream_id, Cut(version=one.version))
        assert (folded.version, folded.state) == (one.version, by_hand(records[: one.version]))
        at = await FOLDER.at(log, stream_id, Cut(at=one.recorded_at))
        whole = [other for other in records if other.recorded_at <= one.recorded_at]
        assert (at.version, at.state) == (len(whole), by_hand(whole))
        by_position = await FOLDER.at(log, stream_id, Cut(position=one.position))
        whole = [other for other in records if other.position + other.following <= one.position]
        assert (by_position.version, by_position.state) == (len(whole), by_hand(whole))


async def _check_history(log: MemoryEventLog, stream_id: str, records: list[RecordedEvent]) -> None:
    """Its patches, one after the other, lead from nothing to each of the documents."""
    kind, _, aggregate_id = stream_id.partition("-")
    history = History(log, stretch=4)
    entries = [entry async for entry in history.of(kind, aggregate_id)]
    assert [entry.position for entry in entries] == [one.position for one in records]
    reached: Document = {}
    for entry in entries:
        reached = jsonpatch.apply_patch(reached, entry.patch)
        assert reached == document(records[: entry.version]), entry
    middle = len(entries) // 2
    assert [entry async for entry in history.of(kind, aggregate_id, newest_first=True)] == entries[::-1]
    assert [entry async for entry in history.of(kind, aggregate_id, after_version=middle)] == entries[middle:]
    assert [entry async for entry in history.of(kind, aggregate_id, cut=Cut(version=middle + 1), limit=3)] == entries[
        : min(3, middle + 1)
    ]


async def _check_difference(log: MemoryEventLog, stream_id: str, records: list[RecordedEvent]) -> None:
    kind, _, aggregate_id = stream_id.partition("-")
    differences = Differences(log)
    for begin in {1, len(records) // 2 + 1, len(records)}:
        for end in {1, len(records)}:
            found = await differences.of(kind, aggregate_id, Cut(version=begin), Cut(version=end), LATER)
            before, after = document(records[:begin]), document(records[:end])
            assert jsonpatch.apply_patch(before, found.patch) == after
            assert bool(found.lines) == (before != after)


async def _check_everything(log: MemoryEventLog) -> None:
    """What moved is told, and each of it as of its own."""
    last = len(log.events)
    differences = Differences(log)
    for position in {0, last // 3, last}:
        begin = (await log.whole_command(position)).position
        told = [one async for one in differences.everywhere(Cut(position=position), NOW, LATER)]
        moved = {one.stream_id for one in log.events if one.position > begin}
        assert {f"{one.kind}-{one.id}" for one in told} == moved
        for one in told:
            cuts = (Cut(position=begin) if begin else START, NOW)
            assert one == await differences.of(one.kind, one.id, *cuts, LATER)
