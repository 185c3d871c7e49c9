"""The demo's story as data, before anything is played."""

import io
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from rich.console import Console

from commands.edge import Edge
from dora_state import demo
from dora_state.cli import main
from dora_state.cli.output import Output
from dora_state.demo import TENANT
from dora_state.demo.assessment import Assessment, Submission
from dora_state.demo.cast import AGENTS, TASKS
from dora_state.demo.report import health_parts
from dora_state.demo.scenario import RollBack, Step, story
from dora_state.demo.stage import DemoStopped
from dora_state.health import HealthReport
from dora_state.servers import Say
from dora_state.settings import Settings

BEGAN = datetime(2026, 11, 23, 10, 30, 0, 250_000, tzinfo=UTC)
RUN = Assessment(BEGAN)
STEPS = [step for step in story(RUN) if isinstance(step, Step)]


def submissions() -> list[Submission]:
    return [submission for step in STEPS for submission in step.submissions]


@pytest.fixture
def edge() -> Edge:
    return Edge(tenant=TENANT, new_id=uuid4, clock=lambda: BEGAN)


def test_every_submission_of_the_story_passes_the_edge(edge: Edge) -> None:
    for submission in submissions():
        assert edge.check(submission).command.type == submission["type"]


def test_the_story_has_what_an_assessment_has() -> None:
    counts = Counter(submission["type"] for submission in submissions())
    assert counts["AddTask"] == len(TASKS) == 8
    assert counts["RegisterAgent"] == len(AGENTS)
    assert counts["SatisfyDependency"] == 2
    for once in ("CreateWorkflow", "StartWorkflow", "CreatePool", "MarkOffline", "RetryTask", "UpdateConfiguration"):
        assert counts[once] == 1, once
    assert counts["Heartbeat"] >= len(AGENTS)
    assert any(step.refused for step in STEPS)


def test_the_rollback_goes_to_a_moment_that_the_story_has_marked_before() -> None:
    marked: set[str | None] = set()
    rollbacks = 0
    for step in story(RUN):
        if isinstance(step, RollBack):
            rollbacks += 1
            assert step.to in marked
            assert step.reason
            assert step.operator
        else:
            marked.add(step.mark)
    assert rollbacks == 1


def test_a_person_can_follow_the_story_and_it_stays_well_below_a_minute() -> None:
    seconds = sum(step.seconds for step in story(RUN))
    assert 15 <= seconds <= 25
    assert all(len(step.says) <= 160 for step in STEPS), "two lines of 80 columns"


def test_two_runs_of_the_same_moment_have_ids_of_their_own() -> None:
    later = Assessment(BEGAN)
    assert later.workflow_id != RUN.workflow_id
    assert not {later.task_id(task.name) for task in TASKS} & {RUN.task_id(task.name) for task in TASKS}


async def test_whoever_waits_without_a_terminal_is_told_on_stderr_what_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def slow(settings: Settings, say: Say) -> AsyncIterator[None]:
        say("Starting PostgreSQL ...")
        raise DemoStopped("That is all.")
        yield

    monkeypatch.setattr(demo, "open_state_manager", slow)
    assert await demo.perform(Settings(), Output(as_json=True)) == 1
    assert capsys.readouterr() == ("", "Starting PostgreSQL ...\nThe demo was stopped. That is all.\n")


@pytest.mark.parametrize(("options", "tenant"), [([], "demo"), (["--tenant", "stage"], "stage")])
def test_the_demo_plays_on_a_tenant_of_its_own_or_on_the_one_asked_for(
    options: list[str], tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played_on: list[str] = []

    async def perform(settings: Settings, output: Output) -> int:
        played_on.append(settings.tenant)
        return 0

    monkeypatch.setenv("DORA_STATE_TENANT", "bank")
    monkeypatch.setattr(demo, "perform", perform)
    assert main([*options, "demo"]) == 0
    assert played_on == [tenant]


def test_the_reports_average_is_named_after_what_it_measures() -> None:
    system = {
        "system_id": "s",
        "environment": "demo",
        "version": "1",
        "overall_health": "healthy",
        "component_health": {},
        "completed_tasks_today": 1,
        "error_rate": 0.0,
        "average_response_time": 2.5,
        "resource_summary": {"total_cpu_utilization": 0, "total_memory_utilization": 0},
        "active_workflows": 0,
        "active_agents": 1,
        "running_tasks": 0,
        "pending_tasks": 0,
    }
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(*health_parts(system, HealthReport({}, BEGAN), 100), sep="\n")
    assert re.search(r"average wait to start +2\.5 s", captured.get())


def test_ids_tell_the_day_and_a_short_suffix() -> None:
    assert RUN.workflow_id == f"wf-dora-2026-11-23-{RUN.suffix}"
    assert len(RUN.suffix) == 6


def test_a_text_is_shortened_by_what_only_tells_one_run_from_another() -> None:
    text = f"Task {RUN.task_id('risk-scoring')} waits for {RUN.task_id('gap-assessment')}."
    assert RUN.short(text) == "Task risk-scoring waits for gap-assessment."
