"""A workflow's state that was changed, as commands."""

from typing import Any

from dora_state.editing.changes import Changes, patch


def plan(changes: Changes) -> None:
    _amend(changes)
    _dependencies(changes)
    _state(changes)
    changes.follows("metrics", "started_at", "updated_at", "ended_at", "retry_count", "error_info")
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
        amended["context"] = _context(changes, *context)
    if (completion := changes.take("scheduled_completion")) is not None:
        if completion[1] is None:
            changes.no("scheduled_completion", "AmendWorkflow sets it and can't take it away")
        amended["scheduled_completion"] = completion[1]
    if (priority := changes.take("priority")) is not None:
        if priority[1] is None:
            changes.no("priority", "AmendWorkflow sets it and can't take it away")
        amended["priority"] = priority[1]
    if amended:
        changes.step("AmendWorkflow", **amended)


def _context(changes: Changes, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """As AmendWorkflow takes it, to which null means that a key is taken away."""
    for key, value in after.items():
        if value is None and before.get(key, "") is not None:
            changes.no(f"context.{key}", "AmendWorkflow can't set it to nothing, only take it away: delete the key")
    return patch(before, after)


def _dependencies(changes: Changes) -> None:
    changed = changes.within("dependencies")
    changes.refuse_all("dependencies", changed.keys() - {"pending", "satisfied"}, "there is no such list")
    if not changed:
        return
    before, after = changes.before["dependencies"], changes.state["dependencies"]
    if set(before["pending"]) - set(after["pending"]) != set(after["satisfied"]) - set(before["satisfied"]):
        changes.no("dependencies", "SatisfyDependency moves one from pending to satisfied; CreateWorkflow names them")
    for name in after["satisfied"]:
        if name not in before["satisfied"]:
            changes.step("SatisfyDependency", dependency=name)


def _state(changes: Changes) -> None:
    taken = changes.take_word("state")
    if taken is None:
        return
    before, wanted = taken
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
            changes.no(
                "state", f"no command brings it to {wanted[:80]!r}; an earlier one comes back by RollBackWorkflow"
            )


def _error(changes: Changes) -> Any:
    """The caller may say what went wrong where it will stand: then it is no surprise that it does."""
    taken = changes.take("error_info")
    told = None if taken is None else taken[1]
    return (told and told.get("message")) or changes.reason
