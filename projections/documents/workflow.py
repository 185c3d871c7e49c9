"""The workflow's document, in the shape of SPEC's first example."""

from typing import Any

from domain.workflow import TaskView, Workflow
from projections.documents.values import Document, percent

COLUMNS = (
    "definition_id",
    "definition_version",
    "priority",
    "created_at",
    "started_at",
    "limited_from",
    "updated_at",
    "ended_at",
    "scheduled_completion",
)


def columns(workflow: Workflow) -> tuple[Any, ...]:
    """What workflows are found by, in the order of COLUMNS."""
    return (
        workflow.definition_id,
        workflow.definition_version,
        workflow.priority,
        workflow.created_at,
        workflow.started_at,
        workflow.limited_from,
        workflow.updated_at,
        workflow.ended_at,
        workflow.scheduled_completion,
    )


def stored(workflow: Workflow) -> Document:
    return {
        "workflow_id": workflow.workflow_id,
        "definition_id": workflow.definition_id,
        "version": workflow.definition_version,
        "state": workflow.state,
        "created_at": workflow.created_at,
        "started_at": workflow.started_at,
        "updated_at": workflow.updated_at,
        "scheduled_completion": workflow.scheduled_completion,
        "context": workflow.context,
        "tasks": {task_id: _task(view) for task_id, view in workflow.tasks.items()},
        "metrics": _metrics(workflow),
        "dependencies": {"satisfied": workflow.satisfied, "pending": workflow.pending},
        "error_info": _error_info(workflow),
        "retry_count": workflow.retry_count,
        "max_retries": workflow.max_retries,
        "ended_at": workflow.ended_at,
        "start_at": workflow.start_at,
        "priority": workflow.priority,
        "completion": workflow.completion,
        "on_task_failure": workflow.on_task_failure,
    }


def _task(view: TaskView) -> Document:
    return {
        "state": view.state,
        "assigned_agent": view.assigned_agent,
        "start_time": view.start_time,
        "end_time": view.end_time,
        "inputs": view.inputs,
        "outputs": view.outputs,
        "definition_id": view.definition_id,
        "requires": view.requires,
        "awaits": view.awaits,
        "error": view.error,
    }


def _metrics(workflow: Workflow) -> Document:
    """The five counts add up to the total; what was cancelled is no part of the progress."""
    total = sum(workflow.counts.values())
    completed = workflow.count("completed")
    cancelled = workflow.count("cancelled")
    return {
        "total_tasks": total,
        "completed_tasks": completed,
        "running_tasks": workflow.count("running"),
        "pending_tasks": workflow.count("created", "scheduled", "assigned"),
        "progress_percentage": percent(completed, total - cancelled),
        "failed_tasks": workflow.failed_tasks,
        "cancelled_tasks": cancelled,
    }


def _error_info(workflow: Workflow) -> Document | None:
    if workflow.error is None:
        return None
    return {"message": workflow.error, "task_id": workflow.failed_task, "failed_at": workflow.failed_at}
