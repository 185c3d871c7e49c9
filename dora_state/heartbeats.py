"""The way of heartbeats: from the command side to the book of presence, which writes them in batches."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from commands.work import Telemetry
from infrastructure.presence import PresenceBook


class Heartbeats:
    """The port PresenceSink."""

    def __init__(self, presence: PresenceBook) -> None:
        self._presence = presence

    async def record(self, heartbeats: Sequence[Telemetry]) -> None:
        for one in heartbeats:
            if one.heartbeat:
                self._presence.heard(one.agent_id, one.seen_at, one.usage, one.queue_size)
            else:
                self._presence.seen(one.agent_id, one.seen_at)


@asynccontextmanager
async def writing(presence: PresenceBook) -> AsyncIterator[None]:
    """Writes heartbeats as long as the block runs, and what is left at its end."""
    stop = asyncio.Event()
    task = asyncio.create_task(presence.run(stop), name="presence")
    try:
        yield
    finally:
        stop.set()
        await task
