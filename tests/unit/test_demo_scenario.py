"""The demo's story as data, before anything is played."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from commands.edge import Edge
from dora_state.demo import TENANT
from dora_state.demo.assessment import Assessment, Submission
from dora_state.demo.cast import AGENTS, TASKS
from dora_state.demo.scenario import RollBack, Step, story

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


def test_two_runs_a_tenth_of_a_second_apart_have_ids_of_their_own() -> None:
    later = Assessment(BEGAN + timedelta(milliseconds=100))
    assert later.workflow_id != RUN.workflow_id
    assert not {later.task_id(task.name) for task in TASKS} & {RUN.task_id(task.name) for task in TASKS}


def test_ids_tell_the_day_and_a_short_suffix() -> None:
    assert RUN.workflow_id == f"wf-dora-2026-11-23-{RUN.suffix}"
    assert len(RUN.suffix) == 4


def test_a_text_is_shortened_by_what_only_tells_one_run_from_another() -> None:
    text = f"Task {RUN.task_id('risk-scoring')} waits for {RUN.task_id('gap-assessment')}."
    assert RUN.short(text) == "Task risk-scoring waits for gap-assessment."
