"""Many months in one tenant, and many tenants in one database."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from random import randrange
from typing import Any
from uuid import uuid4

from benchmarks.filling import append, new_event, opened, progressing
from benchmarks.peers import SQL
from benchmarks.rows import Row, row
from benchmarks.stage import Stage
from benchmarks.time_travel import taken
from domain.log import CommandAppend, Cut
from dora_state.platform import new_id
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Connection, connect
from infrastructure.migrations import drop_tenant, migrate

MONTH = timedelta(days=30.4375)
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
COMMANDS = 10


async def months(name: str, stage: Stage, counts: list[int], asked: int) -> list[Row]:
    """A task with an event in each month, in tenants of so many months."""
    figures: dict[int, dict[str, list[float]]] = {}
    for count in counts:
        async with opened(stage) as manager:
            begin = UNTIL - count * MONTH
            made = await taken(partial(manager.platform.log.ensure_months, begin, UNTIL))
            await _an_event_a_month(manager, begin, count)
            await manager.catch_up(everything=True)

            at_a_time = partial(_at_a_time, manager, begin, count)
            figures[count] = {
                "making them, each": [made / count],
                "the first look of a session into the past": [await taken(at_a_time)],
                "a state at a random time": [await taken(at_a_time) for _ in range(asked)],
                "a command": [await taken(partial(_create, manager, number)) for number in range(COMMANDS)],
            }
            tenant = manager.platform.settings.tenant
        figures[count]["dropping the tenant"] = [await taken(partial(drop_tenant, stage.url, tenant))]
    return [
        row(name, f"{count:,} months", f"{what}, p50", "ms", values, figures[counts[0]][what])
        for count in counts[1:]
        for what, values in figures[count].items()
    ]


async def _an_event_a_month(manager: StateManager, begin: datetime, count: int) -> None:
    log, import_id = manager.platform.log, uuid4()
    importing = await log.begin_import(import_id)
    group = [
        CommandAppend(new_id(), {"task-t": number}, (new_event("task-t", event),), b"{}", begin + number * MONTH)
        for number, event in enumerate(progressing("t", count))
    ]
    for first in range(0, count, 100):
        await append(importing, group[first : first + 100])
    await log.end_import(import_id)


async def _at_a_time(manager: StateManager, begin: datetime, count: int) -> None:
    await manager.state("task", "t", cut=Cut(at=begin + (randrange(count) + 0.5) * MONTH))


async def _create(manager: StateManager, number: int) -> None:
    answer = await manager.submit(
        {"type": "CreateWorkflow", "data": {"workflow_id": f"w{number}", "definition_id": "d"}}
    )
    if not answer.ok:
        raise RuntimeError(f"The benchmark's command was not accepted: {answer.problem}")


async def tenants(name: str, stage: Stage, count: int) -> list[Row]:
    """What one costs to begin, in time, on the disk and in tables, when there are few and when there are many."""
    made: list[float] = []
    async with await connect(stage.url) as connection:
        size, tables = await _size(connection)
        for number in range(count):
            made.append(await taken(partial(migrate, stage.url, f"crowd_{number}")))
        after, more = await _size(connection)
        settings = load_settings(home=stage.home, tenant="crowd_0", database_url=None, redis_url=None)
        async with open_state_manager(settings, default_actor="bench") as manager:
            first = await taken(partial(_create, manager, 0))
            second = await taken(partial(_create, manager, 1))
            await asyncio.gather(*[manager.state("workflow", "w0", live=True) for _ in range(100)])
            (sessions,) = await _asked(connection, "sessions_of", "crowd_0")
    case = f"{count} tenants"
    tenth = max(count // 10, 1)
    return [
        row(name, case, "beginning one of the last, p50, against one of the first", "ms", made[-tenth:], made[:tenth]),
        row(name, case, "empty, bytes each on the disk", "", [(after - size) / count]),
        row(name, case, "tables, indexes and the like, each", "", [(more - tables) / count]),
        row(name, case, "the first command of a process, against the next", "ms", [first], [second]),
        row(name, case, "sessions of a process that is asked by 100 at once", "", [sessions]),
    ]


async def _size(connection: Connection) -> tuple[int, int]:
    size, tables = await _asked(connection, "size_of_all")
    return size, tables


async def _asked(connection: Connection, name: str, *arguments: object) -> tuple[Any, ...]:
    """The one row that answers."""
    found = await (await connection.execute((SQL / f"{name}.sql").read_bytes(), arguments or None)).fetchone()
    assert found is not None
    return found
