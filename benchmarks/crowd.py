"""Read models of a platform that has done much, straight into the tables: a log of a million tasks takes too long to
tell.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from domain.task import TASK, TaskCreated
from domain.workflow import WORKFLOW, WorkflowCreated, WorkflowTaskAdded
from infrastructure import sql
from infrastructure.database import Connection
from projections.documents import RENDERINGS
from projections.documents.values import decode

AGENTS = 70
TASKS_EACH = 77
COMPLETIONS_AFTER = 1_000_000_000
"""So far behind their own are the positions of workflows in `fill_attempts.sql`."""
_SQL = Path(__file__).parent / "sql"
_WORDS = " ".join(f"clause-{number}" for number in range(40))


async def fill(
    connection: Connection,
    tasks: int,
    now: datetime,
    *,
    workflows: int | None = None,
    tasks_shown: int = TASKS_EACH,
    reservations: int = 0,
) -> None:
    """So many tasks and their workflows, attempts, counts and rates, up to `now`; vacuumed and analyzed, as in time.

    `tasks_shown` are how many a workflow's document has.
    """
    await _run(
        connection, "fill_workflows", count=workflows or tasks // TASKS_EACH, now=now, body=_workflow(now, tasks_shown)
    )
    await _run(connection, "fill_tasks", count=tasks, now=now, agents=AGENTS, body=_task(now))
    await _run(connection, "fill_reservations", count=reservations, now=now, agents=AGENTS)
    for name in ("count_facets", "fill_attempts"):
        await _run(connection, name)
    await _add_rates(connection, tasks)
    await connection.execute("VACUUM (ANALYZE)")


async def _add_rates(connection: Connection, tasks: int) -> None:
    """As the projector does, for many positions at a time."""
    for base in (0, COMPLETIONS_AFTER):
        for first in range(base, base + tasks + 2, 100_000):
            positions = list(range(first, first + 100_000))
            await connection.execute(sql.load("read_models/add_rates"), {"positions": positions, "sign": 1})


async def _run(connection: Connection, name: str, **facts: Any) -> None:
    await connection.execute((_SQL / f"{name}.sql").read_bytes(), facts or None)


def _task(now: datetime) -> str:
    """About 1.5 kB, with places for what `fill_tasks.sql` gives."""
    created = TaskCreated(
        at=now, task_id="t", workflow_id="w", definition_id="d", inputs={"documents": ["policy.pdf"], "scope": _WORDS}
    )
    document = decode(RENDERINGS["task"].render(TASK.evolve(None, created), 1, 1, now))
    given = {name: f"@{name}@" for name in _TASK_PLACES} | {"assigned_agent": {"agent_id": "@agent_id@"}}
    return _with_places(document | {"started_at": document["created_at"]} | given, (*_TASK_PLACES, "agent_id"))


def _workflow(now: datetime, tasks: int) -> str:
    """With so many tasks, and places for what `fill_workflows.sql` gives."""
    workflow = WORKFLOW.evolve(
        None, WorkflowCreated(at=now, workflow_id="w", definition_id="d", definition_version="1", context={"a": _WORDS})
    )
    for number in range(tasks):
        added = WorkflowTaskAdded(at=now + timedelta(seconds=number), task_id=f"task-{number}", definition_id="d")
        workflow = WORKFLOW.evolve(workflow, added)
    document = decode(RENDERINGS["workflow"].render(workflow, 1, 1, now))
    return _with_places(document | {name: f"@{name}@" for name in _WORKFLOW_PLACES}, _WORKFLOW_PLACES)


_TASK_PLACES = (
    *("task_id", "workflow_id", "definition_id", "state", "created_at", "updated_at", "deadline", "priority"),
)
_WORKFLOW_PLACES = (
    *("workflow_id", "definition_id", "state", "created_at", "updated_at", "ended_at", "scheduled_completion"),
    "priority",
)
_BARE = frozenset({"created_at", "updated_at", "deadline", "ended_at", "scheduled_completion", "agent_id"})
"""What SQL gives with its quotation marks, or as null."""


def _with_places(document: dict[str, Any], names: Sequence[str]) -> str:
    text = orjson.dumps(document).decode().replace("%", "%%")
    for number, name in enumerate(names, start=1):
        place = f"%{number}$s"
        text = text.replace(f'"@{name}@"', place if name in _BARE else f'"{place}"')
    return text
