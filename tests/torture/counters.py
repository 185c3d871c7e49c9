"""Clients that count under a lock: who wrote without having it would be seen by a number that is missing or twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson

from domain.errors import DoraStateError
from domain.log import RecordedEvent
from dora_state.client import open_client
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from dora_state.testing.history import Asked, Recorder, Told
from tests.torture.writers import PAUSE, Place

COUNTED = "counted"
STREAM = f"workflow-{COUNTED}"
LOCK_SECONDS = 20.0


async def count_in_process(place: Place, name: str, record: Recorder, stop: asyncio.Event) -> None:
    settings = load_settings(database_url=place.database_url, redis_url=place.redis_url, tenant=place.tenant)
    async with open_state_manager(settings, default_actor=name, create=False) as manager:
        await _count(manager, name, record, stop)


async def count_over_http(place: Place, name: str, record: Recorder, stop: asyncio.Event) -> None:
    async with open_client(place.api_url, patience=2.0) as client:
        await _count(client, name, record, stop)


async def _count(source: Any, name: str, record: Recorder, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with source.exclusive_lock(f"workflow:{COUNTED}", timeout=LOCK_SECONDS, holder=name):
                await _count_on(source, name, record)
        except DoraStateError:  # away, lost, or somebody else had it for too long
            await asyncio.sleep(PAUSE)


async def _count_on(source: Any, name: str, record: Recorder) -> None:
    """What became of the command may stay unknown: whoever has the lock next reads what is there."""
    about = {"workflow_id": COUNTED}
    try:
        found = await source.state("workflow", COUNTED, consistency="live")
    except DoraStateError as error:
        if error.code != "not_found":
            raise
        await _send(source, name, record, "CreateWorkflow", about | {"definition_id": "counted"})
        return
    await _send(source, name, record, "AmendWorkflow", about | {"context": {"n": found["context"].get("n", 0) + 1}})


async def _send(source: Any, name: str, record: Recorder, type: str, data: dict[str, Any]) -> None:
    command_id = str(uuid4())
    record(Asked(name, command_id, type, actor=name))
    answer = await source.submit({"command_id": command_id, "type": type, "actor": name, "data": data})
    record(Told(name, command_id, answer.outcome, dict(answer.versions), answer.position, time.time()))


async def miscounted(events: AsyncIterator[RecordedEvent]) -> tuple[int, list[str]]:
    """How far they counted, and where one did not know of another."""
    last, faults = 0, []
    async for event in events:
        if event.stream_id == STREAM and event.type == "WorkflowAmended":
            number = orjson.loads(event.data)["context"]["n"]
            if number != last + 1:
                faults.append(f"{number} was counted after {last}, at position {event.position}.")
            last = number
    return last, faults
