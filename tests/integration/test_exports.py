"""Exports from PostgreSQL into files, and back: months, gaps, files that are whole or not there, equal workflows."""

import csv
import gzip
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.errors import CutOutOfRange, InvalidInput, LogError, NotFound
from domain.log import NOW, Cut
from dora_state import StateManager, open_state_manager
from dora_state.exporting import ExportReport, begin_export, new_file
from infrastructure.event_store import PostgresEventLog
from tests.support.exported import check_json_lines, check_ocel
from tests.support.importing import Quiet, Tenant
from tests.support.log import command
from tests.support.postgres import connected, rows
from tests.support.xes_logs import LoggedEvent, LoggedTrace, at

MONTH = 31 * 24 * 3600


@pytest.fixture
def kept(tenant: str, tmp_path: Path, database_url: str, redis_url: str) -> Tenant:
    return Tenant(tenant, tmp_path / "home", database_url, redis_url)


COMMANDS: list[dict[str, Any]] = [
    {
        "type": "RegisterAgent",
        "data": {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 3, "state": "healthy"},
    },
    {"type": "CreatePool", "data": {"pool_id": "p", "total": {"cpu": "8"}}},
    {
        "type": "CreateWorkflow",
        "data": {"workflow_id": "w", "definition_id": "d", "context": {"amount": 5, "x\u2028": "é"}},
    },
    {"type": "AddTask", "data": {"workflow_id": "w", "task_id": "w/1", "definition_id": "one", "max_attempts": 2}},
    {
        "type": "AddTask",
        "data": {
            "workflow_id": "w",
            "task_id": "w/2",
            "definition_id": "two",
            "requires": ["w/1"],
            "resource_requirements": {"cpu": "500m"},
        },
    },
    {"type": "StartWorkflow", "data": {"workflow_id": "w"}},
    {"type": "ScheduleTask", "data": {"task_id": "w/1"}},
    {"type": "AssignTask", "data": {"task_id": "w/1", "agent_id": "a", "reason": "able", "pool_id": "p"}},
    {"type": "StartTask", "data": {"task_id": "w/1"}},
    {"type": "ReportProgress", "data": {"task_id": "w/1", "percentage": 40.0}},
    {"type": "FailTask", "data": {"task_id": "w/1", "error": "lost"}},
    {"type": "RetryTask", "data": {"task_id": "w/1"}},
    {"type": "AssignTask", "data": {"task_id": "w/1", "agent_id": "a", "reason": "able"}},
    {"type": "StartTask", "data": {"task_id": "w/1"}},
    {
        "type": "CompleteTask",
        "data": {"task_id": "w/1", "outputs": {"score": 1}},
        "occurred_at": "2024-01-17T10:00:00Z",
    },
    {"type": "ScheduleTask", "data": {"task_id": "w/2"}},
    {"type": "AssignTask", "data": {"task_id": "w/2", "agent_id": "a", "reason": "able", "pool_id": "p"}},
    {"type": "StartTask", "data": {"task_id": "w/2"}},
    {"type": "RollBackWorkflow", "data": {"workflow_id": "w", "to_version": 9, "reason": "wrong", "operator": "me"}},
    {"type": "CreateWorkflow", "data": {"workflow_id": "other", "definition_id": "d"}},
]


async def submit(manager: StateManager) -> None:
    for told in COMMANDS:
        answer = await manager.submit({"actor": "tester", **told})
        assert answer.outcome == "accepted", answer.problem


async def text_of(manager: StateManager, format: str, cut: Cut = NOW, **more: Any) -> bytes:
    return b"".join([piece async for piece in manager.export(format, cut=cut, **more)])


async def into_file(manager: StateManager, format: str, path: Path) -> ExportReport:
    chosen = await begin_export(manager.platform, format)
    with new_file(path) as file:
        return await chosen.into(file.write, Quiet())


def without_places(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without where its events lie in the log, and without who was asked to record them there."""
    return {key: value for key, value in document.items() if key not in ("position", "audit_trail")}


async def test_what_is_exported_as_xes_and_imported_is_the_same_workflow(kept: Tenant, tmp_path: Path) -> None:
    async with open_state_manager(kept.settings) as manager:
        await submit(manager)
        report = await into_file(manager, "xes", tmp_path / "log.xes.gz")
        before = {id: await manager.state("workflow", id, live=True) for id in ("w", "other")}
        tasks = {id: await manager.state("task", id, live=True) for id in ("w/1", "w/2")}
        history = [entry async for entry in manager.history("workflow", "w")]
    assert report.until_position == history[-1].position + 1  # the creation of the other workflow

    again = Tenant(f"{kept.name}_again", kept.home, kept.database_url, kept.redis_url)
    told = await again.imports(tmp_path / "log.xes.gz")
    assert (told.skipped, told.other_transitions) == ({}, {})
    assert told.events_imported == told.events_read
    async with open_state_manager(again.settings) as manager:
        for id, document in before.items():
            assert without_places(await manager.state("workflow", id, live=True)) == without_places(document)
        for id, document in tasks.items():
            assert without_places(await manager.state("task", id, live=True)) == without_places(document)
        back = [entry async for entry in manager.history("workflow", "w")]
        assert [(one.version, one.recorded_at, one.type, one.data, one.actor) for one in back] == [
            (one.version, one.recorded_at, one.type, one.data, one.actor) for one in history
        ]
        completed = [entry async for entry in manager.history("task", "w/1") if entry.type == "TaskCompleted"]
        assert completed[0].occurred_at == "2024-01-17T10:00:00Z"
        # It goes on: what the tasks hold can be given back.
        answer = await manager.submit(
            {"type": "CancelWorkflow", "actor": "x", "data": {"workflow_id": "w", "reason": "r"}}
        )
        assert answer.outcome == "accepted", answer.problem
        # And once more, with what came of it.
        await into_file(manager, "xes", tmp_path / "again.xes")


async def test_every_format_agrees_with_the_log(kept: Tenant) -> None:
    async with open_state_manager(kept.settings) as manager:
        await submit(manager)
        events = await manager.platform.log.read_log(after_position=0, limit=10_000)
        check_json_lines(await text_of(manager, "jsonl"), events)
        check_ocel(await text_of(manager, "ocel"), events)
        table = list(csv.DictReader(io.StringIO((await text_of(manager, "csv")).decode())))
        assert [int(row["position"]) for row in table] == [event.position for event in events]
        for event in events:
            whole = [one for one in events if one.position <= event.position + event.following]
            check_json_lines(await text_of(manager, "jsonl", Cut(at=event.recorded_at)), whole)
        own = [one for one in events if one.stream_id in ("workflow-w", "task-w/1", "task-w/2")]
        version = Cut(version=own[-1].version)
        told = await text_of(manager, "jsonl", version, workflow_id="w")
        assert [json.loads(line)["position"] for line in told.splitlines()] == [
            one.position for one in events if one.type not in ("AgentRegistered", "PoolCreated")
        ][: len(told.splitlines())]


async def test_an_export_goes_over_months_and_says_which_one_is_missing(kept: Tenant, tmp_path: Path) -> None:
    old = LoggedTrace("old", (LoggedEvent("A", "start", at(0)), LoggedEvent("A", "complete", at(MONTH))))
    new = LoggedTrace(
        "new", (LoggedEvent("A", "start", at(2 * MONTH)), LoggedEvent("A", "complete", at(2 * MONTH + 5)))
    )
    await kept.imports(kept.write(old, new))
    async with open_state_manager(kept.settings) as manager:
        events = await manager.platform.log.read_log(after_position=0, limit=10_000)
        check_json_lines(await text_of(manager, "jsonl"), events)
        check_ocel(
            await text_of(manager, "ocel", workflow_id="old"),
            _concerning(await text_of(manager, "jsonl", workflow_id="old"), events),
        )
        async with connected(kept.database_url, kept.name) as connection:
            (partition,) = [
                name for (name,) in await rows(connection, "SELECT partition FROM months ORDER BY 1 LIMIT 1")
            ]
            await rows(connection, "SELECT archive_month(%s)", partition)
        for format in ("jsonl", "csv", "ocel", "xes"):
            with pytest.raises(LogError, match="archived"):
                await text_of(manager, format)
        with pytest.raises(LogError, match="archived"):
            await text_of(manager, "jsonl", workflow_id="old")
        # What lies after it can be had.
        later = at(2 * MONTH)
        since = [event for event in events if event.recorded_at >= later]
        check_json_lines(await text_of(manager, "jsonl", since=later), since)
        assert (await text_of(manager, "xes", workflow_id="new")).count(b"<event>") == 7


def _concerning(text: bytes, events: list[Any]) -> list[Any]:
    positions = {json.loads(line)["position"] for line in text.splitlines()}
    return [event for event in events if event.position in positions]


# --- files ---------------------------------------------------------------------------------------------------


async def test_a_file_holds_the_whole_export(kept: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    async with open_state_manager(kept.settings) as manager:
        await submit(manager)
        report = await into_file(manager, "jsonl", path)
        whole = await text_of(manager, "jsonl")
    assert gzip.decompress(path.read_bytes()) == whole
    assert (report.bytes, report.events) == (len(whole), whole.count(b"\n"))


def names(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


def test_a_file_is_private_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with new_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidInput, match="is there already"), new_file(path) as file:
        file.write(b"other")
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["log.csv"]


def test_of_two_that_write_one_file_the_first_to_end_has_it(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"

    def write() -> None:
        with new_file(path) as mine:
            mine.write(b"mine")
            with new_file(path) as theirs:
                theirs.write(b"theirs")

    with pytest.raises(InvalidInput, match="is there already"):
        write()
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["log.csv"]


@pytest.mark.parametrize("error", [OSError(28, os.strerror(28)), RuntimeError("x"), KeyboardInterrupt()])
def test_a_file_that_was_cut_short_is_not_there(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with new_file(tmp_path / "log.xes.gz") as file:
            file.write(b"half")
            raise error

    expected = InvalidInput if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as raised:
        write()
    assert not names(tmp_path)
    if isinstance(error, OSError):
        assert "can't be written (No space left on device); check the path and the room" in str(raised.value)


@pytest.mark.parametrize("path", ["none/log.xes", "."])
def test_a_path_that_can_not_be_written_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match=r"can't be written|is there already"), new_file(tmp_path / path):
        pass


async def test_what_is_asked_wrongly_is_one_sentence(kept: Tenant) -> None:
    async with open_state_manager(kept.settings) as manager:
        with pytest.raises(CutOutOfRange, match="The log is empty"):
            await text_of(manager, "jsonl")
        await submit(manager)
        for error, match, format, more in (
            (InvalidInput, "no format 'pdf': use one of jsonl, ocel, xes, csv", "pdf", {}),
            (InvalidInput, "version is one of a single workflow", "xes", {"cut": Cut(version=1)}),
            (NotFound, "no workflow nothing", "xes", {"workflow_id": "nothing"}),
            (CutOutOfRange, "has versions 1 to", "xes", {"workflow_id": "w", "cut": Cut(version=99)}),
        ):
            with pytest.raises(error, match=match):
                await text_of(manager, format, **more)


async def test_commands_of_a_month_that_was_never_analyzed_are_found_by_its_index(log: PostgresEventLog) -> None:
    """The end of the command before is one step back, and not looked for in the whole month."""
    for begin in range(0, 4_000, 500):
        await log.append([command({"task-long": version}) for version in range(begin, begin + 500)])
    async with log._connections.connection() as connection:
        for query in (
            "SELECT * FROM read_commands(ARRAY(SELECT generate_series(3901, 3999, 2)::bigint))",
            "SELECT max(w.last_position) FROM generate_series(3901, 3999, 2) p, whole_command(p) w",
        ):
            plan = await (
                await connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query}".encode())
            ).fetchall()
            told = "\n".join(str(line) for (line,) in plan)
            (hit, *_) = re.findall(r"shared hit=(\d+)", told)
            assert int(hit) < 50 * 40, told
