"""A resource pool: how much of what is taken, and by whom."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from dora_state.cli.formats import Listing, as_of, bar, facts, heading, number, table, when

_KINDS = {"cpu": "cpu_cores", "memory": "memory_gb", "storage": "storage_gb", "gpu": "gpu_units"}
_TITLES = {"cpu": "CPU cores", "memory": "memory GB", "storage": "storage GB", "gpu": "GPUs"}


def parts(document: dict[str, Any]) -> Iterator[RenderableType]:
    yield heading("Pool", document["resource_pool_id"])
    yield facts(
        {
            "created": when(document["created_at"]),
            "changed": when(document["last_updated"]),
            "weights": _weights(document["allocation_policies"]["priority_weights"]),
            "as of": as_of(document),
        }
    )
    yield ""
    yield _kinds(document)
    if document["reservations"]:
        yield ""
        yield _reservations(document["reservations"])


def _weights(weights: Mapping[str, int]) -> str | None:
    return ", ".join(f"{priority} {weight}" for priority, weight in weights.items()) or None


def _kinds(document: Mapping[str, Any]) -> Table:
    rows = table("resource", "utilization", "taken", "free", "total", "ratio")
    for kind, key in _KINDS.items():
        if document["total_capacity"][key]:
            rows.add_row(
                _TITLES[kind],
                bar(document["utilization_metrics"][f"{kind}_utilization"]),
                number(document["allocated_resources"][key]),
                number(document["available_capacity"][key]),
                number(document["total_capacity"][key]),
                number(document["allocation_policies"].get(f"{kind}_overcommit_ratio", 1)),
            )
    return rows


def _reservations(reservations: list[dict[str, Any]]) -> Listing:
    rows = Listing("reservation", "task", "agent", "resources", "expires")
    for held in reservations:
        resources = ", ".join(f"{kind} {quantity}" for kind, quantity in held["resources"].items())
        expires = when(held["expires_at"])
        rows.add_row(held["reservation_id"], held["task_id"] or "-", held["agent_id"] or "-", resources, expires)
    return rows
