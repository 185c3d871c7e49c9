"""Imports of logs that a test writes, and what is in a tenant afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from domain.errors import CutOutOfRange
from domain.log import RecordedEvent
from dora_state import Cut, StateManager, open_state_manager
from dora_state.importing import ImportReport, Resume, import_xes
from dora_state.settings import Settings, load_settings
from tests.oracle import raw_xes
from tests.support.log import decode
from tests.support.postgres import connected, rows
from tests.support.xes_logs import LoggedTrace, xes

REAL_TIMES = ("imported_at",)
"""What of the events' data is the real time, and differs from import to import."""


class Quiet:
    """No progress is shown."""

    def begin(self, phase: str, total: int | None) -> None: ...

    def advance(self, count: int) -> None: ...

    def end(self) -> None: ...


@dataclass(frozen=True)
class Tenant:
    """A tenant on the shared servers, with a home of its own for the import's files."""

    name: str
    home: Path
    database_url: str
    redis_url: str

    @property
    def settings(self) -> Settings:
        return load_settings(home=self.home, tenant=self.name, database_url=self.database_url, redis_url=self.redis_url)

    @property
    def variables(self) -> dict[str, str]:
        """For a process of its own."""
        return {
            "DORA_STATE_TENANT": self.name,
            "DORA_STATE_DATABASE_URL": self.database_url,
            "DORA_STATE_REDIS_URL": self.redis_url,
        }

    @property
    def scratch(self) -> Path:
        return self.home / "imports" / self.name

    def write(self, *traces: LoggedTrace, name: str = "log.xes") -> Path:
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / name
        path.write_text(xes(*traces), encoding="utf-8")
        return path

    async def imports(self, log: Path, resume: Resume = "new") -> ImportReport:
        return await import_xes(self.settings, log, resume=resume, progress=Quiet())

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[StateManager]:
        async with open_state_manager(self.settings) as manager:
            yield manager

    async def log(self) -> list[RecordedEvent]:
        """All events."""
        found: list[RecordedEvent] = []
        async with self.manager() as manager:
            while page := await manager.platform.log.read_log(after_position=len(found), limit=5_000):
                found += page
        return found

    async def importing(self) -> bool:
        async with self.manager() as manager:
            return await manager.platform.log.importing() is not None

    async def documents(self) -> list[Any]:
        """All read models as they are stored."""
        async with connected(self.database_url, self.name) as connection:
            return [
                *await rows(connection, "SELECT id, position, document::text FROM workflows ORDER BY id"),
                *await rows(connection, "SELECT id, position, document::text FROM tasks ORDER BY id"),
                *await rows(connection, "SELECT id, position, document::text FROM agents ORDER BY id"),
            ]


def facts(event: RecordedEvent) -> Any:
    """All that two imports of one file have in common in an event, which is all but ids, tenant and real times."""
    data = {key: value for key, value in orjson.loads(event.data).items() if key not in REAL_TIMES}
    metadata = {key: value for key, value in orjson.loads(event.metadata).items() if key != "tenant"}
    return (
        event.position,
        event.stream_id,
        event.version,
        event.type,
        data,
        metadata,
        event.recorded_at,
        event.following,
    )


def decoded(events: list[RecordedEvent], category: str) -> list[tuple[str, Any]]:
    """The events of a kind of streams, with their streams."""
    return [(event.stream_id, decode(event)) for event in events if event.stream_id.startswith(f"{category}-")]


async def shown_at(manager: StateManager, trace_id: str, moment: datetime) -> dict[str, Any] | None:
    """The workflow's document at a moment, None if it had not begun."""
    try:
        return dict(await manager.state("workflow", trace_id, cut=Cut(at=moment)))
    except CutOutOfRange:
        return None


def shown_facts(document: dict[str, Any] | None, raw: raw_xes.RawLog) -> Any:
    """State and times of the workflow, and the whole map of its tasks: state, agent, times."""
    if document is None:
        return None
    tasks = {
        task_id: (
            task["state"],
            _agent(task["assigned_agent"], raw),
            _time(task["start_time"]),
            _time(task["end_time"]),
        )
        for task_id, task in document["tasks"].items()
    }
    return document["state"], [_time(document[name]) for name in ("created_at", "started_at", "ended_at")], tasks


def expected_facts(expected: raw_xes.Expected | None) -> Any:
    if expected is None:
        return None
    tasks = {
        task_id: (task.state, task.assigned_agent, task.start_time, task.end_time)
        for task_id, task in expected.tasks.items()
    }
    return expected.workflow_state, [expected.created_at, expected.started_at, expected.completed_at], tasks


def _agent(agent_id: str | None, raw: raw_xes.RawLog) -> Any:
    """Whoever is no resource of the log stands for the events without one."""
    return agent_id if agent_id is None or agent_id in raw.resources else raw_xes.NO_RESOURCE


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
