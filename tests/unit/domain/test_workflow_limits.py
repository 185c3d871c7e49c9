"""How long a workflow may take."""

from datetime import datetime, timedelta

import pytest

from domain import workflow
from domain.aggregate import Event
from domain.values import iso
from domain.workflow import (
    WORKFLOW,
    Workflow,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowPaused,
    WorkflowRetried,
    WorkflowStarted,
)
from tests.support.decider import Decision, given
from tests.support.examples import AT, LATER, workflow_created

STARTED = WorkflowStarted(at=AT)
FAILED = WorkflowFailed(at=AT, error="broken")


def overlong(at: datetime) -> Decision:
    def check(w: Workflow) -> list[Event]:
        workflow.require_overlong(w, 60, at)
        return []

    return check


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([WorkflowStarted(at=AT)], "running"),
        ([STARTED, WorkflowPaused(at=AT)], "paused"),
        ([WorkflowStarted(at=AT - timedelta(days=1)), FAILED, WorkflowRetried(at=AT, retry=1)], "running"),
    ],
)
def test_a_workflow_is_overlong_once_it_was_active_for_that_time(events: list[Event], state: str) -> None:
    given(WORKFLOW, workflow_created(), *events).when(overlong(AT + timedelta(seconds=60))).then()
    refused = given(WORKFLOW, workflow_created(), *events).when(overlong(AT + timedelta(seconds=59)))
    refused.refused("workflow_within_limit", workflow_id="w1", state=state, longer_than=60, active_since=iso(AT))
    assert f"its time counts from {iso(AT)}" in str(refused.refusal)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "created"),
        ([STARTED, WorkflowCompleted(at=AT)], "completed"),
        ([STARTED, FAILED], "failed"),
        ([STARTED, WorkflowCancelled(at=AT, reason="no longer needed")], "cancelled"),
    ],
)
def test_a_workflow_that_is_not_active_is_not_overlong(events: list[Event], state: str) -> None:
    refused = given(WORKFLOW, workflow_created(), *events).when(overlong(LATER))
    refused.refused("workflow_within_limit", workflow_id="w1", state=state, longer_than=60, active_since=None)
    assert f"it is {state}" in str(refused.refusal)
