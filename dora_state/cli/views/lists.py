"""Lists as tables: a line for each document, with what one looks for first; on 100 columns."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from dora_state.cli.formats import NOTHING, Listing, lasting, number, state, when

Documents = Sequence[dict[str, Any]]
_TIMES = {
    "updated": ("changed", "updated_at"),
    "deadline": ("deadline", "deadline"),
    "ended": ("ended", "ended_at"),
    "scheduled_completion": ("due", "scheduled_completion"),
}
"""Which time is shown of lists that are sorted by it; else when it was created."""


def tasks(documents: Documents, key: str, now: datetime) -> Listing:
    column, at = _TIMES.get(key, ("created", "created_at"))
    rows = Listing("task", "state", "priority", "workflow", "definition", "agent", column)
    for task in documents:
        agent = task["assigned_agent"]
        rows.add_row(
            task["task_id"],
            state(task["state"]),
            task["priority"],
            task["workflow_id"],
            task["definition_id"],
            agent["agent_id"] if agent else NOTHING,
            when(task[at]),
        )
    return rows


def workflows(documents: Documents, key: str, now: datetime) -> Listing:
    column, at = _TIMES.get(key, ("created", "created_at"))
    rows = Listing("workflow", "state", "priority", "definition", "done", column)
    for workflow in documents:
        metrics = workflow["metrics"]
        rows.add_row(
            workflow["workflow_id"],
            state(workflow["state"]),
            workflow["priority"],
            f"{workflow['definition_id']} {workflow['version']}",
            f"{number(metrics['completed_tasks'])} of {number(metrics['total_tasks'])}",
            when(workflow[at]),
        )
    return rows


def agents(documents: Documents, key: str, now: datetime) -> Listing:
    rows = Listing("agent", "state", "type", "node", "slots", "heartbeat", "reserved", "tasks")
    for agent in documents:
        capacity = agent["capacity"]
        rows.add_row(
            agent["agent_id"],
            state(agent["state"]),
            agent["agent_type"],
            agent["node_id"] or NOTHING,
            f"{capacity['current_tasks']} of {capacity['max_concurrent_tasks']}",
            _heartbeat(agent["presence"]),
            _held(agent["reservations"], now),
            _first([task["task_id"] for task in agent["current_tasks"]]),
        )
    return rows


def pools(documents: Documents, key: str, now: datetime) -> Listing:
    rows = Listing("pool", "cpu", "memory", "storage", "gpu", "reservations", "next expires")
    for pool in documents:
        taken = pool["utilization_metrics"]
        rows.add_row(
            pool["resource_pool_id"],
            *(f"{taken[f'{kind}_utilization']:g} %" for kind in ("cpu", "memory", "storage", "gpu")),
            number(pool["active_reservations"]),
            _expiry(pool["next_expiry"], now),
        )
    return rows


def reservations(documents: Documents, key: str, now: datetime) -> Listing:
    rows = Listing("reservation", "pool", "task", "agent", "resources", "expires")
    for held in documents:
        rows.add_row(
            held["reservation_id"],
            held["resource_pool_id"],
            held["task_id"] or NOTHING,
            held["agent_id"] or NOTHING,
            ", ".join(f"{kind} {quantity}" for kind, quantity in held["resources"].items()),
            _expiry(held["expires_at"], now),
        )
    return rows


ROWS: dict[str, Callable[[Documents, str, datetime], Listing]] = {
    "tasks": tasks,
    "workflows": workflows,
    "agents": agents,
    "pools": pools,
    "reservations": reservations,
}


def _heartbeat(presence: dict[str, Any]) -> str:
    if presence["seconds"] is None:
        return "unheard"
    return f"{presence['status']}, {lasting(presence['seconds'])} ago"


def _first(ids: Sequence[str]) -> str:
    if not ids:
        return NOTHING
    return ids[0] if len(ids) == 1 else f"{ids[0]} +{number(len(ids) - 1)}"


def _held(reservations: Sequence[dict[str, Any]], now: datetime) -> str:
    """How many, and when the first of them expires."""
    if not reservations:
        return NOTHING
    return f"{number(len(reservations))}, {_expiry(reservations[0]['expires_at'], now)}"


def _expiry(at: str | None, now: datetime) -> str:
    if at is None:
        return "never"
    left = (datetime.fromisoformat(at) - now).total_seconds()
    return f"in {lasting(left)}" if left > 0 else f"{lasting(-left)} ago"
