"""What is seen of the house: the keys of the documents that SPEC shows, as the model has them."""

from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from tests.models.house.rooms import FAILED, KINDS, Agent, Pool, Rooms, System, Task, Workflow

Seen = dict[str, Any]
NAMES = {"cpu": "cpu_cores", "memory": "memory_gb", "storage": "storage_gb", "gpu": "gpu_units"}
UNITS = {"cpu": Fraction(1), "memory": Fraction(10**9), "storage": Fraction(10**9), "gpu": Fraction(1)}


def everything(rooms: Rooms) -> dict[str, Seen]:
    """By stream."""
    seen = {f"workflow-{one}": of_workflow(rooms, workflow) for one, workflow in rooms.workflows.items()}
    seen |= {f"task-{one}": of_task(task) for one, task in rooms.tasks.items()}
    seen |= {f"agent-{one}": of_agent(agent) for one, agent in rooms.agents.items()}
    seen |= {f"pool-{one}": of_pool(pool) for one, pool in rooms.pools.items()}
    return seen | ({} if rooms.system is None else {"system-platform": of_system(rooms.system)})


def of_workflow(rooms: Rooms, workflow: Workflow) -> Seen:
    tasks = {task_id: rooms.tasks[task_id] for task_id in workflow.tasks}
    counts = Counter(task.state for task in tasks.values())
    there = len(tasks) - counts["cancelled"]
    return {
        "state": workflow.state,
        "started_at": time(workflow.started_at),
        "ended_at": time(workflow.ended_at),
        "start_at": time(workflow.start_at),
        "scheduled_completion": time(workflow.planned),
        "context": workflow.context,
        "priority": workflow.priority,
        "completion": workflow.completion,
        "on_task_failure": workflow.on_task_failure,
        "tasks": {task_id: view(task) for task_id, task in tasks.items()},
        "metrics": {
            "total_tasks": len(tasks),
            "pending_tasks": counts["created"] + counts["scheduled"] + counts["assigned"],
            "running_tasks": counts["running"],
            "completed_tasks": counts["completed"],
            "failed_tasks": counts["failed"] + counts["timed_out"],
            "cancelled_tasks": counts["cancelled"],
            "progress_percentage": round(100 * counts["completed"] / there, 2) if there else 0.0,
        },
        "dependencies": {
            "satisfied": sorted(workflow.satisfied),
            "pending": sorted(set(workflow.dependencies) - set(workflow.satisfied)),
        },
        "error_info": workflow.error
        and {"message": workflow.error[0], "task_id": workflow.error[1], "failed_at": time(workflow.error[2])},
        "retry_count": workflow.retries,
        "max_retries": workflow.max_retries,
    }


def view(task: Task) -> Seen:
    """A task as its workflow shows it."""
    return {
        "state": task.state,
        "assigned_agent": task.agent_id,
        "start_time": time(task.started_at),
        "end_time": time(task.ended_at),
        "inputs": task.inputs,
        "outputs": task.outputs,
        "error": task.last_error if task.state in FAILED else None,
    }


def of_task(task: Task) -> Seen:
    needed = [*task.requires, *task.awaits]
    return {
        "workflow_id": task.workflow_id,
        "state": task.state,
        "scheduled_at": time(task.scheduled_at),
        "started_at": time(task.started_at),
        "ended_at": time(task.ended_at),
        "deadline": time(task.deadline),
        "estimated_completion": time(task.estimate),
        "assigned_agent": task.agent_id
        and {"agent_id": task.agent_id, "assigned_at": time(task.assigned_at), "assignment_reason": task.reason},
        "dependencies": {
            "required": sorted(needed),
            "satisfied": sorted(task.met),
            "blocked_by": sorted(set(needed) - task.met),
            "awaits": sorted(task.awaits),
        },
        "inputs": task.inputs,
        "outputs": task.outputs,
        "progress": {
            "percentage": task.percentage,
            "current_phase": task.phase,
            "phases_completed": [*task.phases_done],
            "phases_remaining": [phase for phase in task.phases if phase not in task.phases_done],
            "note": task.note,
        },
        "resource_allocation": task.reservation_id
        and {
            **{f"allocated_{kind}": task.wants.get(kind) for kind in KINDS},
            "allocation_id": task.reservation_id,
            "pool_id": task.pool_id,
        },
        "retry_info": {
            "attempt": task.attempt,
            "max_attempts": task.max_attempts,
            "retry_count": task.retries,
            "last_error": task.last_error,
        },
        "execution_metrics": {"memory_peak": task.memory_peak, "cpu_average": task.cpu_average},
        "priority": task.priority,
    }


def of_agent(agent: Agent) -> Seen:
    tried = agent.completed + agent.failed
    return {
        "state": agent.state,
        "capabilities": sorted(agent.capabilities),
        "capacity": {
            "max_concurrent_tasks": agent.slots_at_most,
            "current_tasks": len(agent.slots),
            "available_slots": agent.slots_at_most - len(agent.slots),
        },
        "performance_metrics": {
            "tasks_completed": agent.completed,
            "average_execution_time": round(sum(agent.times) / len(agent.times), 3) if agent.times else None,
            "success_rate": round(agent.completed / tried, 4) if tried else 1.0,
            "error_count": agent.failed,
        },
        "current_tasks": {
            task_id: {
                "workflow_id": slot.workflow_id,
                "start_time": time(slot.started_at),
                "estimated_completion": time(slot.estimate),
                "priority": slot.priority,
            }
            for task_id, slot in agent.slots.items()
        },
        "checks": agent.checks,
        "configuration": {"version": agent.configuration[0], "config_hash": agent.configuration[1]},
    }


def of_pool(pool: Pool) -> Seen:
    total, lent = pool.total, {kind: pool.allocated(kind) for kind in KINDS}
    return {
        "total_capacity": {NAMES[kind]: float(total[kind] / UNITS[kind]) for kind in KINDS},
        "allocated_resources": {NAMES[kind]: float(lent[kind] / UNITS[kind]) for kind in KINDS},
        "available_capacity": {
            NAMES[kind]: float(max(total[kind] - lent[kind], Fraction(0)) / UNITS[kind]) for kind in KINDS
        },
        "reservations": {
            reservation_id: {
                "task_id": held.task_id,
                "agent_id": held.agent_id,
                "resources": held.resources,
                "created_at": time(held.created_at),
                "expires_at": time(held.expires_at),
                "state": "active",
            }
            for reservation_id, held in pool.reservations.items()
        },
        "allocation_policies": {
            **{f"{kind}_overcommit_ratio": float(pool.ratios[kind]) for kind in KINDS},
            "priority_weights": pool.weights,
        },
    }


def of_system(system: System) -> Seen:
    limits = ("max_concurrent_workflows", "max_workflow_duration", "default_timeout", "retry_attempts")
    return {
        "system_id": system.settings.get("system_id", "dora-compliance-platform"),
        **{name: system.settings.get(name) for name in ("environment", "version", "deployment_id")},
        "configuration": {name: system.settings.get(name) for name in limits},
        "component_health": system.health,
        "maintenance_windows": {
            window_id: {
                "start": time(window.start),
                "end": time(window.end),
                "type": window.kind,
                "description": window.description,
                "blocks_starts": window.blocks,
            }
            for window_id, window in system.windows.items()
        },
    }


def time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
