"""How the log is followed: every event in order, as soon as it is recorded."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import orjson

from domain.errors import LogUnavailable
from domain.log import EventReader, LogFilter, RecordedEvent, may_go_on
from dora_state.state_events import StateChangeEvent
from projections.ports import Signal

BATCH = 500
PAUSE = 0.2
"""Until a log that was away is asked again."""
LOOK_SECONDS = 1.0
"""Whoever follows looks by himself so often; as a rule it is woken."""


def state_change(event: RecordedEvent) -> StateChangeEvent:
    kind, _, aggregate_id = event.stream_id.partition("-")
    metadata = orjson.loads(event.metadata)
    return StateChangeEvent(
        event_id=str(event.event_id),
        entity_type=kind,
        entity_id=aggregate_id,
        event_type=event.type,
        timestamp=event.recorded_at,
        version=event.version,
        data=orjson.loads(event.data),
        metadata=metadata,
        actor=str(metadata.get("actor") or "unknown"),
        position=event.position,
        following=event.following,
    )


async def follow(
    reader: EventReader, signal: Signal, after_position: int | None, kinds: Iterable[str], types: Iterable[str]
) -> AsyncIterator[StateChangeEvent]:
    """Every event after a position, in order and each once, for ever, also over outages of the log; whoever goes on
    later begins after the last one's position.
    """
    only = LogFilter(frozenset(kinds), frozenset(types))
    listener = signal.listener()
    if after_position is None:
        after_position = (await reader.head()).position
    while True:
        try:
            found, after_position = await _next(reader, after_position, only)
        except LogUnavailable:
            await asyncio.sleep(PAUSE)
            continue
        if found is None:
            await listener.wait(LOOK_SECONDS)
            continue
        for event in found:
            yield state_change(event)


async def _next(
    reader: EventReader, after_position: int, only: LogFilter
) -> tuple[Sequence[RecordedEvent] | None, int]:
    """Some events, and up to where was looked; None where there is nothing more by now."""
    head = (await reader.head()).position
    if after_position >= head:
        return None, after_position
    found = await reader.read_log(after_position=after_position, limit=BATCH, only=only, until_position=head)
    # Of a command of which not all is wanted, the rest is passed too.
    return found, found[-1].position + found[-1].following if may_go_on(found, BATCH) else head
