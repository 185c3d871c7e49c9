"""The task's document, in the shape of SPEC's third example; its audit trail is joined when read."""

from datetime import datetime
from typing import Any

from domain.task import Task
from projections.documents.values import Document, moment, seconds, whole

COLUMNS = (
    "workflow_id",
    "definition_id",
    "agent_id",
    "priority",
    "created_at",
    "scheduled_at",
    "started_at",
    "updated_at",
    "ended_at",
    "deadline",
)


def columns(task: Task) -> tuple[Any, ...]:
    """What tasks are found by, in the order of COLUMNS."""
    return (
        task.workflow_id,
        task.definition_id,
        task.agent_id,
        task.priority,
        task.created_at,
        task.scheduled_at,
        task.started_at,
        task.updated_at,
        task.ended_at,
        task.deadline,
    )


def stored(task: Task) -> Document:
    return {
        "task_id": task.task_id,
        "workflow_id": task.workflow_id,
        "definition_id": task.definition_id,
        "state": task.state,
        "created_at": task.created_at,
        "scheduled_at": task.scheduled_at,
        "started_at": task.started_at,
        "updated_at": task.updated_at,
        "estimated_completion": task.estimated_completion,
        "assigned_agent": _assigned_agent(task),
        "dependencies": {
            "required": (*task.requires, *task.awaits),
            "satisfied": task.satisfied,
            "blocked_by": task.blocked_by,
            "awaits": task.awaits,
        },
        "inputs": task.inputs,
        "outputs": task.outputs,
        "progress": {
            "percentage": task.percentage,
            "current_phase": task.current_phase,
            "phases_completed": task.phases_completed,
            "phases_remaining": [phase for phase in task.phases if phase not in task.phases_completed],
            "note": task.note,
        },
        "resource_requirements": _requirements(task),
        "resource_allocation": _allocation(task),
        "execution_metrics": {
            "start_delay": seconds(task.scheduled_at, task.started_at),
            "execution_time": seconds(task.started_at, task.ended_at),
            "memory_peak": task.memory_peak,
            "cpu_average": task.cpu_average,
        },
        "retry_info": {
            "attempt": task.attempt,
            "max_attempts": task.max_attempts,
            "retry_count": task.retry_count,
            "last_error": task.last_error,
        },
        "audit_trail": [],
        "ended_at": task.ended_at,
        "deadline": task.deadline,
        "priority": task.priority,
        "capabilities": task.capabilities,
    }


def as_of(document: Document, now: datetime) -> Document:
    """The document as asked for at a moment: a running task's time so far."""
    if document["state"] == "running":
        metrics = document["execution_metrics"]
        metrics["execution_time"] = seconds(moment(document["started_at"]), now)
    return document


def _assigned_agent(task: Task) -> Document | None:
    if task.agent_id is None:
        return None
    return {
        "agent_id": task.agent_id,
        "assigned_at": task.assigned_at,
        "assignment_reason": task.assignment_reason,
    }


def _requirements(task: Task) -> Document:
    wanted = task.resource_requirements
    limit = task.time_limit
    return {
        "cpu": wanted.get("cpu"),
        "memory": wanted.get("memory"),
        "storage": wanted.get("storage"),
        "timeout": whole(limit),
        "gpu": wanted.get("gpu"),
    }


def _allocation(task: Task) -> Document | None:
    """What it holds now; None for a task that holds nothing."""
    if task.reservation_id is None:
        return None
    held = task.allocated or {}
    return {
        "allocated_cpu": held.get("cpu"),
        "allocated_memory": held.get("memory"),
        "allocated_storage": held.get("storage"),
        "allocation_id": task.reservation_id,
        "allocated_gpu": held.get("gpu"),
        "pool_id": task.pool_id,
    }
