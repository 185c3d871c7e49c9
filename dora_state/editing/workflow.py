"""A workflow's state that was changed, as commands."""

from typing import Any

from dora_state.editing.changes import Changes, patch


def plan(changes: Changes) -> None:
    _amend(changes)
    _dependencies(changes)
    _state(changes)
    changes.follow_within("metrics", changes.within("metrics"))
    changes.follows("started_at", "updated_at", "ended_at", "retry_count", "error_info")
    changes.refuse("tasks", "AddTask adds a task, and a task's own state is handed back to change it")
    for key in ("definition_id", "version", "max_retries", "completion", "on_task_failure"):
        changes.refuse(key, "CreateWorkflow says it, once and for all")
    changes.refuse("start_at", "ScheduleWorkflow says it")
    changes.refuse(
        "status",
        "the key is state, and ScheduleWorkflow, StartWorkflow, PauseWorkflow, ResumeWorkflow, CompleteWorkflow,"
        " FailWorkflow, RetryWorkflow and CancelWorkflow change it",
    )


def _amend(changes: Changes) -> None:
    amended: dict[str, Any] = {}
    if (context := changes.take("context")) is not None:
        amended["context"] = patch(context[0], context[1] or {})
    if (completion := changes.take("scheduled_completion")) is not None:
        if completion[1] is None:
            changes.no("scheduled_completion", "AmendWorkflow sets it and can't take it away")
        amended["scheduled_completion"] = completion[1]
    if (priority := changes.take("priority")) is not None:
        amended["priority"] = priority[1]
    if amended:
        changes.step("AmendWorkflow", **amended)


def _dependencies(changes: Changes) -> None:
    changed = changes.within("dependencies")
    if not changed:
        return
    before, after = changes.state.original["dependencies"], changes.state["dependencies"]
    if set(before["pending"]) - set(after["pending"]) != set(after["satisfied"]) - set(before["satisfied"]):
        changes.no("dependencies", "SatisfyDependency moves one from pending to satisfied; CreateWorkflow names them")
    for name in after["satisfied"]:
        if name not in before["satisfied"]:
            changes.step("SatisfyDependency", dependency=name)


def _state(changes: Changes) -> None:
    taken = changes.take("state")
    if taken is None:
        return
    before, wanted = (str(one) for one in taken)
    match wanted:
        case "scheduled":
            changes.step("ScheduleWorkflow")
        case "running" if before == "paused":
            changes.step("ResumeWorkflow")
        case "running" if before == "failed":
            changes.step("RetryWorkflow")
        case "running":
            changes.step("StartWorkflow")
        case "paused":
            changes.step("PauseWorkflow", reason=changes.reason)
        case "completed":
            changes.step("CompleteWorkflow")
        case "failed":
            changes.step("FailWorkflow", error=_error(changes))
        case "cancelled":
            changes.step("CancelWorkflow", reason=changes.reason)
        case _:
            changes.no("state", f"no command brings it to {wanted!r}; an earlier one comes back by RollBackWorkflow")


def _error(changes: Changes) -> str:
    """The caller may say what went wrong where it will stand: then it is no surprise that it does."""
    taken = changes.take("error_info")
    told = None if taken is None else taken[1]
    if isinstance(told, dict):
        told = told.get("message")
    return str(told) if told else changes.reason
