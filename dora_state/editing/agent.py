"""An agent's state that was changed, as commands."""

from typing import Any

from dora_state.editing.changes import Changes

HEALTH = ("healthy", "degraded", "unhealthy")


def plan(changes: Changes) -> None:
    _capacity(changes)
    _configuration(changes)
    _health(changes)
    changes.follows("performance_metrics", "updated_at", "registration_time")
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


def _configuration(changes: Changes) -> None:
    changed = changes.within("configuration")
    if "version" in changed or "config_hash" in changed:
        configuration = changes.state["configuration"]
        changes.step(
            "UpdateConfiguration", version=configuration["version"], config_hash=configuration.get("config_hash")
        )


def _checks(changes: Changes, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Those that were changed; to leave out what is unknown says nothing."""
    for name in before.keys() - after.keys():
        if before[name] != "unknown":
            changes.no("health_status.checks", "ReportHealth adds checks and takes none away")
        changes.recorded("health_status", "checks", name)
    return {name: check for name, check in after.items() if before.get(name) != check}


def _health(changes: Changes) -> None:
    taken, changed = changes.take_word("state"), changes.within("health_status")
    wanted = str(changes.state["state"])
    overall = changed.get("overall")
    if taken is None and overall is not None:
        wanted, taken = str(overall[1]), overall
    checks: dict[str, Any] = {}
    if "checks" in changed:
        checks = _checks(changes, *changed["checks"])
    if taken is None and not checks:
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
