"""What is said where the past can't be told: one sentence, the range that exists, what can still be asked for."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from domain.errors import Archived, CutOutOfRange
from domain.folding import FOLDER
from domain.log import Appended, CommandAppend, Cut, NewEvent
from dora_state.cli.entry import main
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Role
from infrastructure.migrations import drop_tenant, migrate
from projections.documents.values import Document, iso
from projections.snapshotter import Snapshotter
from tests.support.postgres import connected, rows, set_clock, tenants_of

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "assessment.jsonl"
TENANTS = ("good", "empty", "months", "unknown", "broken", "spoiled")
SPACING = 3
Told = tuple[str, Mapping[str, object]]
"""A command: its type and its data."""
Asked = Mapping[tuple[str, str, Cut], Document]


@dataclass(frozen=True)
class World:
    """Tenants by what is wrong with them, and what sentences are made of."""

    database_url: str
    redis_url: str
    names: Mapping[str, str]
    facts: Mapping[str, object]
    before: Asked
    """The states that could be told of the tenant `months` before one was archived."""

    @asynccontextmanager
    async def manager(self, tenant: str) -> AsyncIterator[StateManager]:
        settings = load_settings(database_url=self.database_url, redis_url=self.redis_url, tenant=self.names[tenant])
        async with open_state_manager(settings, default_actor="ops") as manager:
            yield manager


def apart(work: Coroutine[Any, Any, Any]) -> Any:
    """In a loop of its own, wherever this is called."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def world(database_url: str, redis_url: str) -> Iterator[World]:
    prefix = f"test_{uuid4().hex[:12]}_"
    names = {tenant: f"{prefix}{tenant}" for tenant in TENANTS}
    facts: dict[str, object] = {f"schema_{tenant}": f"audit_{names[tenant]}" for tenant in TENANTS}
    before: dict[tuple[str, str, Cut], Document] = {}
    world = World(database_url, redis_url, names, facts, before)
    apart(make(world, facts, before))
    yield world

    async def drop() -> None:
        async with connected(database_url, names["good"]) as admin:
            for tenant in TENANTS:
                await admin.execute(f"DROP SCHEMA IF EXISTS audit_{names[tenant]} CASCADE".encode())
        for name in await tenants_of(database_url, prefix):
            await drop_tenant(database_url, name)

    apart(drop())


async def make(world: World, facts: dict[str, object], before: dict[tuple[str, str, Cut], Document]) -> None:
    for tenant in ("good", "unknown", "broken", "spoiled"):
        async with world.manager(tenant) as manager:
            for line in EXAMPLE.read_text().splitlines():
                await manager.submit(line)
            await manager.catch_up()
            if tenant == "unknown":
                await spoil_types(manager)
            elif tenant == "broken":
                await spoil_events(manager)
            elif tenant == "spoiled":
                await take_snapshots(manager)
                async with connected(world.database_url, world.names[tenant]) as admin:
                    await admin.execute("UPDATE snapshots SET state = overlay(state PLACING 'x'::bytea FROM 20)")
            elif tenant == "good":
                facts["began"] = (await manager.platform.log.read_log(after_position=2, limit=1))[0].recorded_at
    await migrate(world.database_url, world.names["empty"])
    await make_months(world, facts, before)


async def put(manager: StateManager, stream_id: str, type: str, data: bytes, metadata: bytes = b"{}") -> None:
    version = await manager.platform.log.stream_version(stream_id)
    event = NewEvent(uuid4(), stream_id, type, 1, data, metadata)
    (outcome,) = await manager.platform.log.append([CommandAppend(uuid4(), {stream_id: version}, (event,), b"")])
    assert isinstance(outcome, Appended)


PAUSED = b'{"at":"2024-01-17T10:00:00Z"}'


async def spoil_types(manager: StateManager) -> None:
    """In the middle of the workflow there is an event of a later release, after position 23."""
    await put(manager, "workflow-wf-1", "WorkflowSentToMars", b"{}")
    await put(manager, "workflow-wf-1", "WorkflowPaused", PAUSED)


async def spoil_events(manager: StateManager) -> None:
    """Bytes that are no event, an event that does not fit, and one of which nobody can tell who asked for it."""
    await manager.submit({"type": "CreateWorkflow", "data": {"workflow_id": "wf-2", "definition_id": "d"}})
    await put(manager, "workflow-wf-1", "WorkflowPaused", b"{}")
    await put(manager, "workflow-wf-1", "WorkflowPaused", PAUSED)
    changed = b'{"at":"2024-01-17T10:00:00Z","task_id":"nowhere","state":"running"}'
    await put(manager, "workflow-wf-2", "WorkflowTaskChanged", changed)
    await put(manager, "task-wf-1-report", "TaskScheduled", PAUSED, b"\xff")
    await manager.catch_up()


async def take_snapshots(manager: StateManager) -> None:
    await manager.catch_up()
    store = manager.platform.snapshotter._store
    assert await Snapshotter(manager.platform.log, store, spacing=SPACING).catch_up() > SPACING


def task(workflow_id: str, task_id: str, *, done: bool = True) -> list[Told]:
    told: dict[str, object] = {"task_id": task_id}
    return [
        ("AddTask", {"workflow_id": workflow_id, "definition_id": "d"} | told),
        ("ScheduleTask", told),
        ("AssignTask", {"agent_id": "a", "reason": "test"} | told),
        ("StartTask", told),
        *([("CompleteTask", told)] if done else []),
    ]


def workflow(workflow_id: str) -> list[Told]:
    return [
        ("CreateWorkflow", {"workflow_id": workflow_id, "definition_id": "d"}),
        ("StartWorkflow", {"workflow_id": workflow_id}),
    ]


async def make_months(world: World, facts: dict[str, object], before: dict[tuple[str, str, Cut], Document]) -> None:
    """Three months, the first one archived: `old` lies in it wholly, `long` goes through all, `new` is after it."""
    name, url = world.names["months"], world.database_url
    agent = {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 9, "state": "healthy"}
    await migrate(url, name)
    async with connected(url, name, Role.MIGRATOR) as admin:
        await admin.execute("SELECT ensure_months(now() - interval '2 months', now())")
        async with world.manager("months") as manager:

            async def month(ago: int, *commands: Told) -> None:
                await set_clock(url, name, f"clock_timestamp() - interval '{ago} months'")
                for type, data in commands:
                    answer = await manager.submit({"type": type, "data": data, "correlation_id": "conversation"})
                    assert answer.outcome == "accepted", answer.problem

            configured: Told = ("ConfigureSystem", {"environment": "test"})
            begun: list[Told] = [
                ("RegisterAgent", agent),
                configured,
                *workflow("old"),
                *task("old", "t-old"),
                *workflow("long"),
            ]
            begun.append(("AddTask", {"workflow_id": "long", "task_id": "t0", "definition_id": "d"}))
            progress: Told = ("ReportProgress", {"task_id": "t1", "percentage": 50})
            await month(2, *begun, *task("long", "t1", done=False), progress)
            await month(1, ("CompleteTask", {"task_id": "t1"}), *task("long", "t2"))
            await month(0, *task("long", "t3"), *workflow("new"), *task("new", "t-new"))
            await take_snapshots(manager)
            before.update(await ask(manager))
        months = await rows(
            admin,
            "SELECT partition, last_position, first_recorded_at, last_recorded_at FROM months"
            " WHERE first_position IS NOT NULL ORDER BY starts_at",
        )
        (gone, last, first_at, last_at), (_, _, next_at, _), _ = months
        assert isinstance(first_at, type(last_at))
        facts |= {"gone": gone, "last": last, "last_at": last_at, "within": first_at + timedelta(microseconds=10)}  # type: ignore[operator]  # a time
        facts |= {"gap": last_at + (next_at - last_at) / 2, "next_at": next_at + timedelta(days=1)}  # type: ignore[operator]  # times
        await admin.execute("SELECT archive_month(%s)", (gone,))


STREAMS = [
    *(("workflow", id) for id in ("old", "long", "new")),
    *(("task", id) for id in ("t-old", "t1", "t2", "t3", "t-new")),
    ("agent", "a"),
]


async def ask(manager: StateManager) -> dict[tuple[str, str, Cut], Document]:
    """All states that can be told, at each version and at each position."""
    head = (await manager.platform.log.head()).position
    found = {}
    for kind, id in STREAMS:
        versions = await manager.version(kind, id)
        for cut in (
            *(Cut(version=version) for version in range(1, versions + 1)),
            *(Cut(position=position) for position in range(1, head + 1)),
        ):
            try:
                document = await manager.state(kind, id, cut=cut)
            except (Archived, CutOutOfRange):
                continue
            document.pop("audit_trail", None)
            document.pop("audit_trail_omitted", None)
            found[kind, id, cut] = document
    return found


GOOD = r"The workflow wf-1 has versions 1 to 8, not {}; ask for one of them\."
BEGAN = r"The workflow wf-1 began at {began}, position 3; ask for that moment or a later one\."
FUTURE = r"2100-01-01T00:00:00Z lies in the future; ask for a moment up to 20\S+Z\."
END = r"The log ends at position 23, before 999; ask for one up to it\."
LOG_BEGAN = r"The log begins at 20\S+Z, position 1; ask for that moment or a later one\."
ZONE = r"{}: '2024-01-17T10:00:00' has no zone; write it like 2024-01-17T10:00:00Z or 2024-01-17T11:00:00\+01:00.*\."
NEGATIVE = r"The log has positions 1 to 23, not -3; ask for one of them\."
VERSION = r"{}: 3 is a version of a single stream; give a time, or a position like p3\."
WRONG_WAY = r"The first cut lies at position 18, after the second one at 3: turn them round\."
NO_ROLLBACK = r"Workflow wf-1 has versions 1 to 8; there is no version {} to roll back to\."
NO_WAY_BACK = r"Workflow wf-1 began at {began}; roll back to that moment or a later one\."
DONE = "--reason r --operator o"
EMPTY = r"The log is empty: nothing was recorded yet; submit something first\."

NO_SUCH_MOMENT = [
    *(("good", f"show workflow wf-1 --version {n}", 3, GOOD.format(n)) for n in (0, -1, 9, 2**63)),
    ("good", "show workflow wf-1 --at 2020-01-01T00:00:00Z", 3, BEGAN),
    ("good", "show workflow wf-1 --at 0001-01-01T00:00:00Z", 3, BEGAN),
    ("good", "show workflow wf-1 --at 2100-01-01T00:00:00Z", 3, FUTURE),
    ("good", "show workflow wf-1 --at 2024-01-17T10:00:00", 2, ZONE.format("--at")),
    *(("good", f"show workflow wf-1 --position {n}", 3, BEGAN) for n in (0, 1, 2)),
    ("good", "show workflow wf-1 --position -3", 3, NEGATIVE),
    ("good", "show workflow wf-1 --position 999", 3, END),
    ("good", "show workflow wf-1 --position 9223372036854775808", 3, "The log ends at position 23, before 92.*"),
    ("good", "show workflow wf-1 --version 1 --at 2024-01-17T10:00:00Z", 2, "--version and --at can't be .* one of.*"),
    ("good", "show workflow nope --version 1", 3, "There is no workflow nope; check the id\\."),
    ("good", "show workflow wf-1 --timeline --version 0", 3, GOOD.format(0)),
    ("good", "show system --at 2020-01-01T00:00:00Z", 3, LOG_BEGAN),
    ("good", "show system --at 2100-01-01T00:00:00Z", 3, FUTURE),
    ("good", "show system --position 999", 3, END),
    ("good", "show system --position 0", 3, LOG_BEGAN),
    ("months", "show system --version 9", 3, r"The system has versions 1 to 1, not 9; ask for one of them\."),
    ("empty", "show system --at 2020-01-01T00:00:00Z", 3, EMPTY),
    ("good", "history workflow wf-1 --version 9", 3, GOOD.format(9)),
    ("good", "history workflow wf-1 --version 0 --newest-first", 3, GOOD.format(0)),
    ("good", "history workflow wf-1 --at 2020-01-01T00:00:00Z", 3, BEGAN),
    ("good", "history workflow wf-1 --at 2100-01-01T00:00:00Z", 3, FUTURE),
    ("good", "history workflow wf-1 --position 999", 3, END),
    ("good", "history workflow wf-1 --since 2024-01-17T10:00:00", 2, ZONE.format("--since")),
    ("good", "history workflow wf-1 --after -1", 2, "--after counts from 0, so -1 is none\\."),
    ("good", "history workflow wf-1 --timeline --at 2020-01-01T00:00:00Z", 3, BEGAN),
    ("good", "history workflow wf-1 --timeline --since 2020-01-01T00:00:00Z", 2, ".* leave out --since\\."),
    ("good", "history workflow nope", 3, "There is no workflow nope; check the id\\."),
    *(("good", f"diff workflow wf-1 {n} now", 3, GOOD.format(n)) for n in (0, 9, 2**63)),
    ("good", "diff workflow wf-1 1 v-1", 3, GOOD.format(-1)),
    ("good", "diff workflow wf-1 p999 now", 3, END),
    ("good", "diff workflow wf-1 p-3 now", 3, NEGATIVE),
    ("good", "diff workflow wf-1 1 2100-01-01T00:00:00Z", 3, FUTURE),
    ("good", "diff workflow wf-1 1 2024-01-17T10:00:00", 2, ZONE.format("TO")),
    ("good", "diff workflow wf-1 now start", 3, BEGAN),
    ("good", "diff workflow nope 1 now", 3, "There is no workflow nope; check the id\\."),
    ("good", "diff system p999 now", 3, END),
    ("good", "diff system p-3 now", 3, NEGATIVE),
    ("good", "diff system 3 now", 2, VERSION.format("FROM")),
    ("good", "diff system p20 p3", 2, WRONG_WAY),
    ("good", "diff system start 2020-01-01T00:00:00Z", 3, LOG_BEGAN),
    ("good", "diff system start 2100-01-01T00:00:00Z", 3, FUTURE),
    (
        "good",
        "trace nope",
        3,
        r"Nothing with the correlation id nope is in the log at positions 1 to 23; check the id\.",
    ),
    (
        "good",
        "trace nope --since p5 --until p9",
        3,
        "Nothing .* is in the log at positions 6 to 8; check the id\\.",
    ),
    ("good", "trace nope --since now", 3, "Nothing .* is in the log after position 23; check the id\\."),
    ("good", "trace nope --since p20 --until p3", 2, WRONG_WAY),
    ("good", "trace nope --until p999", 3, END),
    ("good", "trace nope --since 2100-01-01T00:00:00Z", 3, FUTURE),
    ("good", "trace nope --since 3", 2, VERSION.format("--since")),
    ("good", "trace ''", 2, r"Which conversation\? Give its correlation id\."),
    ("good", "replay --into {schema_good} --until p999", 3, END),
    ("good", "replay --into {schema_good} --until 2020-01-01T00:00:00Z", 3, LOG_BEGAN),
    ("good", "replay --into {schema_good} --until p0", 3, LOG_BEGAN),
    ("good", "replay --into {schema_good} --until 2100-01-01T00:00:00Z", 3, FUTURE),
    ("good", "replay --into {schema_good} --until 3", 2, VERSION.format("--until")),
    ("good", "replay --into public", 2, "'public' is no name for a replay's schema: use .*"),
    ("good", "replay --into tenant_x", 2, "'tenant_x' is no name for a replay's schema: use .*"),
    ("good", "replay --into dora_state_control", 2, "'dora_state_control' is no name for a replay's schema: use .*"),
    ("good", "replay --check --until p999", 3, END),
    ("good", "replay --check --until start", 3, LOG_BEGAN),
    ("empty", "replay --check --until 2020-01-01T00:00:00Z", 3, EMPTY),
    *(
        (tenant, f"rollback workflow wf-1 {cut} {how}", code, said)
        for how in ("--dry-run", DONE)
        for tenant, cut, code, said in (
            *(("good", f"--to-version {n}", 1, NO_ROLLBACK.format(n)) for n in (0, -1, 9, 2**62)),
            ("good", "--to-version 8", 1, "Workflow wf-1 is at version 8 and nothing .*; roll back to an earlier .*"),
            ("good", "--to-position 23", 1, "Workflow wf-1 is at version 8 and nothing .*; roll back to an earlier .*"),
            *(("good", f"--to-position {n}", 1, NO_WAY_BACK) for n in (-3, 0, 1)),
            ("good", "--to-position 999", 1, "The log ends at position 23, before 999; roll back to one up to it\\."),
            ("good", "--to-time 2020-01-01T00:00:00Z", 1, NO_WAY_BACK),
            (
                "good",
                "--to-time 2100-01-01T00:00:00Z",
                1,
                "2100-.*Z lies in the future; roll back to a moment up to 20.*",
            ),
            ("good", "--to-time 2024-01-17T10:00:00", 2, ZONE.format("--to-time")),
            (
                "good",
                "--to-version 1 --to-position 5",
                2,
                "--to-version and --to-position can't be asked for at once: .*",
            ),
        )
    ),
    ("good", "rollback workflow nope --to-version 1 --dry-run", 3, "There is no workflow nope; check the id\\."),
    *(
        (tenant, f"export {format} {cut}", code, said)
        for format in ("jsonl", "ocel", "xes", "csv")
        for tenant, cut, code, said in (
            ("empty", "", 3, EMPTY),
            *(("good", f"--workflow wf-1 --version {n}", 3, GOOD.format(n)) for n in (0, -1, 9, 2**63)),
            ("good", "--version 3", 2, "--version is one of a single workflow: give --workflow ID too, or .*\\."),
            ("good", "--workflow nope", 3, "There is no workflow nope; check the id\\."),
            ("good", "--workflow wf-1 --at 2020-01-01T00:00:00Z", 3, BEGAN),
            ("good", "--at 2020-01-01T00:00:00Z", 3, LOG_BEGAN),
            ("good", "--at 0001-01-01T00:00:00Z", 3, LOG_BEGAN),
            ("good", "--at 2100-01-01T00:00:00Z", 3, FUTURE),
            ("good", "--at 2024-01-17T10:00:00", 2, ZONE.format("--at")),
            ("good", "--since 2024-01-17T10:00:00", 2, ZONE.format("--since")),
            ("good", "--since 2100-01-01T00:00:00Z", 3, "Nothing was recorded from 2100-01-01T00:00:00Z up to 20.*"),
            ("good", "--position 0", 3, LOG_BEGAN),
            ("good", "--position -3", 3, NEGATIVE),
            ("good", "--position 999", 3, END),
            ("good", "--position 3 --at 2024-01-17T10:00:00Z", 2, "--at and --position can't be asked for at once: .*"),
        )
    ),
    ("good", "export pdf", 2, "There is no format 'pdf': use one of jsonl, ocel, xes, csv\\."),
]

POSITIONS = (
    r"Can't read the log there: positions 1 to {last} are archived \({gone}\); what came after position {last},"
    r" {last_at}, can be read; bring the archive back for the rest\."
)
VERSIONS = r"Can't read the log there: the versions of {} before {} are archived \({{gone}}\); {}"
REST = "bring the archive back for the rest\\."
OLD = VERSIONS.format("workflow-old", 9, f"only its state of now can be asked for; {REST}")
LONG = VERSIONS.format(
    "workflow-long", 8, rf"its states from version 9 of 20\S+Z on can be asked for, and its history after that; {REST}"
)
T1 = VERSIONS.format(
    "task-t1", 6, rf"its states from version 6 of 20\S+Z on can be asked for, and its history after that; {REST}"
)
NO_LONG = r"The workflow long began at 20\S+Z; ask for that moment or a later one\."
MONTH_GONE = [
    ("months", "show workflow old --version 8", 4, OLD),
    ("months", "show workflow old --at {gap}", 4, OLD),
    ("months", "show workflow old --position 999", 3, "The log ends at position .*"),
    ("months", "show workflow long --version 2", 4, LONG),
    ("months", "show workflow long --position 5", 4, POSITIONS),
    ("months", "show workflow long --at 2020-01-01T00:00:00Z", 3, NO_LONG),
    ("months", "show task t1 --version 5", 4, T1),
    ("months", "show system --at {within}", 4, POSITIONS),
    ("months", "show system --position 5", 4, POSITIONS),
    (
        "months",
        "show system --at {next_at}",
        4,
        VERSIONS.format("system-platform", 2, f"only its state of now.*{REST}"),
    ),
    ("months", "history workflow old", 4, OLD),
    ("months", "history workflow old --newest-first", 4, OLD),
    ("months", "history workflow long", 4, LONG),
    ("months", "history workflow long --newest-first", 4, LONG),
    ("months", "history workflow long --after 7", 4, LONG),
    ("months", "history workflow long --timeline", 4, LONG),
    ("months", "diff workflow long 2 now", 4, LONG),
    ("months", "diff workflow long start now", 4, LONG),
    ("months", "diff system start now", 4, POSITIONS),
    ("months", "diff system p5 now", 4, POSITIONS),
    ("months", "diff system start {gap}", 4, POSITIONS),
    ("months", "trace conversation", 4, POSITIONS),
    ("months", "trace conversation --until p5", 4, POSITIONS),
    ("months", "rollback workflow old --to-version 8 --dry-run", 4, OLD),
    ("months", f"rollback workflow old --to-version 7 {DONE}", 4, OLD),
    ("months", "rollback workflow long --to-version 2 --dry-run", 4, LONG),
    (
        "months",
        "rollback workflow long --to-time 2020-01-01T00:00:00Z --dry-run",
        1,
        r"Workflow long began at 20\S+Z; .*",
    ),
    ("months", "replay --into {schema_months}", 4, POSITIONS),
    ("months", "replay --into {schema_months} --until {next_at}", 4, POSITIONS),
    ("months", "replay --check --until p5", 4, POSITIONS),
    *(("months", f"export {format}", 4, POSITIONS) for format in ("jsonl", "ocel", "csv")),
    ("months", "export xes", 4, "Can't read the log there: the versions of .* are archived .*"),
    *(("months", f"export {format} --workflow old", 4, OLD) for format in ("jsonl", "ocel", "xes", "csv")),
]

SENT = (
    "workflow-wf-1, version 9: The log holds an event WorkflowSentToMars of schema version 1, which this release does"
    " not know; run the release that wrote it, or a later one; its states up to version 8 can be asked for\\."
)
HALTED = (
    "Event 24 is a WorkflowSentToMars of schema version 1, which this release does not know; run the release that wrote"
    " it, or a later one, or ask for what was up to position 23\\."
)
SHAPE = (
    "workflow-wf-1, version 9: A stored event WorkflowPaused does not have the shape of its type; restore it from a"
    " backup; its states up to version 8 can be asked for\\."
)
MISFIT = (
    "workflow-wf-2, version 2: .*WorkflowTaskChanged .*restore it .*; its states up to version 1 can be asked for\\."
)
UNSAID = (
    "task-wf-1-report, version 3: what was said with the event TaskScheduled \\(its metadata\\) can't be understood;"
    " restore it from a backup; all states can be asked for\\."
)
NOT_UNDERSTOOD = [
    *(
        (tenant, command, 4, said)
        for tenant, said in (("unknown", SENT), ("broken", SHAPE))
        for command in (
            "show workflow wf-1",
            "show workflow wf-1 --version 9",
            "show workflow wf-1 --version 10",
            "history workflow wf-1 --newest-first",
            "history workflow wf-1 --after 9",
            "history workflow wf-1 --timeline",
            "diff workflow wf-1 1 now",
            "diff system p23 now",
            "rollback workflow wf-1 --to-version 3 --dry-run",
            f"rollback workflow wf-1 --to-version 3 {DONE}",
        )
    ),
    *(
        (tenant, f"export {format} --workflow wf-1", 4, said)
        for tenant, said in (("unknown", SENT), ("broken", SHAPE))
        for format in ("jsonl", "ocel", "xes", "csv")
    ),
    *(
        (tenant, f"export {format}", 4, r"workflow-wf-\d, version \d: .*; an export as jsonl copies it as it is\.")
        for tenant in ("unknown", "broken")
        for format in ("ocel", "csv")
    ),
    ("unknown", "export xes", 4, SENT),
    ("unknown", "show system --position 25", 4, HALTED),
    ("unknown", "replay --check", 4, HALTED),
    ("unknown", "replay --into {schema_unknown}", 4, HALTED),
    ("broken", "show workflow wf-2", 4, MISFIT),
    ("broken", "history workflow wf-2 --after 1", 4, MISFIT),
    ("broken", "history workflow wf-2 --timeline", 4, MISFIT),
    ("broken", "history task wf-1-report --after 2", 4, UNSAID),
]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: list[str]

    @property
    def errors(self) -> list[str]:
        return [line.removeprefix("Error: ") for line in self.err if line.startswith("Error: ")]


@pytest.fixture
def run(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str, str], Said]:
    """The command line in this process, on one of the tenants."""
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", world.database_url)
    monkeypatch.setenv("DORA_STATE_REDIS_URL", world.redis_url)

    def ended(tenant: str, command: str) -> Said:
        capsys.readouterr()
        code = main(["--tenant", world.names[tenant], *shlex.split(filled(world, command))])
        told = capsys.readouterr()
        return Said(code, told.out, told.err.splitlines())

    return ended


def filled(world: World, text: str, as_pattern: bool = False) -> str:
    for name, value in world.facts.items():
        shown = iso(value) if hasattr(value, "astimezone") else str(value)  # type: ignore[arg-type]  # a time
        text = text.replace("{" + name + "}", re.escape(str(shown)) if as_pattern else str(shown))
    return text


@pytest.mark.parametrize(("tenant", "command", "code", "said"), [*NO_SUCH_MOMENT, *MONTH_GONE, *NOT_UNDERSTOOD])
def test_what_can_not_be_told_is_said_in_one_sentence(
    world: World, run: Callable[[str, str], Said], tenant: str, command: str, code: int, said: str
) -> None:
    ended = run(tenant, command)
    assert (ended.code, ended.out) == (code, ""), ended
    assert len(ended.errors) == 1, ended.err
    assert re.fullmatch(filled(world, said, as_pattern=True), ended.errors[0]), ended.err


WHAT_IS_LEFT = [
    ("good", "show system --position 1", "agents     1 active"),
    ("good", "diff workflow wf-1 start now", "not there -> v8"),
    ("good", "diff workflow wf-1 p0 now", "not there -> v8"),
    ("good", "history workflow wf-1 --since 0001-01-01T00:00:00Z --limit 1", "v1  "),
    ("months", "show workflow old", "completed"),
    ("months", "show task t-old", "earlier entries of the audit trail that are left out: 5"),
    ("months", "show task t1", "earlier entries of the audit trail that are left out: 5"),
    ("months", "show workflow long --version 9", "as of       version 9"),
    ("months", "show workflow long --at {next_at}", "t2    completed"),
    ("months", "show agent a --at {next_at}", "Agent a  healthy"),
    ("months", "show system", "environment  test"),
    ("months", "history workflow long --after 9", "v10  "),
    ("months", "history workflow long --newest-first --limit 2", "completed"),
    ("months", "history workflow new --timeline", "t-new"),
    ("months", "diff workflow long 9 now", "v9 of "),
    ("months", "diff workflow long {next_at} now", "t3.state: "),
    ("months", "diff system {next_at} now", "workflow new  appeared"),
    ("months", "trace conversation --since p{last}", "CompleteTask"),
    ("months", "trace conversation --since {gap}", "CompleteTask"),
    ("months", "rollback workflow new --to-version 1 --dry-run", "Nothing was recorded"),
    *(("months", f"export {format} --workflow new", "t-new") for format in ("jsonl", "xes", "csv")),
    ("months", "export jsonl --since {next_at}", "t-new"),
    *(
        (tenant, "export jsonl", word)
        for tenant, word in (("unknown", "WorkflowSentToMars"), ("broken", "WorkflowPaused"))
    ),
    *(("broken", f"export {format} --position 23", "wf-1-review") for format in ("jsonl", "ocel", "xes", "csv")),
    *(
        (tenant, command, word)
        for tenant in ("unknown", "broken")
        for command, word in (
            ("show workflow wf-1 --version 8", "as of       version 8"),
            ("show workflow wf-1 --position 23", "as of       version 8"),
            ("show agent policy-analyzer-001", "version 4, position 19"),
            ("show system", "agents     1 active"),
            ("show system --position 23", "agents     1 active"),
            ("history workflow wf-1 --version 8 --newest-first --limit 1", "v8  "),
            ("history workflow wf-1 --limit 3", "v3  "),
            ("history workflow wf-1 --timeline --version 8", "wf-1-review"),
            ("diff workflow wf-1 1 8", "v8 of "),
            ("diff system start p23", "workflow wf-1  appeared"),
            ("replay --check --until p23", "All agree."),
        )
    ),
    ("broken", "show task wf-1-report", "task_scheduled"),
    ("spoiled", "show workflow wf-1 --version 7", "as of       version 7"),
    ("spoiled", "history workflow wf-1 --after 6 --limit 1", "v7  "),
    ("spoiled", "diff system p10 now", "workflow wf-1  changed"),
    ("spoiled", "rollback workflow wf-1 --to-version 6 --dry-run", "Nothing was recorded"),
    ("spoiled", "replay --check --until p23", "All agree."),
]


@pytest.mark.parametrize(("tenant", "command", "word"), WHAT_IS_LEFT)
def test_what_is_left_can_be_asked_for(
    world: World, run: Callable[[str, str], Said], tenant: str, command: str, word: str
) -> None:
    ended = run(tenant, command)
    assert (ended.code, ended.errors) == (0, []), ended
    assert word in ended.out


def test_a_page_after_the_last_one_is_empty_and_says_how_far_it_goes(run: Callable[[str, str], Said]) -> None:
    for options in ("--after 8", f"--after {2**63} --newest-first", "--since 2100-01-01T00:00:00Z"):
        ended = run("good", f"history workflow wf-1 {options}")
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == ["No version of workflow wf-1 is like that; it has versions 1 to 8."]


@pytest.mark.parametrize(
    ("tenant", "kind", "id", "versions"), [("broken", "task", "wf-1-report", 2), ("unknown", "workflow", "wf-1", 8)]
)
def test_a_history_tells_what_it_can_and_then_why_it_ends(
    run: Callable[[str, str], Said], tenant: str, kind: str, id: str, versions: int
) -> None:
    ended = run(tenant, f"history {kind} {id} --json")
    assert [json.loads(line)["version"] for line in ended.out.splitlines()] == [*range(1, versions + 1)]
    assert ended.code == 4
    assert ended.errors[0].startswith(f"{kind}-{id}, version {versions + 1}: ")


def test_a_check_says_what_it_could_not_compare(run: Callable[[str, str], Said]) -> None:
    ended = run("months", "replay --check")
    assert ended.code == 4
    assert ended.out.endswith("All of them agree.\n")
    assert ended.errors == [
        "7 streams have events that are archived and were not compared; bring the archive back and check again."
    ]
    assert run("months", "replay --check --json").out.endswith('"archived":7}\n')


def test_a_schema_that_is_not_ours_is_left_alone_and_a_replay_that_can_not_begin_leaves_none(
    world: World, run: Callable[[str, str], Said]
) -> None:
    async def execute(statement: str) -> list[tuple[object, ...]]:
        async with connected(world.database_url, world.names["good"]) as admin:
            cursor = await admin.execute(statement.encode())
            return await cursor.fetchall() if cursor.description else []

    schema = world.facts["schema_spoiled"]
    apart(execute(f"CREATE SCHEMA {schema}"))
    for options in ("", "--anew"):
        ended = run("good", f"replay --into {schema} {options}")
        said = f"The schema {schema} exists, and no replay made it: name one that does not exist."
        assert (ended.code, ended.out, ended.errors) == (2, "", [said])
    assert run("months", "replay --into {schema_months}").code == 4
    left = apart(execute(f"SELECT 1 FROM pg_namespace WHERE nspname = '{world.facts['schema_months']}'"))
    assert left == []


def test_an_answer_is_told_whatever_the_read_models_do(run: Callable[[str, str], Said]) -> None:
    ended = run("unknown", f"rollback workflow wf-1 --to-version 0 {DONE} --json")
    assert json.loads(ended.out)["outcome"] == "failed"
    assert len(ended.errors) == 1
    assert [line for line in ended.err if line.startswith("The read models are behind: Event 24 is ")]


async def test_with_a_month_missing_each_state_is_the_one_that_it_was_or_none(world: World) -> None:
    async with world.manager("months") as manager:
        told = await ask(manager)
        assert 0 < len(told) < len(world.before)
        for asked, document in told.items():
            assert document == world.before[asked], asked
        for kind, id in STREAMS:
            versions = await manager.version(kind, id)
            answered = [version for version in range(1, versions + 1) if (kind, id, Cut(version=version)) in told]
            try:
                await FOLDER.at(manager.platform.log, f"{kind}-{id}", Cut(version=1))
            except Archived as error:
                begin = error.facts["from_version"]
                assert begin is None or [*range(int(str(begin)), versions + 1)] == answered[answered.index(begin) :]  # type: ignore[arg-type]  # a number
            else:
                assert answered == [*range(1, versions + 1)]


async def test_a_promised_snapshot_that_was_spoiled_is_no_promise(world: World) -> None:
    name = world.names["months"]
    async with connected(world.database_url, name) as admin, world.manager("months") as manager:
        whole = b"UPDATE snapshots SET digest = %s WHERE stream_id = 'workflow-long' AND version = 9 RETURNING digest"
        ((digest,),) = await rows(
            admin, "SELECT digest FROM snapshots WHERE stream_id = 'workflow-long' AND version = 9"
        )
        await admin.execute(whole, (b"\x00",))
        try:
            with pytest.raises(Archived, match="its states from version 12 of 20"):
                await manager.state("workflow", "long", cut=Cut(version=2))
            with pytest.raises(Archived, match="its states from version 12 of 20"):
                await manager.state("workflow", "long", cut=Cut(version=9))
            assert (await manager.state("workflow", "long", cut=Cut(version=12)))["stream_version"] == 12
        finally:
            await admin.execute(whole, (digest,))
