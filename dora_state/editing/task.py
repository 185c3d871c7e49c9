"""A task's state that was changed, as commands."""

from typing import Any

from dora_state.editing.changes import Changes, patch


def plan(changes: Changes) -> None:
    # What has ended makes no progress, nor does what was not started.
    for part in (_state, _progress) if changes.state["state"] == "running" else (_progress, _state):
        part(changes)
    _outputs(changes)
    changes.follows("scheduled_at", "started_at", "updated_at", "ended_at", "deadline", "resource_allocation")
    changes.follows("dependencies", "retry_info")
    for key in ("workflow_id", "definition_id", "inputs", "resource_requirements", "capabilities", "priority"):
        changes.refuse(key, "AddTask says it, once and for all")
    changes.refuse("assigned_agent", "AssignTask gives a task to an agent: set state to assigned as well")
    changes.refuse(
        "status",
        "the key is state, and ScheduleTask, AssignTask, StartTask, CompleteTask, FailTask, RetryTask, TimeOutTask and"
        " CancelTask change it",
    )


def _progress(changes: Changes) -> None:
    told: dict[str, Any] = {}
    progress, metrics = changes.within("progress"), changes.within("execution_metrics")
    for name, field in (("percentage", "percentage"), ("current_phase", "phase"), ("note", "note")):
        if name in progress:
            told[field] = progress.pop(name)[1]
            changes.recorded("progress", name)
    for name in ("memory_peak", "cpu_average"):
        if name in metrics:
            told[name] = metrics.pop(name)[1]
            changes.recorded("execution_metrics", name)
    if (estimate := changes.take("estimated_completion")) is not None:
        told["estimated_completion"] = estimate[1]
        changes.recorded("estimated_completion")
    if any(value is None for value in told.values()):
        changes.no(next(name for name, value in told.items() if value is None), "ReportProgress can't take it away")
    if told:
        changes.step("ReportProgress", **told)
    if "phases_completed" in progress:
        before, after = progress.pop("phases_completed")
        for phase in after:
            if phase not in before:
                changes.step("CompletePhase", phase=phase)
        if any(phase not in after for phase in before):
            changes.no("progress.phases_completed", "CompletePhase can't be taken back")


def _outputs(changes: Changes) -> None:
    taken = changes.take("outputs")
    if taken is None:
        return
    told = patch(*taken)
    if any(key not in taken[1] for key in told):
        changes.no("outputs", "RecordOutputs adds outputs and takes none away")
    if told:
        changes.step("RecordOutputs", outputs=told)


def _state(changes: Changes) -> None:
    taken = changes.take_word("state")
    if taken is None:
        return
    before, wanted = taken
    match wanted:
        case "scheduled" if before in ("failed", "timed_out"):
            changes.step("RetryTask")
        case "scheduled":
            changes.step("ScheduleTask")
        case "assigned":
            _assign(changes)
        case "running":
            changes.step("StartTask")
        case "completed":
            changes.step("CompleteTask")
        case "failed":
            changes.step("FailTask", error=_error(changes))
        case "timed_out":
            changes.step("TimeOutTask")
        case "cancelled":
            changes.step("CancelTask", reason=changes.reason)
        case _:
            changes.no(
                "state", f"no command brings it to {wanted[:80]!r}; its workflow's RollBackWorkflow takes it back"
            )


def _assign(changes: Changes) -> None:
    taken = changes.take("assigned_agent")
    agent = taken[1] if taken is not None else None
    if not isinstance(agent, dict) or not agent.get("agent_id"):
        changes.no("state", "say in assigned_agent to whom it is assigned")
    changes.step("AssignTask", agent_id=agent["agent_id"], reason=agent.get("assignment_reason") or changes.reason)


def _error(changes: Changes) -> Any:
    told = changes.state["retry_info"]["last_error"]
    return told if told and told != changes.before["retry_info"]["last_error"] else changes.reason
