"""Server-sent events of the log, over as many connections as it takes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any

from dora_state.client.transport import AGAIN, PAUSE, ServerError, ServerUnavailable, Transport, given, lines_of
from dora_state.state_events import StateChangeEvent

QUIET = 45.0
"""Seconds without a word after which a stream is taken for dead: the server says every fifteen that it is there."""


async def follow(
    transport: Transport, after_position: int | None, kinds: Iterable[str], types: Iterable[str]
) -> AsyncIterator[StateChangeEvent]:
    """Every event after a position, in order and each once; a connection that ends is made again where it was.

    Raises InvalidInput.
    """
    params = given({"kind": list(kinds), "type": list(types), "after_position": after_position})
    last: str | None = None
    while True:
        headers = {} if last is None else {"Last-Event-ID": last}
        try:
            async with transport.stream("GET", "/v1/events", params=params, headers=headers, timeout=QUIET) as response:
                async for event, id, data in _messages(lines_of(response)):
                    last = id or last
                    if event == "message" and data:
                        yield state_change(json.loads(data))
        except ServerUnavailable:
            pass
        except ServerError as error:
            if error.facts.get("status") not in AGAIN:
                raise
        await asyncio.sleep(PAUSE)


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str | None, str]]:
    """The name, the id and the data of each, as the standard for server-sent events has them."""
    event = "message"
    id: str | None = None
    data: list[str] = []
    async for line in lines:
        if not line:
            yield event, id, "\n".join(data)
            event, id, data = "message", None, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                event = value
            case "id":
                id = value
            case "data":
                data.append(value)


def state_change(told: Mapping[str, Any]) -> StateChangeEvent:
    kind, _, aggregate_id = told["stream_id"].partition("-")
    metadata = told["metadata"]
    return StateChangeEvent(
        event_id=told["event_id"],
        entity_type=kind,
        entity_id=aggregate_id,
        event_type=told["type"],
        timestamp=datetime.fromisoformat(told["recorded_at"]),
        version=told["version"],
        data=told["data"],
        metadata=metadata,
        actor=str(metadata.get("actor") or "unknown"),
        position=told["position"],
        following=told.get("following", 0),
    )
