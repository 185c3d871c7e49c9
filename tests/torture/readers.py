"""Clients that read: those who follow the log, and those who look at many documents at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.errors import DoraStateError
from dora_state.client import open_client
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.testing.contents import content, event_content
from dora_state.testing.history import Began, Followed, Read, Recorder, read_history
from infrastructure.checking import PostgresKept
from projections.documents.values import decode
from tests.torture.writers import PAUSE, Place

STREAMS_LOOKED_AT = 40


def last_position(path: Path) -> int:
    """Where a follower that was killed goes on."""
    found = 0
    for record in read_history([path]) if path.exists() else ():
        if isinstance(record, Followed):
            found = record.position
    return found


async def follow(name: str, events: AsyncIterator[Any], record: Recorder, stop: asyncio.Event) -> None:
    """Write down what comes until told to stop, and then until nothing more does."""
    while True:
        waiting = asyncio.ensure_future(anext(events))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not waiting.done():
            await asyncio.wait({waiting}, timeout=10)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return
        event = waiting.result()
        record(Followed(name, event.position, event.event_id, event_content(event)))


async def follow_in_process(place: Place, name: str, path: Path, record: Recorder, stop: asyncio.Event) -> None:
    settings = load_settings(database_url=place.database_url, redis_url=place.redis_url, tenant=place.tenant)
    async with open_state_manager(settings, create=False) as manager:
        await _again(name, manager, path, record, stop)


async def follow_over_http(place: Place, name: str, path: Path, record: Recorder, stop: asyncio.Event) -> None:
    async with open_client(place.api_url) as client:
        await _again(name, client, path, record, stop)


async def _again(name: str, source: Any, path: Path, record: Recorder, stop: asyncio.Event) -> None:
    """As often as the log is away, from where it was."""
    while True:
        try:
            after = last_position(path)
            record(Began(name, after))
            await follow(name, source.follow(after), record, stop)
            return
        except DoraStateError:
            await asyncio.sleep(PAUSE)


async def read_moments(place: Place, name: str, record: Recorder, chance: random.Random, stop: asyncio.Event) -> None:
    """Look at many documents at one moment, as who asks PostgreSQL does."""
    settings = load_settings(database_url=place.database_url, redis_url=place.redis_url, tenant=place.tenant)
    async with open_state_manager(settings, create=False) as manager:
        while not stop.is_set():
            with suppress(DoraStateError):
                await _read_moment(manager, name, record, chance)
            await asyncio.sleep(0.2)


async def _read_moment(manager: StateManager, name: str, record: Recorder, chance: random.Random) -> None:
    head = (await manager.platform.log.head()).position
    after = max(0, head - chance.choice([60, 2_000]))
    events = await manager.platform.log.read_log(after_position=after, limit=STREAMS_LOOKED_AT)
    streams = sorted({event.stream_id for event in events if not event.stream_id.startswith("system")})
    if streams:
        position, documents = await PostgresKept(manager.platform.projector_pool).documents(streams)
        versions, contents = dict.fromkeys(streams, 0), {}
        for document in documents:
            stream_id, shown = f"{document.kind}-{document.id}", decode(document.body)
            versions[stream_id], contents[stream_id] = int(shown["stream_version"]), content(document.kind, shown)
        record(Read(name, versions, as_of=position, contents=contents))
