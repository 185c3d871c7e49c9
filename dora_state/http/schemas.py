"""The schemas of the OpenAPI document: commands by their models, documents by docs/read-models.md."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from commands.messages import COMMANDS
from dora_state.http.locking import LockBody
from dora_state.http.rollbacks import RollbackBody
from dora_state.http.transactions import TransactionBody

Schema = dict[str, Any]
REF = "#/components/schemas/"
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
YES_OR_NO: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
LINES: Schema = {"type": "array", "items": TEXT}
ANYTHING: Schema = {}


def maybe(schema: Schema) -> Schema:
    """Or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def ref(name: str) -> Schema:
    return {"$ref": REF + name}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def of(required: Schema, **optional: Schema) -> Schema:
    """An object that has these keys, and may have more: later releases add some."""
    return {"type": "object", "required": list(required), "properties": required | optional}


PLACE = {"stream_version": WHOLE, "position": WHOLE, "recorded_at": maybe(TIME)}


def _documents() -> dict[str, Schema]:
    names = ("workflow_id", "definition_id", "version", "state", "priority", "completion", "on_task_failure")
    return {
        "Workflow": of(
            dict.fromkeys(names, TEXT)
            | {
                "created_at": TIME, "started_at": maybe(TIME), "updated_at": TIME, "ended_at": maybe(TIME),
                "scheduled_completion": maybe(TIME), "context": OBJECT,
                "tasks": {"type": "object", "additionalProperties": OBJECT}, "metrics": OBJECT,
                "dependencies": of({"satisfied": LINES, "pending": LINES}), "error_info": maybe(OBJECT),
                "retry_count": WHOLE, "max_retries": maybe(WHOLE),
            }
            | PLACE
        ),
        "Task": of(
            dict.fromkeys(("task_id", "workflow_id", "definition_id", "state", "priority"), TEXT)
            | {
                "created_at": TIME, "scheduled_at": maybe(TIME), "started_at": maybe(TIME), "updated_at": TIME,
                "ended_at": maybe(TIME), "deadline": maybe(TIME), "estimated_completion": maybe(TIME),
                "assigned_agent": maybe(OBJECT), "dependencies": OBJECT, "inputs": OBJECT, "outputs": OBJECT,
                "progress": OBJECT, "resource_requirements": OBJECT, "resource_allocation": maybe(OBJECT),
                "execution_metrics": OBJECT, "retry_info": OBJECT, "capabilities": LINES,
            }
            | PLACE,
            audit_trail=list_of(OBJECT), audit_trail_omitted=WHOLE,
        ),
        "Agent": of(
            dict.fromkeys(("agent_id", "agent_type", "state"), TEXT)
            | {
                "instance_id": maybe(TEXT), "node_id": maybe(TEXT), "registration_time": TIME,
                "last_heartbeat": maybe(TIME), "capabilities": LINES, "resource_usage": maybe(OBJECT),
                "capacity": OBJECT, "performance_metrics": OBJECT, "current_tasks": list_of(OBJECT),
                "health_status": OBJECT, "configuration": maybe(OBJECT),
            }
            | PLACE,
            presence=OBJECT, reservations=list_of(ref("Reservation")),
        ),
        "Pool": of(
            {
                "resource_pool_id": TEXT, "last_updated": TIME, "total_capacity": OBJECT, "available_capacity": OBJECT,
                "allocated_resources": OBJECT, "reservations": list_of(OBJECT), "utilization_metrics": OBJECT,
                "allocation_policies": OBJECT,
            }
            | PLACE,
            active_reservations=WHOLE, next_expiry=maybe(TIME),
        ),
        "System": of(
            {
                "system_id": TEXT, "overall_health": TEXT, "component_health": OBJECT, "active_workflows": WHOLE,
                "active_agents": WHOLE, "pending_tasks": WHOLE, "running_tasks": WHOLE,
                "completed_tasks_today": WHOLE, "error_rate": NUMBER, "average_response_time": maybe(NUMBER),
                "throughput": OBJECT, "resource_summary": OBJECT, "configuration": OBJECT,
                "maintenance_windows": list_of(OBJECT),
            },
        ),
        "HeldLock": of(
            {
                "stream_id": TEXT, "holder": TEXT, "token": WHOLE, "process": TEXT, "since": TIME, "held_until": TIME,
                "waiters": list_of(of({"name": TEXT, "process": TEXT, "since": TIME})),
            }
        ),
        "RenewedLock": of({"token": WHOLE, "held_until": TIME}),
        "Reservation": of(
            {
                "reservation_id": TEXT, "resource_pool_id": TEXT, "task_id": maybe(TEXT), "agent_id": maybe(TEXT),
                "resources": OBJECT, "created_at": TIME, "expires_at": maybe(TIME), "state": TEXT,
            }
        ),
    }  # fmt: skip


def _answers() -> dict[str, Schema]:
    problem = of(
        {"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT, "code": TEXT, "facts": OBJECT},
        answer=OBJECT,
    )
    outcomes = ["accepted", "unchanged", "refused", "invalid", "conflict", "failed"]
    return {
        "Problem": problem,
        "ProblemSort": of({"type": TEXT, "code": TEXT, "status": WHOLE, "title": TEXT}),
        "Answer": of(
            {
                "status": WHOLE, "command_id": maybe(UUID), "type": maybe(TEXT),
                "outcome": {"type": "string", "enum": outcomes},
                "versions": {"type": "object", "additionalProperties": WHOLE}, "position": maybe(WHOLE),
                "recorded_at": maybe(TIME), "repeated": YES_OR_NO, "problem": maybe(ref("Problem")),
            }
        ),
        "Accepted": of({"status": WHOLE, "command_id": UUID, "type": maybe(TEXT), "location": TEXT}),
        "RollbackPreview": of(
            {
                "workflow_id": TEXT, "before": OBJECT, "after": OBJECT, "patch": list_of(OBJECT), "lines": LINES,
                "effects": LINES, "problem": maybe(OBJECT),
            }
        ),
        "Wellbeing": of({"status": TEXT}, reason=TEXT),
        "Health": of({"overall": TEXT, "status": TEXT, "checks": OBJECT, "timestamp": TIME}),
    }  # fmt: skip


def _told() -> dict[str, Schema]:
    side = of({"version": WHOLE, "position": WHOLE, "recorded_at": TIME, "state": TEXT}, document=OBJECT)
    counts: Schema = {"type": "object", "additionalProperties": WHOLE}
    return {
        "History": of({"items": list_of(ref("Version")), "next": maybe(WHOLE)}),
        "Version": of(
            {
                "version": WHOLE, "position": WHOLE, "recorded_at": TIME, "occurred_at": maybe(TIME), "type": TEXT,
                "actor": maybe(TEXT), "authenticated": maybe(TEXT), "credential": maybe(TEXT),
                "command": maybe(TEXT), "command_id": maybe(TEXT),
                "correlation_id": maybe(TEXT), "causation_id": maybe(TEXT), "reason": maybe(TEXT), "data": OBJECT,
                "patch": list_of(OBJECT), "lines": LINES,
            }
        ),
        "Difference": of(
            {
                "kind": TEXT, "id": TEXT, "appeared": YES_OR_NO, "ended": YES_OR_NO, "before": maybe(side),
                "after": maybe(side),
            },
            patch=list_of(OBJECT), lines=LINES,
        ),
        "Timeline": of(
            {
                "kind": TEXT, "id": TEXT, "begin": TIME, "end": TIME, "upto": TEXT, "rows": list_of(OBJECT),
                "marks": list_of(OBJECT), "omitted": WHOLE,
            }
        ),
        "Trace": of({"correlation_id": TEXT, "commands": list_of(OBJECT)}),
        "Board": of(
            {
                "by": TEXT, "columns": list_of(of({"value": maybe(TEXT), "total": WHOLE, "counts": counts})),
                "total": WHOLE, "counts": counts, "next": maybe(TEXT),
            }
        ),
        "Rate": of(
            {
                "begin": TIME, "end": TIME, "tasks_completed": WHOLE, "tasks_failed": WHOLE, "tasks_timed_out": WHOLE,
                "tasks_cancelled": WHOLE, "workflows_completed": WHOLE, "error_rate": NUMBER,
                "average_response_time": maybe(NUMBER), "average_execution_time": maybe(NUMBER),
            }
        ),
        "Action": of(
            {
                "position": WHOLE, "recorded_at": TIME, "actor": TEXT, "command_type": TEXT,
                "first_position": maybe(WHOLE), "occurred_at": maybe(TEXT), "command_id": maybe(TEXT),
                "correlation_id": maybe(TEXT), "causation_id": maybe(TEXT), "stream_ids": maybe(LINES),
                "event_types": maybe(LINES), "authenticated": maybe(TEXT), "credential": maybe(TEXT),
            }
        ),
        "Actor": of({"actor": TEXT, "position": WHOLE, "recorded_at": TIME, "command_type": TEXT}),
    }  # fmt: skip


def _commands() -> dict[str, Schema]:
    """A submission is one of a command's type and data, with what else may be said of it."""
    models: list[type[BaseModel]] = [*COMMANDS.values(), RollbackBody, TransactionBody, LockBody]
    _, generated = models_json_schema([(model, "validation") for model in models], ref_template=REF + "{model}")
    found: dict[str, Schema] = generated["$defs"]
    found["Rollback"] = found.pop("RollbackBody")
    steps = of({"type": {"type": "string", "enum": list(COMMANDS)}, "data": OBJECT})
    steps["additionalProperties"] = False
    found["Transaction"] = {
        "type": "object",
        "description": "Commands that are accepted together or not at all.",
        "additionalProperties": False,
        "required": ["commands"],
        "properties": {
            "commands": {"type": "array", "minItems": 1, "maxItems": 1000, "items": steps},
            "expected": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        },
    }
    named = [*COMMANDS, "Transaction"]
    found["Submission"] = {
        "oneOf": [_submission(name) for name in named],
    }
    found["Submissions"] = {
        "anyOf": [ref("Submission"), {"type": "array", "minItems": 1, "maxItems": 1000, "items": ref("Submission")}]
    }
    return found


def _submission(name: str) -> Schema:
    id_text = {"type": "string", "minLength": 1, "maxLength": 255}
    return {
        "type": "object",
        "title": f"Submit{name}",
        "additionalProperties": False,
        "required": ["type", "data"],
        "properties": {
            "type": {"const": name},
            "data": ref(name),
            "command_id": {**UUID, "description": "The idempotency key: sent again, it gets its first answer."},
            "actor": {**id_text, "description": "Who asks; the caller, unless an orchestrator names another."},
            "correlation_id": id_text,
            "causation_id": id_text,
            "occurred_at": {**TIME, "description": "When it happened, if that was earlier."},
            "expected_version": {"type": "integer", "minimum": 0},
            "tenant": id_text,
        },
    }


def schemas() -> dict[str, Schema]:
    return dict(sorted((_documents() | _answers() | _told() | _commands()).items()))
