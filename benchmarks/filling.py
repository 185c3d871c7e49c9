"""Filling a tenant's log with events as they are, by groups."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import uuid_utils

from benchmarks.stage import Stage
from domain import task as tasks
from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.log import Appended, CommandAppend, NewEvent
from dora_state.platform import new_id
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.event_store import PostgresEventLog

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
AT_ONCE = 10_000
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


def progressing(task_id: str, count: int) -> Iterator[Event]:
    """The life of a task that tells of its progress; `count` events."""
    yield tasks.TaskCreated(at=AT, task_id=task_id, workflow_id="w", definition_id="d")
    yield tasks.TaskScheduled(at=AT)
    yield tasks.TaskAssigned(at=AT, agent_id="a", reason="bench")
    yield tasks.TaskStarted(at=AT)
    for step in range(count - 4):
        yield tasks.TaskProgressed(at=AT, percentage=100 * step / count, note=f"round 1, submitter 1, step {step}")


async def tell_lives(log: PostgresEventLog, count: int, life: int) -> None:
    """So many tasks of so many events each, one after the other; each event is a command of its own."""
    group: list[CommandAppend] = []
    for number in range(count):
        stream_id = f"task-t{number}"
        for version, event in enumerate(progressing(f"t{number}", life)):
            group.append(CommandAppend(new_id(), {stream_id: version}, (new_event(stream_id, event),), b"{}"))
        if len(group) >= AT_ONCE:
            await append(log, group)
            group = []
    await append(log, group)


def new_event(stream_id: str, event: Event) -> NewEvent:
    data = CATALOGUE.encode(event)
    return NewEvent(uuid_utils.uuid7(), stream_id, event.type, event.schema_version, data, METADATA)


async def append(log: PostgresEventLog, group: list[CommandAppend]) -> None:
    if group and not all(isinstance(outcome, Appended) for outcome in await log.append(group)):
        raise RuntimeError("The benchmark's events could not be appended.")
