"""Events to begin a test with: the least that an aggregate needs, and what the test says besides."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.task import TaskCreated, TaskProgressed
from domain.workflow import WorkflowCreated, WorkflowTaskAdded, WorkflowTaskChanged

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def workflow_created(**fields: Any) -> WorkflowCreated:
    named: dict[str, Any] = {"workflow_id": "w1", "definition_id": "assessment", "definition_version": "1.2.0"}
    return WorkflowCreated(at=AT, **(named | fields))


def task_added(task_id: str, **fields: Any) -> WorkflowTaskAdded:
    return WorkflowTaskAdded(at=AT, task_id=task_id, definition_id="analysis", **fields)


def task_changed(task_id: str, state: str, **fields: Any) -> WorkflowTaskChanged:
    return WorkflowTaskChanged.model_validate({"at": AT, "task_id": task_id, "state": state} | fields)


def task_created(**fields: Any) -> TaskCreated:
    named: dict[str, Any] = {"task_id": "t1", "workflow_id": "w1", "definition_id": "analysis", "max_attempts": 2}
    return TaskCreated(at=AT, **(named | fields))


def task_progressed(**fields: Any) -> TaskProgressed:
    return TaskProgressed(at=AT, **fields)
