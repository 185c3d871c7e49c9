"""An agent: whether it is there, what it does, and how well."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dora_state.cli.formats import Listing, as_of, bar, facts, heading, lasting, names, number, when


def parts(document: dict[str, Any]) -> Iterator[RenderableType]:
    capacity, performance = document["capacity"], document["performance_metrics"]
    yield heading("Agent", document["agent_id"], document["state"])
    yield facts(
        {
            "type": document["agent_type"],
            "instance": document["instance_id"],
            "node": document["node_id"],
            "registered": when(document["registration_time"]),
            "last heartbeat": when(document["last_heartbeat"]) if document["last_heartbeat"] else "never heard",
            "capabilities": names(document["capabilities"]),
            "slots": _slots(capacity),
            "queue": number(capacity["queue_size"]) if capacity["queue_size"] is not None else None,
            "completed": f"{number(performance['tasks_completed'])}, {number(performance['error_count'])} failed",
            "success rate": f"{100 * performance['success_rate']:.2f} %",
            "average": lasting(performance["average_execution_time"]),
            "a minute": number(capacity["processing_rate"]) if capacity["processing_rate"] is not None else None,
            **_usage(document["resource_usage"]),
            "checks": _checks(document["health_status"]),
            "configuration": _configuration(document["configuration"]),
            "as of": as_of(document),
        }
    )
    if document["current_tasks"]:
        yield ""
        yield _tasks(document["current_tasks"])


def _slots(capacity: Mapping[str, Any]) -> Text:
    most, taken = capacity["max_concurrent_tasks"], capacity["current_tasks"]
    return bar(round(100 * taken / most, 1) if most else 0.0).append(f"  {taken} of {most} taken")


def _usage(usage: Mapping[str, Any]) -> dict[str, Text | None]:
    kinds = {"cpu": "cpu_percent", "memory": "memory_percent", "disk": "disk_percent", "gpu": "gpu_utilization"}
    return {name: bar(usage[key]) if usage.get(key) is not None else None for name, key in kinds.items()}


def _checks(health: Mapping[str, Any]) -> str | None:
    known = {name: result for name, result in health["checks"].items() if result != "unknown"}
    if not known:
        return None
    told = ", ".join(f"{name} {result}" for name, result in known.items())
    return f"{told} ({when(health['last_health_check'])})"


def _configuration(configuration: Mapping[str, Any]) -> str | None:
    told = [configuration["version"], configuration["config_hash"]]
    return " ".join(part for part in told if part) or None


def _tasks(tasks: list[dict[str, Any]]) -> Listing:
    rows = Listing("task", "workflow", "start", "expected", "priority")
    for task in tasks:
        rows.add_row(
            task["task_id"],
            task["workflow_id"],
            when(task["start_time"]),
            when(task["estimated_completion"]),
            task["priority"],
        )
    return rows
