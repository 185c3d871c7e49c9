"""A task: who does it, how far it is, what it holds, and what happened to it."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from dora_state.cli.formats import as_of, bar, compact, facts, heading, lasting, names, number, table, when


def parts(document: dict[str, Any]) -> Iterator[RenderableType]:
    metrics, retries = document["execution_metrics"], document["retry_info"]
    yield heading("Task", document["task_id"], document["state"])
    yield facts(
        {
            "workflow": document["workflow_id"],
            "definition": document["definition_id"],
            "priority": document["priority"],
            "agent": _agent(document["assigned_agent"]),
            "progress": bar(document["progress"]["percentage"]),
            **_phases(document["progress"]),
            **_dependencies(document["dependencies"]),
            "created": when(document["created_at"]),
            "scheduled": _moment(document, "scheduled_at"),
            "started": _moment(document, "started_at"),
            "expected": _moment(document, "estimated_completion"),
            "deadline": _moment(document, "deadline"),
            "ended": _moment(document, "ended_at"),
            "waited": lasting(metrics["start_delay"]),
            "took": lasting(metrics["execution_time"]),
            "memory peak": metrics["memory_peak"],
            "CPU average": number(metrics["cpu_average"]) if metrics["cpu_average"] is not None else None,
            "requires": _resources(document["resource_requirements"]),
            "holds": _allocation(document["resource_allocation"]),
            "attempt": f"{retries['attempt']} of {retries['max_attempts']}",
            "last error": retries["last_error"],
            "inputs": compact(document["inputs"]) if document["inputs"] else None,
            "outputs": compact(document["outputs"]) if document["outputs"] else None,
            "as of": as_of(document),
        }
    )
    if document["audit_trail"]:
        yield ""
        yield _trail(document["audit_trail"])
    if omitted := document["audit_trail_omitted"]:
        yield ""
        yield f"earlier entries of the audit trail that are left out: {omitted}; see history"


def _moment(document: Mapping[str, Any], key: str) -> str | None:
    return when(document[key]) if document[key] else None


def _agent(assigned: Mapping[str, Any] | None) -> str | None:
    if assigned is None:
        return None
    return f"{assigned['agent_id']} since {when(assigned['assigned_at'])} ({assigned['assignment_reason']})"


def _phases(progress: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        "phase": progress["current_phase"],
        "phases done": names(progress["phases_completed"]) if progress["phases_completed"] else None,
        "phases left": names(progress["phases_remaining"]) if progress["phases_remaining"] else None,
        "note": progress.get("note"),
    }


def _dependencies(dependencies: Mapping[str, list[str]]) -> dict[str, str | None]:
    return {
        "needs": names(dependencies["required"]) if dependencies["required"] else None,
        "blocked by": names(dependencies["blocked_by"]) if dependencies["blocked_by"] else None,
    }


def _resources(wanted: Mapping[str, Any]) -> str | None:
    told = [f"{kind} {wanted[kind]}" for kind in ("cpu", "memory", "storage", "gpu") if wanted.get(kind)]
    if wanted.get("timeout"):
        told.append(f"at most {lasting(wanted['timeout'])}")
    return ", ".join(told) or None


def _allocation(held: Mapping[str, Any] | None) -> str | None:
    if held is None:
        return None
    kinds = ("cpu", "memory", "storage", "gpu")
    told = [f"{kind} {held[f'allocated_{kind}']}" for kind in kinds if held.get(f"allocated_{kind}")]
    return f"{', '.join(told)} of pool {held['pool_id']} ({held['allocation_id']})"


def _trail(entries: list[dict[str, Any]]) -> Table:
    rows = table("when", "event", "actor", title="What happened")
    for entry in entries:
        rows.add_row(when(entry["timestamp"], fraction=True), entry["event"], entry["actor"] or "-")
    return rows
