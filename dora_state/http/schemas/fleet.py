"""Agents, pools, and what is reserved of them."""

from typing import get_args

from domain.agent import AgentState, Check
from domain.pool import KINDS
from dora_state.http.schemas.words import (
    LINES,
    NUMBER,
    PLACE,
    PRIORITY,
    SECONDS,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    by_name,
    list_of,
    literal,
    maybe,
    of,
    one_of,
    ref,
    told,
)

RESOURCES = told(by_name(TEXT), "Of cpu, memory, storage and gpu, as Kubernetes writes quantities.")
_RESERVED = {
    "task_id": maybe(TEXT), "agent_id": maybe(TEXT), "resources": RESOURCES, "created_at": TIME,
    "expires_at": maybe(TIME), "state": one_of("active"),
}  # fmt: skip


def fleet() -> dict[str, Schema]:
    return {
        "Agent": _agent(),
        "Pool": _pool(),
        "Reservation": of({"reservation_id": TEXT, "resource_pool_id": TEXT} | _RESERVED),
    }


def _agent() -> Schema:
    slot = {
        "task_id": TEXT, "workflow_id": TEXT, "start_time": maybe(TIME), "estimated_completion": maybe(TIME),
        "priority": PRIORITY,
    }  # fmt: skip
    return of(
        {
            "agent_id": TEXT, "agent_type": TEXT, "instance_id": maybe(TEXT), "node_id": maybe(TEXT),
            "state": literal(AgentState),
            "last_heartbeat": told(maybe(TIME), "Telemetry: null of the past, as only the last one is kept."),
            "registration_time": TIME, "capabilities": LINES, "resource_usage": _usage(),
            "capacity": of(
                {
                    "max_concurrent_tasks": WHOLE, "current_tasks": WHOLE, "available_slots": WHOLE,
                    "queue_size": told(maybe(WHOLE), "With the last heartbeat."),
                    "processing_rate": told(maybe(NUMBER), "Tasks completed a minute, over the last 15."),
                }
            ),
            "performance_metrics": of(
                {
                    "tasks_completed": WHOLE, "average_execution_time": SECONDS,
                    "success_rate": told(NUMBER, "completed / (completed + failed); 1 with none."),
                    "error_count": told(WHOLE, "Tasks that failed or timed out once the agent had started them."),
                }
            ),
            "current_tasks": list_of(of(slot)),
            "health_status": of(
                {
                    "overall": literal(AgentState), "checks": by_name(one_of(*get_args(Check), "unknown")),
                    "last_health_check": told(maybe(TIME), "When the health was last recorded."),
                }
            ),
            "configuration": of(
                {"version": maybe(TEXT), "config_hash": maybe(TEXT), "last_config_update": maybe(TIME)}
            ),
            "updated_at": TIME,
        }
        | PLACE,
        presence=told(
            of({"status": one_of("online", "silent", "unheard"), "seconds": told(SECONDS, "Since the heartbeat.")}),
            "In lists only.",
        ),
        reservations=told(list_of(ref("Reservation")), "Held for it, a hundred at most; in lists only."),
    )  # fmt: skip


def _usage() -> Schema:
    percents = ("cpu_percent", "memory_percent", "disk_percent", "gpu_utilization")
    bytes_moved = of({"rx": maybe(WHOLE), "tx": maybe(WHOLE)})
    return of(dict.fromkeys(percents, maybe(NUMBER)) | {"network_io": told(bytes_moved, "Bytes.")})


def _pool() -> Schema:
    capacity = of(dict.fromkeys(("cpu_cores", "memory_gb", "storage_gb", "gpu_units"), NUMBER))
    return of(
        {
            "resource_pool_id": TEXT, "last_updated": TIME, "total_capacity": capacity,
            "available_capacity": told(capacity, "total - allocated, not below 0."), "allocated_resources": capacity,
            "reservations": told(list_of(of({"reservation_id": TEXT} | _RESERVED)), "The active ones."),
            "utilization_metrics": told(
                of({f"{kind}_utilization": NUMBER for kind in KINDS}), "100 x allocated / total; 0 of nothing."
            ),
            "allocation_policies": of(
                {f"{kind}_overcommit_ratio": NUMBER for kind in KINDS} | {"priority_weights": by_name(WHOLE)}
            ),
            "created_at": TIME,
        }
        | PLACE,
        active_reservations=told(WHOLE, "How many; in lists only."),
        next_expiry=told(maybe(TIME), "When the first of them expires; in lists only."),
    )  # fmt: skip
