"""The system's state that was changed, as commands."""

from typing import Any

from domain.system import LIMITS
from dora_state.editing.changes import Changes

NAMES = ("environment", "version", "deployment_id")


def plan(changes: Changes) -> None:
    _configuration(changes)
    for component, (_, health) in changes.within("component_health").items():
        changes.step("ReportComponentHealth", component=component, health=health)
    _maintenance(changes)
    changes.follows("overall_health", "last_updated")
    for key in (
        "active_workflows",
        "active_agents",
        "pending_tasks",
        "running_tasks",
        "completed_tasks_today",
        "error_rate",
        "average_response_time",
        "throughput",
        "resource_summary",
    ):
        changes.refuse(key, "it is counted")


def _configuration(changes: Changes) -> None:
    told: dict[str, Any] = {}
    for name in NAMES:
        if (taken := changes.take(name)) is not None:
            if taken[1] is None:
                changes.no(name, "ConfigureSystem sets it and can't take it away")
            told[name] = taken[1]
    unset = []
    for name, (_, limit) in changes.within("configuration").items():
        if name not in LIMITS:
            changes.no(f"configuration.{name}", f"ConfigureSystem knows {', '.join(LIMITS)}")
        if limit is None:
            unset.append(name)
        else:
            told[name] = limit
    if told or unset:
        changes.step("ConfigureSystem", **told, unset=unset or None)


def _maintenance(changes: Changes) -> None:
    taken = changes.take("maintenance_windows")
    if taken is None:
        return
    before = {one["window_id"]: one for one in taken[0]}
    after = taken[1]
    if not all(isinstance(one.get("window_id"), str) for one in after):
        changes.no("maintenance_windows", "ScheduleMaintenance makes one with a window_id, which is a text")
    left = {one["window_id"] for one in after}
    for id in [id for id in before if id not in left]:
        changes.step("CancelMaintenance", window_id=id)
    for one in after:
        if before.get(one["window_id"]) == one:
            continue
        if one["window_id"] in before:
            changes.no("maintenance_windows", "ScheduleMaintenance makes one with a window_id of its own")
        changes.step(
            "ScheduleMaintenance",
            window_id=one["window_id"],
            start=one.get("start"),
            end=one.get("end"),
            kind=one.get("type", "scheduled"),
            description=one.get("description"),
            blocks_starts=one.get("blocks_starts", False),
        )
