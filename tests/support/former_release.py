"""A log of which a former release wrote a part, in an older shape: upcasters bring it up to today's."""

from dataclasses import replace

import orjson

from domain.all_events import CATALOGUE
from domain.catalogue import EventCatalogue
from domain.folding import FOLDER, Folder
from domain.log import NOW, Cut, RecordedEvent
from tests.support.memory_log import MemoryEventLog


def lift(payload: dict[str, object]) -> dict[str, object]:
    return {**{key: value for key, value in payload.items() if key != "decided"}, "at": payload["decided"]}


LIFTING = Folder(
    catalogue=EventCatalogue(CATALOGUE.types.values(), {(type_name, 0): lift for type_name in CATALOGUE.types})
)


def written_before(event: RecordedEvent) -> RecordedEvent:
    """The same event as of a release that called the time of the decision otherwise."""
    payload = orjson.loads(event.data)
    payload["decided"] = payload.pop("at")
    return replace(event, schema_version=0, data=orjson.dumps(payload))


async def check_upcasts(log: MemoryEventLog) -> None:
    """Whatever part of the log is the former release's: states are what they are, now and in the midst of it."""
    middle = len(log.events) // 2
    for part in (slice(0, middle), slice(0, None, 2), slice(0, None)):
        older = MemoryEventLog()
        former = {event.position for event in log.events[part]}
        for event in log.events:
            older.put_as_it_is(written_before(event) if event.position in former else event)
        for stream_id in {event.stream_id for event in log.events}:
            for cut in (NOW, Cut(position=middle)):
                assert await LIFTING.at(older, stream_id, cut) == await FOLDER.at(log, stream_id, cut)
