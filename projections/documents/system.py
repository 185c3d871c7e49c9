"""The system's document, in the shape of SPEC's fifth example; counts and rates are added when read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.system import LIMITS, System
from projections.documents.values import Document, iso, moment, percent, ratio, whole

COLUMNS: tuple[str, ...] = ()
COMPONENTS = (
    "workflow_engine",
    "state_manager",
    "communication_layer",
    "monitoring_system",
    "database",
    "cache",
    "message_queue",
)
"""The components that SPEC names; one that was never reported is `unknown`."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened up to a moment."""

    completed_today: int
    ended: int
    """Attempts that ended within the last 24 hours, completed or failed; `failed` of them failed."""
    failed: int
    average_response_time: float | None
    tasks_per_minute: float
    workflows_per_hour: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted of a moment. `position` and `applied_at`: how far the log was, as far as is known."""

    position: int
    applied_at: datetime | None
    counts: Mapping[tuple[str, str], int]
    """How many documents there are by kind and state."""
    rates: Rates
    utilization: Mapping[str, tuple[Any, Any]]
    """Allocated and total over all pools, by kind."""

    def count(self, kind: str, *states: str) -> int:
        return sum(self.counts.get((kind, state), 0) for state in states)


def columns(system: System) -> tuple[Any, ...]:
    return ()


def stored(system: System) -> Document:
    return {
        "system_id": system.system_id,
        "environment": system.environment,
        "version": system.version,
        "deployment_id": system.deployment_id,
        "last_updated": system.updated_at,
        "overall_health": system.overall_health,
        "component_health": dict.fromkeys(COMPONENTS, "unknown") | system.components,
        "active_workflows": None,
        "active_agents": None,
        "pending_tasks": None,
        "running_tasks": None,
        "completed_tasks_today": None,
        "error_rate": None,
        "average_response_time": None,
        "throughput": {"tasks_per_minute": None, "workflows_per_hour": None},
        "resource_summary": {
            "total_cpu_utilization": None,
            "total_memory_utilization": None,
            "total_storage_utilization": None,
        },
        "configuration": {name: whole(getattr(system, name)) for name in LIMITS},
        "maintenance_windows": [
            {
                "start": window.start,
                "end": window.end,
                "type": window.kind,
                "description": window.description,
                "window_id": window_id,
                "blocks_starts": window.blocks_starts,
            }
            for window_id, window in system.maintenance.items()
        ],
        "imports": [
            {
                "file_name": imported.file_name,
                "sha256": imported.sha256,
                "began_at": imported.began_at,
                "ended_at": imported.ended_at,
                "counts": imported.counts,
            }
            for imported in system.imports
        ],
        "created_at": system.created_at,
    }


def unheard_of(now: datetime) -> Document:
    """The document of a system that was never configured: its counts are of interest all the same."""
    document = stored(System(created_at=now, updated_at=now))
    nothing_yet = {"created_at": None, "last_updated": None, "recorded_at": None}
    return document | nothing_yet | {"stream_version": 0, "position": 0}


def as_of(document: Document, figures: Figures) -> Document:
    """The document with its counts and rates."""
    rates = figures.rates
    latest = max(filter(None, (moment(document["last_updated"]), figures.applied_at)), default=None)
    return document | {
        "last_updated": iso(latest),
        "active_workflows": figures.count("workflow", "running", "paused"),
        "active_agents": figures.count("agent", "healthy", "degraded"),
        "pending_tasks": figures.count("task", "created", "scheduled", "assigned"),
        "running_tasks": figures.count("task", "running"),
        "completed_tasks_today": rates.completed_today,
        "error_rate": ratio(rates.failed, rates.ended, of_nothing=0.0),
        "average_response_time": rates.average_response_time,
        "throughput": {
            "tasks_per_minute": rates.tasks_per_minute,
            "workflows_per_hour": rates.workflows_per_hour,
        },
        "resource_summary": {
            f"total_{kind}_utilization": percent(*figures.utilization.get(kind, (0, 0)))
            for kind in ("cpu", "memory", "storage")
        },
    }
