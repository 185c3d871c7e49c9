"""The system: what goes on in it, how its parts are, and how it is configured."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dora_state.cli.formats import as_of, bar, facts, heading, lasting, number, state, table, when


def parts(document: dict[str, Any]) -> Iterator[RenderableType]:
    yield heading("System", document["system_id"] or "not configured", document["overall_health"])
    yield facts(
        {
            "environment": document["environment"],
            "version": document["version"],
            "deployment": document["deployment_id"],
            "changed": when(document["last_updated"]),
            **_activity(document),
            "components": _components(document["component_health"]),
            "limits": _limits(document["configuration"]),
            "as of": as_of(document),
        }
    )
    if document["maintenance_windows"]:
        yield ""
        yield _maintenance(document["maintenance_windows"])
    if document.get("imports"):
        yield ""
        yield _imports(document["imports"])


def _activity(document: Mapping[str, Any]) -> dict[str, Any]:
    """Counts and rates; nothing for a past moment, of which they are not known."""
    if document["active_workflows"] is None:
        return {}
    throughput, summary = document["throughput"], document["resource_summary"]
    return {
        "workflows": f"{number(document['active_workflows'])} active, "
        f"{number(throughput['workflows_per_hour'])} an hour",
        "agents": f"{number(document['active_agents'])} active",
        "tasks": f"{number(document['running_tasks'])} running, {number(document['pending_tasks'])} pending, "
        f"{number(document['completed_tasks_today'])} completed today, "
        f"{number(throughput['tasks_per_minute'])} a minute",
        "errors": f"{100 * document['error_rate']:.2f} % of 24 hours",
        "response": lasting(document["average_response_time"]),
        **{kind: bar(summary[f"total_{kind}_utilization"]) for kind in ("cpu", "memory", "storage")},
    }


def _components(components: Mapping[str, str]) -> Text | None:
    told = Text()
    for name, health in components.items():
        if health != "unknown":
            told.append(", " if told else "").append(f"{name} ").append_text(state(health))
    return told if told else None


def _limits(configuration: Mapping[str, Any]) -> str | None:
    given = {name: value for name, value in configuration.items() if value is not None}
    return ", ".join(f"{name} {number(value)}" for name, value in given.items()) or None


def _maintenance(windows: list[dict[str, Any]]) -> Table:
    rows = table("window", "from", "to", "starts", "what", title="Maintenance")
    for window in windows:
        starts = "blocked" if window["blocks_starts"] else "allowed"
        rows.add_row(window["window_id"], when(window["start"]), when(window["end"]), starts, window["description"])
    return rows


def _imports(imports: list[dict[str, Any]]) -> Table:
    rows = table("file", "SHA-256", "began", "ended", title="Imported logs")
    for imported in imports:
        rows.add_row(
            imported["file_name"],
            f"{imported['sha256'][:12]}…",
            when(imported["began_at"]),
            when(imported["ended_at"]),
        )
    return rows
