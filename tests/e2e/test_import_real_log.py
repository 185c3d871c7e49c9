"""The bank's log, imported and held against the raw file, by code that shares nothing.

A part of it, since the whole takes minutes: that is in tests/long.
"""

import asyncio
import gzip
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dora_state import Cut, DoraStateError, open_state_manager
from dora_state.importing import ImportReport, import_xes
from dora_state.settings import Settings, load_settings
from infrastructure.embedded import EmbeddedServers
from tests.oracle import raw_xes
from tests.support.command_line import CommandLine
from tests.support.homes import furnished_home

ROOT = Path(__file__).resolve().parents[2]
LOG = Path(os.environ.get("DORA_STATE_TEST_XES") or ROOT.parent / "shared" / "data" / "bpic2012.xes.gz")
TRACES = 150
PAIRS = 200
BY_COMMAND_LINE = 5

pytestmark = [
    pytest.mark.skipif(not LOG.exists(), reason="the bank's log is not here"),
    pytest.mark.timeout(900),
]


class Quiet:
    """No progress is shown."""

    def begin(self, phase: str, total: int | None) -> None: ...

    def advance(self, count: int) -> None: ...

    def end(self) -> None: ...


def part_of(log: Path, traces: int, part: Path) -> Path:
    """A log up to the end of so many traces, compressed too."""
    ended = 0
    with gzip.open(log, "rt") as whole, gzip.open(part, "wt", compresslevel=1) as written:
        for line in whole:
            written.write(line)
            ended += "</trace>" in line
            if ended == traces:
                break
        written.write("</log>\n")
    return part


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return part_of(LOG, TRACES, tmp_path_factory.mktemp("log") / "part.xes.gz")


@pytest.fixture(scope="module")
def imported(log: Path) -> Iterator[tuple[Settings, ImportReport]]:
    """A home of its own: this test must not slow down the servers that others share."""
    with furnished_home("dora-state-import-") as home:
        settings = load_settings(home=home, tenant="bank", database_url=None, redis_url=None)
        report = asyncio.run(import_xes(settings, log, progress=Quiet()))
        with EmbeddedServers(home):  # so that nobody who asks has to start them
            yield settings, report


@pytest.fixture(scope="module")
def raw(log: Path) -> raw_xes.RawLog:
    return raw_xes.load(log)


def test_the_report_counts_what_is_in_the_raw_log(imported: tuple[Settings, ImportReport], raw: raw_xes.RawLog) -> None:
    _, report = imported
    totals = raw_xes.totals(raw)
    assert report.traces == totals.traces
    assert report.events_read == report.events_imported == totals.events
    assert {state: count for state, count in totals.tasks.items() if count} == report.tasks
    assert {state: count for state, count in totals.workflows.items() if count} == report.workflows
    assert report.agents == totals.agents_assigned
    assert report.skipped == {}


def test_200_random_workflows_and_moments_agree_with_the_raw_log(
    imported: tuple[Settings, ImportReport], raw: raw_xes.RawLog
) -> None:
    settings, _ = imported
    pairs = raw_xes.random_pairs(raw, PAIRS, seed=2012)

    async def shown() -> list[dict[str, Any] | None]:
        async with open_state_manager(settings) as manager:
            documents: list[dict[str, Any] | None] = []
            for trace_id, moment in pairs:
                try:
                    documents.append(await manager.state("workflow", trace_id, cut=Cut(at=moment)))
                except DoraStateError:
                    documents.append(None)
            return documents

    for (trace_id, moment), document in zip(pairs, asyncio.run(shown()), strict=True):
        expected = raw_xes.state_at(raw, trace_id, moment)
        assert _facts(document, raw) == _expected_facts(expected), (trace_id, moment)


def test_the_command_line_shows_the_same(imported: tuple[Settings, ImportReport], raw: raw_xes.RawLog) -> None:
    settings, _ = imported
    line = CommandLine(settings.home, DORA_STATE_TENANT=settings.tenant)
    checked = 0
    for trace_id, moment in raw_xes.random_pairs(raw, BY_COMMAND_LINE, seed=1):
        expected = raw_xes.state_at(raw, trace_id, moment)
        shown = line("show", "workflow", trace_id, "--at", moment.isoformat(), "--json")
        assert (shown.code == 0) == (expected is not None), shown.err
        if expected is not None:
            assert _facts(shown.json, raw) == _expected_facts(expected), (trace_id, moment)
            checked += 1
    assert checked


def _facts(document: dict[str, Any] | None, raw: raw_xes.RawLog) -> Any:
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
    times = [_time(document[name]) for name in ("created_at", "started_at", "ended_at")]
    return document["state"], times, tasks


def _expected_facts(expected: raw_xes.Expected | None) -> Any:
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
