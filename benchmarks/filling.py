"""Filling a tenant's log with events as they are, by groups."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import orjson
import uuid_utils

from benchmarks.stage import Stage
from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.log import Appended, CommandAppend, NewEvent
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.event_store import PostgresEventLog

METADATA = orjson.dumps(
    {
        "command_id": str(uuid4()),
        "command_type": "ReportProgress",
        "actor": "bench",
        "correlation_id": str(uuid4()),
        "tenant": "bench",
    }
)


@asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[StateManager]:
    settings = load_settings(home=stage.home, tenant=f"time_{uuid4().hex[:8]}", database_url=None, redis_url=None)
    async with open_state_manager(settings, default_actor="bench") as manager:
        yield manager


def new_event(stream_id: str, event: Event) -> NewEvent:
    data = CATALOGUE.encode(event)
    return NewEvent(uuid_utils.uuid7(), stream_id, event.type, event.schema_version, data, METADATA)


async def append(log: PostgresEventLog, group: list[CommandAppend]) -> None:
    if group and not all(isinstance(outcome, Appended) for outcome in await log.append(group)):
        raise RuntimeError("The benchmark's events could not be appended.")
