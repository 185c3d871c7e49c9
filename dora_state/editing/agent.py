"""An agent's state that was changed, as commands."""

from typing import Any

from dora_state.editing.changes import Changes, patch

HEALTH = ("healthy", "degraded", "unhealthy")


def plan(changes: Changes) -> None:
    _capacity(changes)
    _configuration(changes)
    _health(changes)
    changes.follow_within("performance_metrics", changes.within("performance_metrics"))
    changes.follows("updated_at", "registration_time")
    for key in ("resource_usage", "last_heartbeat"):
        changes.refuse(key, "Heartbeat tells it, which is telemetry and no event")
    changes.refuse("current_tasks", "AssignTask and the ends of tasks change it")
    for key in ("agent_type", "instance_id", "node_id", "capabilities"):
        changes.refuse(key, "RegisterAgent says it: deregister the agent, and register it again")


def _capacity(changes: Changes) -> None:
    changed = changes.within("capacity")
    if "max_concurrent_tasks" in changed:
        changes.step("ChangeCapacity", max_concurrent_tasks=changed.pop("max_concurrent_tasks")[1])
    for name in ("queue_size", "processing_rate"):
        if name in changed:
            changes.no(f"capacity.{name}", "Heartbeat tells it, or it is measured")
    changes.follow_within("capacity", changed)


def _configuration(changes: Changes) -> None:
    changed = changes.within("configuration")
    if "version" in changed or "config_hash" in changed:
        configuration = changes.state["configuration"]
        changed.pop("version", None)
        changed.pop("config_hash", None)
        changes.step(
            "UpdateConfiguration", version=configuration["version"], config_hash=configuration.get("config_hash")
        )
    changes.follow_within("configuration", changed)


def _health(changes: Changes) -> None:
    taken, changed = changes.take_word("state"), changes.within("health_status")
    wanted = str(changes.state["state"])
    overall = changed.pop("overall", None)
    if taken is None and overall is not None:
        wanted, taken = str(overall[1]), overall
    checks: dict[str, Any] = {}
    if "checks" in changed:
        before, after = changed.pop("checks")
        reported = {name: check for name, check in before.items() if check != "unknown"}
        checks = patch(reported, after)
        if None in checks.values():
            changes.no("health_status.checks", "ReportHealth adds checks and takes none away")
    if taken is None and not checks:
        changes.follow_within("health_status", changed)
        return
    if wanted in HEALTH:
        changes.step("ReportHealth", state=wanted, checks=checks)
    elif checks:
        changes.no("health_status.checks", f"ReportHealth says it together with a state of {', '.join(HEALTH)}")
    elif wanted == "offline":
        changes.step("MarkOffline", reason=changes.reason)
    elif wanted == "deregistered":
        changes.step("DeregisterAgent", reason=changes.reason)
    else:
        changes.no("state", f"no command brings it to {wanted[:80]!r}")
    changes.follow_within("health_status", changed)
