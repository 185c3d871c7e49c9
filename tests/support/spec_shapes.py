"""The keys of SPEC's five example documents with their types, copied by hand from the specification."""

import re
from typing import Any


class Time:
    """ISO 8601 in UTC with Z."""


class Each:
    """An object whose keys are data: each value is of this shape."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


class Maybe:
    """Of this shape, or null."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CAPACITY = {"cpu_cores": float, "memory_gb": float, "storage_gb": float, "gpu_units": float}

WORKFLOW = {
    "workflow_id": str,
    "definition_id": str,
    "version": str,
    "state": str,
    "created_at": Time,
    "started_at": Time,
    "updated_at": Time,
    "scheduled_completion": Time,
    "context": Each(str),
    "tasks": Each(
        {
            "state": str,
            "assigned_agent": Maybe(str),
            "start_time": Maybe(Time),
            "end_time": Maybe(Time),
            "outputs": dict,
            "inputs": dict,
        }
    ),
    "metrics": {
        "total_tasks": int,
        "completed_tasks": int,
        "running_tasks": int,
        "pending_tasks": int,
        "progress_percentage": float,
    },
    "dependencies": {"satisfied": [str], "pending": [str]},
    "error_info": Maybe(dict),
    "retry_count": int,
    "max_retries": int,
}

AGENT = {
    "agent_id": str,
    "agent_type": str,
    "instance_id": str,
    "node_id": str,
    "state": str,
    "last_heartbeat": Time,
    "registration_time": Time,
    "capabilities": [str],
    "resource_usage": {
        "cpu_percent": float,
        "memory_percent": float,
        "disk_percent": float,
        "network_io": {"rx": int, "tx": int},
        "gpu_utilization": float,
    },
    "capacity": {
        "max_concurrent_tasks": int,
        "current_tasks": int,
        "available_slots": int,
        "queue_size": int,
        "processing_rate": float,
    },
    "performance_metrics": {
        "tasks_completed": int,
        "average_execution_time": float,
        "success_rate": float,
        "error_count": int,
    },
    "current_tasks": [
        {
            "task_id": str,
            "workflow_id": str,
            "start_time": Maybe(Time),
            "estimated_completion": Maybe(Time),
            "priority": str,
        }
    ],
    "health_status": {
        "overall": str,
        "checks": {"memory": str, "cpu": str, "disk": str, "network": str, "external_deps": str},
        "last_health_check": Time,
    },
    "configuration": {"version": str, "config_hash": str, "last_config_update": Time},
}

TASK = {
    "task_id": str,
    "workflow_id": str,
    "definition_id": str,
    "state": str,
    "created_at": Time,
    "scheduled_at": Time,
    "started_at": Time,
    "updated_at": Time,
    "estimated_completion": Time,
    "assigned_agent": {"agent_id": str, "assigned_at": Time, "assignment_reason": str},
    "dependencies": {"required": [str], "satisfied": [str], "blocked_by": [str]},
    "inputs": dict,
    "outputs": dict,
    "progress": {
        "percentage": float,
        "current_phase": str,
        "phases_completed": [str],
        "phases_remaining": [str],
    },
    "resource_requirements": {"cpu": str, "memory": str, "storage": str, "timeout": int},
    "resource_allocation": {
        "allocated_cpu": str,
        "allocated_memory": str,
        "allocated_storage": str,
        "allocation_id": str,
    },
    "execution_metrics": {
        "start_delay": float,
        "execution_time": float,
        "memory_peak": str,
        "cpu_average": float,
    },
    "retry_info": {"attempt": int, "max_attempts": int, "retry_count": int, "last_error": Maybe(str)},
    "audit_trail": [{"timestamp": Time, "event": str, "actor": str, "details": dict}],
}

POOL = {
    "resource_pool_id": str,
    "last_updated": Time,
    "total_capacity": CAPACITY,
    "available_capacity": CAPACITY,
    "allocated_resources": CAPACITY,
    "reservations": [
        {
            "reservation_id": str,
            "task_id": Maybe(str),
            "agent_id": Maybe(str),
            "resources": Each(str),
            "created_at": Time,
            "expires_at": Maybe(Time),
            "state": str,
        }
    ],
    "utilization_metrics": {
        "cpu_utilization": float,
        "memory_utilization": float,
        "storage_utilization": float,
        "gpu_utilization": float,
    },
    "allocation_policies": {
        "cpu_overcommit_ratio": float,
        "memory_overcommit_ratio": float,
        "priority_weights": {"high": int, "medium": int, "low": int},
    },
}

SYSTEM = {
    "system_id": str,
    "environment": str,
    "version": str,
    "deployment_id": str,
    "last_updated": Time,
    "overall_health": str,
    "component_health": {
        "workflow_engine": str,
        "state_manager": str,
        "communication_layer": str,
        "monitoring_system": str,
        "database": str,
        "cache": str,
        "message_queue": str,
    },
    "active_workflows": int,
    "active_agents": int,
    "pending_tasks": int,
    "running_tasks": int,
    "completed_tasks_today": int,
    "error_rate": float,
    "average_response_time": float,
    "throughput": {"tasks_per_minute": float, "workflows_per_hour": float},
    "resource_summary": {
        "total_cpu_utilization": float,
        "total_memory_utilization": float,
        "total_storage_utilization": float,
    },
    "configuration": {
        "max_concurrent_workflows": int,
        "max_workflow_duration": float,
        "default_timeout": float,
        "retry_attempts": int,
    },
    "maintenance_windows": [{"start": Time, "end": Time, "type": str, "description": str}],
}


def misfits(value: Any, shape: Any, path: str = "") -> list[str]:
    """Where a document is not of a shape; keys beyond the shape's are welcome. Lists must not be empty."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return [f"{path} is no object: {value!r}"]
            missing = [f"{path}.{key} is missing" for key in shape if key not in value]
            inside = [misfits(value[key], shape[key], f"{path}.{key}") for key in shape if key in value]
            return missing + [text for texts in inside for text in texts]
        case [inner]:
            if not isinstance(value, list) or not value:
                return [f"{path} is no list with something in it: {value!r}"]
            return [text for place, item in enumerate(value) for text in misfits(item, inner, f"{path}[{place}]")]
        case Each():
            if not isinstance(value, dict) or not value:
                return [f"{path} is no object with something in it: {value!r}"]
            return [text for key, item in value.items() for text in misfits(item, shape.shape, f"{path}.{key}")]
        case Maybe():
            return [] if value is None else misfits(value, shape.shape, path)
    return [] if _fits(value, shape) else [f"{path} is no {shape.__name__}: {value!r}"]


def _fits(value: Any, shape: Any) -> bool:
    if shape is Time:
        return isinstance(value, str) and _TIME.fullmatch(value) is not None
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) if shape is float else isinstance(value, shape)
