"""The agent's document, in the shape of SPEC's second example; its presence is joined when read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.agent import Agent
from projections.documents.values import Document, iso, ratio

COLUMNS = (
    "agent_type",
    "node_id",
    "capabilities",
    "current_tasks",
    "available_slots",
    "registered_at",
    "updated_at",
)
CHECKS = ("memory", "cpu", "disk", "network", "external_deps")
"""The checks that SPEC names; one that was never reported is `unknown`."""


@dataclass(frozen=True, slots=True)
class Presence:
    """An agent's last heartbeat: telemetry, of which only the last is kept.

    `usage` has SPEC's keys of `resource_usage`, as far as the agent told them.
    """

    agent_id: str
    last_heartbeat: datetime
    usage: Mapping[str, Any] | None = None
    queue_size: int | None = None


def columns(agent: Agent) -> tuple[Any, ...]:
    """What agents are found by, in the order of COLUMNS; capabilities as JSON, as each agent has its own number of
    them.
    """
    return (
        agent.agent_type,
        agent.node_id,
        orjson.dumps(agent.capabilities).decode(),
        len(agent.slots),
        agent.available_slots,
        agent.registered_at,
        agent.updated_at,
    )


def stored(agent: Agent) -> Document:
    return {
        "agent_id": agent.agent_id,
        "agent_type": agent.agent_type,
        "instance_id": agent.instance_id,
        "node_id": agent.node_id,
        "state": agent.state,
        "last_heartbeat": None,
        "registration_time": agent.registered_at,
        "capabilities": agent.capabilities,
        "resource_usage": _usage(None),
        "capacity": {
            "max_concurrent_tasks": agent.max_concurrent_tasks,
            "current_tasks": len(agent.slots),
            "available_slots": agent.available_slots,
            "queue_size": None,
            "processing_rate": None,
        },
        "performance_metrics": {
            "tasks_completed": agent.completed,
            "average_execution_time": round(agent.execution_time / agent.timed, 6) if agent.timed else None,
            "success_rate": ratio(agent.completed, agent.completed + agent.failed, of_nothing=1.0),
            "error_count": agent.failed,
        },
        "current_tasks": [
            {
                "task_id": task_id,
                "workflow_id": slot.workflow_id,
                "start_time": slot.started_at,
                "estimated_completion": slot.estimated_completion,
                "priority": slot.priority,
            }
            for task_id, slot in agent.slots.items()
        ],
        "health_status": {
            "overall": agent.state,
            "checks": dict.fromkeys(CHECKS, "unknown") | agent.checks,
            "last_health_check": agent.checked_at,
        },
        "configuration": {
            "version": agent.configuration_version,
            "config_hash": agent.config_hash,
            "last_config_update": agent.configured_at,
        },
        "updated_at": agent.updated_at,
    }


def as_of(document: Document, presence: Presence | None, processing_rate: float | None) -> Document:
    """The document with its presence, and the tasks completed a minute (None: not known for that moment)."""
    capacity = document["capacity"]
    capacity["processing_rate"] = processing_rate
    if presence is not None and presence.last_heartbeat >= datetime.fromisoformat(document["registration_time"]):
        # One from before it was deregistered and came back tells nothing of it now.
        capacity["queue_size"] = presence.queue_size
        document["last_heartbeat"] = iso(presence.last_heartbeat)
        document["resource_usage"] = _usage(presence.usage)
    return document


def _usage(usage: Mapping[str, Any] | None) -> Document:
    shape: Document = {
        "cpu_percent": None,
        "memory_percent": None,
        "disk_percent": None,
        "network_io": {"rx": None, "tx": None},
        "gpu_utilization": None,
    }
    return shape | {key: value for key, value in (usage or {}).items() if value is not None}
