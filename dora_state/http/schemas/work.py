"""Workflows and tasks."""

from domain.task import TaskState
from domain.workflow import WorkflowState
from dora_state.http.schemas.words import (
    ANY_OBJECT,
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


def work() -> dict[str, Schema]:
    return {
        "Workflow": _workflow(),
        "WorkflowTask": _task_of_a_workflow(),
        "Task": _task(),
        "AuditEntry": _audit_entry(),
    }


def _workflow() -> Schema:
    counts = ("total_tasks", "completed_tasks", "running_tasks", "pending_tasks", "failed_tasks", "cancelled_tasks")
    return of(
        {
            "workflow_id": TEXT, "definition_id": TEXT,
            "version": told(TEXT, "Of the definition, not of the stream."), "state": literal(WorkflowState),
            "created_at": TIME, "started_at": maybe(TIME), "updated_at": TIME,
            "scheduled_completion": told(maybe(TIME), "When it is meant to be done."),
            "context": told(ANY_OBJECT, "As the caller gave and amended it."),
            "tasks": told(by_name(ref("WorkflowTask")), "By id, in the order in which they were added."),
            "metrics": of(
                dict.fromkeys(counts, WHOLE)
                | {"progress_percentage": told(NUMBER, "100 x completed / (total - cancelled); 0 with no task.")}
            ),
            "dependencies": told(of({"satisfied": LINES, "pending": LINES}), "Its own, such as an approval."),
            "error_info": told(
                maybe(of({"message": TEXT, "task_id": maybe(TEXT), "failed_at": maybe(TIME)})),
                "null unless it failed.",
            ),
            "retry_count": WHOLE, "max_retries": WHOLE, "ended_at": maybe(TIME),
            "start_at": told(maybe(TIME), "When it is meant to start."), "priority": PRIORITY,
            "completion": one_of("automatic", "explicit"), "on_task_failure": one_of("fail", "continue"),
        }
        | PLACE
    )  # fmt: skip


def _task_of_a_workflow() -> Schema:
    return of(
        {
            "state": literal(TaskState), "assigned_agent": maybe(TEXT), "start_time": maybe(TIME),
            "end_time": maybe(TIME), "inputs": ANY_OBJECT, "outputs": ANY_OBJECT, "definition_id": TEXT,
            "requires": LINES, "awaits": LINES, "error": maybe(TEXT),
        }
    )  # fmt: skip


def _task() -> Schema:
    return of(
        {
            "task_id": TEXT, "workflow_id": TEXT, "definition_id": TEXT, "state": literal(TaskState),
            "created_at": TIME, "scheduled_at": maybe(TIME), "started_at": maybe(TIME), "updated_at": TIME,
            "estimated_completion": told(maybe(TIME), "Of a running task, as last told."),
            "assigned_agent": told(
                maybe(of({"agent_id": TEXT, "assigned_at": maybe(TIME), "assignment_reason": maybe(TEXT)})),
                "Stays after the end, as who did it.",
            ),
            "dependencies": of(
                {
                    "required": told(LINES, "The tasks, and the workflow's dependencies, that it needs."),
                    "satisfied": LINES, "blocked_by": LINES,
                    "awaits": told(LINES, "Which of the required are dependencies of the workflow."),
                }
            ),
            "inputs": ANY_OBJECT, "outputs": ANY_OBJECT,
            "progress": of(
                {
                    "percentage": told(NUMBER, "0 to 100; never falls within an attempt."),
                    "current_phase": maybe(TEXT), "phases_completed": LINES, "phases_remaining": LINES,
                    "note": told(maybe(TEXT), "What was said with the last progress."),
                }
            ),
            "resource_requirements": of(
                dict.fromkeys(("cpu", "memory", "storage"), maybe(TEXT)) | {"timeout": SECONDS, "gpu": maybe(TEXT)}
            ),
            "resource_allocation": told(maybe(_allocation()), "What it holds now."),
            "execution_metrics": of(
                {
                    "start_delay": told(maybe(NUMBER), "Seconds from scheduled to started."),
                    "execution_time": told(maybe(NUMBER), "Seconds; of a running task, so far."),
                    "memory_peak": maybe(TEXT), "cpu_average": maybe(NUMBER),
                }
            ),
            "retry_info": of(
                {"attempt": WHOLE, "max_attempts": WHOLE, "retry_count": WHOLE, "last_error": maybe(TEXT)}
            ),
            "audit_trail": told(list_of(ref("AuditEntry")), "The last 200 entries; in lists and differences, none."),
            "ended_at": maybe(TIME), "deadline": told(maybe(TIME), "A running task past it is timed out."),
            "priority": PRIORITY, "capabilities": LINES,
        }
        | PLACE,
        audit_trail_omitted=told(WHOLE, "How many entries came before those of the trail."),
    )  # fmt: skip


def _allocation() -> Schema:
    names = ("allocated_cpu", "allocated_memory", "allocated_storage", "allocated_gpu")
    reservation = {"allocation_id": told(TEXT, "The reservation."), "pool_id": maybe(TEXT)}
    return of(dict.fromkeys(names, maybe(TEXT)) | reservation)


def _audit_entry() -> Schema:
    names = ("command_type", "correlation_id", "causation_id", "authenticated", "credential")
    return of(
        {
            "timestamp": TIME, "event": TEXT, "actor": TEXT, "details": told(ANY_OBJECT, "What the event says."),
            "version": WHOLE, "position": WHOLE, "recorded_at": TIME,
        }
        | dict.fromkeys(names, maybe(TEXT))
    )  # fmt: skip
