"""Events in the shape of SPEC's `StateChangeEvent`, and how the log is followed."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.log import EventReader, LogFilter, RecordedEvent
from projections.ports import Signal

BATCH = 500
LOOK_SECONDS = 1.0
"""Whoever follows looks by himself so often; as a rule it is woken."""


@dataclass(frozen=True, slots=True)
class StateChangeEvent:
    """One event. `version` is its place in its stream and `position` that in the log; `timestamp` when it was recorded.

    `following` counts the events of the same command that come after it: 0 ends the command.
    """

    event_id: str
    entity_type: str
    entity_id: str
    event_type: str
    timestamp: datetime
    version: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    actor: str
    position: int = 0
    following: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "event_type": self.event_type,
            "timestamp": self.timestamp.isoformat(),
            "version": self.version,
            "data": self.data,
            "metadata": self.metadata,
            "actor": self.actor,
        }


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
    reader: EventReader, signal: Signal, after_position: int, kinds: Iterable[str], types: Iterable[str]
) -> AsyncIterator[StateChangeEvent]:
    """Every event after a position, in order and each once, for ever; whoever goes on later begins after the last one's
    position.
    """
    only = LogFilter(frozenset(kinds), frozenset(types))
    listener = signal.listener()
    while True:
        head = (await reader.head()).position
        while after_position < head:
            found = await reader.read_log(after_position=after_position, limit=BATCH, only=only, until_position=head)
            for event in found:
                yield state_change(event)
            # Of a command of which not all is wanted, the rest is passed too.
            after_position = found[-1].position + found[-1].following if len(found) >= BATCH else head
        await listener.wait(LOOK_SECONDS)
