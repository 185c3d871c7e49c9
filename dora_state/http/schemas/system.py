"""The system: one in a tenant."""

from typing import get_args

from domain.system import ComponentHealth
from dora_state.http.schemas.words import (
    ANY_OBJECT,
    NUMBER,
    PLACE,
    SECONDS,
    TEXT,
    TIME,
    WHOLE,
    YES_OR_NO,
    Schema,
    by_name,
    list_of,
    literal,
    maybe,
    of,
    one_of,
    told,
)


def system() -> dict[str, Schema]:
    return {
        "System": _system(counted=True),
        "StoredSystem": told(_system(counted=False), "Without its counts and rates, which are of when it is read."),
    }


def _system(*, counted: bool) -> Schema:
    """`counted`: with what is known when it is read; else that is null."""

    def known(schema: Schema) -> Schema:
        return schema if counted else maybe(schema)

    counts = ("active_workflows", "active_agents", "pending_tasks", "running_tasks", "completed_tasks_today")
    kinds = ("cpu", "memory", "storage")
    window = {
        "start": TIME, "end": TIME, "type": TEXT, "description": TEXT, "window_id": TEXT, "blocks_starts": YES_OR_NO,
    }  # fmt: skip
    imported = {
        "file_name": TEXT, "sha256": TEXT, "began_at": TIME, "ended_at": maybe(TIME), "counts": ANY_OBJECT,
    }  # fmt: skip
    never = {"last_updated": maybe(TIME), "created_at": maybe(TIME), "recorded_at": maybe(TIME)}
    return of(
        {
            "system_id": TEXT, "environment": maybe(TEXT), "version": maybe(TEXT), "deployment_id": maybe(TEXT),
            "overall_health": told(literal(ComponentHealth), "The worst; a warning alone leaves it healthy."),
            "component_health": by_name(one_of(*get_args(ComponentHealth), "unknown")),
        }
        | dict.fromkeys(counts, known(WHOLE))
        | {
            "error_rate": told(known(NUMBER), "Of the attempts that ended in the last 24 hours."),
            "average_response_time": told(maybe(NUMBER), "Seconds from scheduled to started, in the last 24 hours."),
            "throughput": of({"tasks_per_minute": known(NUMBER), "workflows_per_hour": known(NUMBER)}),
            "resource_summary": of({f"total_{kind}_utilization": known(NUMBER) for kind in kinds}),
            "configuration": told(
                of(
                    {
                        "max_concurrent_workflows": maybe(WHOLE), "max_workflow_duration": SECONDS,
                        "default_timeout": SECONDS, "retry_attempts": maybe(WHOLE),
                    }
                ),
                "null: no limit.",
            ),
            "maintenance_windows": list_of(of(window)), "imports": list_of(of(imported)),
        }
        | PLACE
        | never
    )  # fmt: skip
