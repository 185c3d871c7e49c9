"""Which events end a task's attempt, and what is known of it then."""

import orjson

from domain.aggregate import Event
from domain.log import RecordedEvent
from domain.task import Task, TaskCancelled, TaskCompleted, TaskFailed, TaskTimedOut
from projections.batch import Attempt
from projections.documents.values import seconds

OUTCOMES: dict[type[Event], str] = {
    TaskCompleted: "completed",
    TaskFailed: "failed",
    TaskTimedOut: "timed_out",
    TaskCancelled: "cancelled",
}


def ended_attempt(before: Task, event: Event, record: RecordedEvent) -> Attempt | None:
    """The attempt that this event ends; None if the task was not running.

    What an import inferred has no duration. A task scheduled and started at one moment waited for nothing
    that was measured.
    """
    if before.state != "running":
        return None
    measured = b'"inferred"' not in record.metadata or not _inferred(record.metadata)
    waited = seconds(before.scheduled_at, before.started_at) or None
    return Attempt(
        position=record.position,
        at=event.at,
        task_id=before.task_id,
        workflow_id=before.workflow_id,
        agent_id=before.agent_id,
        outcome=OUTCOMES[type(event)],
        duration=seconds(before.started_at, event.at) if measured else None,
        response_time=waited if measured else None,
    )


def _inferred(metadata: bytes) -> bool:
    return bool(orjson.loads(metadata).get("inferred"))
