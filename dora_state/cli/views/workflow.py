"""A workflow: how far it is, what it waits for, and its tasks."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType

from dora_state.cli.formats import Listing, as_of, bar, between, compact, facts, heading, names, state, when


def parts(document: dict[str, Any]) -> Iterator[RenderableType]:
    metrics = document["metrics"]
    yield heading("Workflow", document["workflow_id"], document["state"])
    yield facts(
        {
            "definition": f"{document['definition_id']} {document['version']}",
            "priority": document["priority"],
            "progress": bar(metrics["progress_percentage"]),
            "tasks": counts(metrics),
            "created": when(document["created_at"]),
            "starts": when(document["start_at"]) if document["start_at"] else None,
            "started": when(document["started_at"]),
            "due": when(document["scheduled_completion"]) if document["scheduled_completion"] else None,
            "ended": when(document["ended_at"]) if document["ended_at"] else None,
            **_dependencies(document["dependencies"]),
            "retries": f"{document['retry_count']} of {document['max_retries']}",
            "error": _error(document["error_info"]),
            "context": compact(document["context"]) if document["context"] else None,
            "as of": as_of(document),
        }
    )
    if document["tasks"]:
        yield ""
        yield _tasks(document["tasks"])


def counts(metrics: Mapping[str, int]) -> str:
    """ "8: 1 completed, 1 running, 6 pending"; counts of nothing are left out."""
    sorts = ("completed", "running", "pending", "failed", "cancelled")
    told = [f"{metrics[f'{sort}_tasks']} {sort}" for sort in sorts if metrics[f"{sort}_tasks"]]
    return f"{metrics['total_tasks']}: {', '.join(told)}" if told else "none"


def _dependencies(dependencies: Mapping[str, list[str]]) -> dict[str, str | None]:
    return {
        "waits for": names(dependencies["pending"]) if dependencies["pending"] else None,
        "satisfied": names(dependencies["satisfied"]) if dependencies["satisfied"] else None,
    }


def _error(error: Mapping[str, Any] | None) -> str | None:
    if error is None:
        return None
    return f"{error['message']} (task {error['task_id']})" if error.get("task_id") else str(error["message"])


def _tasks(tasks: Mapping[str, Mapping[str, Any]]) -> Listing:
    rows = Listing("task", "state", "agent", "start", "end", "took")
    for task_id, view in tasks.items():
        begin, end = view["start_time"], view["end_time"]
        rows.add_row(
            task_id,
            state(view["state"]),
            view["assigned_agent"] or "-",
            when(begin),
            when(end),
            between(begin, end),
        )
    return rows
