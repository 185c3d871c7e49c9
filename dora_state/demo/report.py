"""What is shown when the story has been told: compact tables for people."""

import os
import shlex
import sys
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dora_state.cli.output import Output
from dora_state.demo.board import WIDE, outputs_text, state_text
from dora_state.demo.cast import TASKS
from dora_state.demo.findings import Findings
from dora_state.demo.picture import clock, plain, took
from dora_state.health import HealthReport
from dora_state.settings import Settings, load_settings
from projections.documents.values import Document, iso
from projections.history import HistoryEntry

LAST_VERSIONS = 15
DIFFERENCE_LINES = 16
MAIN_CHECKS = ("database", "cache", "transactions", "memory", "disk", "projection")


def show_report(findings: Findings, commands: list[str], output: Output) -> None:
    """Everything, under five headings, and what to try next."""
    width = output.console.width
    sections: dict[str, list[RenderableType]] = {
        "The workflow now": _workflow_now(findings, width),
        "Its history": _history(findings, width),
        "Its state at a moment in between": _then(findings, width),
        "What the rollback changed": _rollback(findings),
        "The system's health": health_parts(findings.system, findings.health, width),
    }
    for title, parts in sections.items():
        output.show(_heading(title), *(Padding(part, (0, 0, 0, 1)) for part in parts))
    output.show(_heading("Try next"))
    for command in commands:
        # Never broken into lines, so that it can be copied.
        output.line(f" {command}")


def next_commands(findings: Findings, settings: Settings) -> list[str]:
    """Commands to type in this shell, for the demo's tenant and home."""
    run = findings.played.run
    program = shlex.quote(_program())
    if settings.database_url is None and settings.home != load_settings().home:
        program += f" --home {shlex.quote(str(settings.home))}"
    program += f" --tenant {settings.tenant}"
    return [
        f"{program} history workflow {run.workflow_id}",
        f"{program} show workflow {run.workflow_id} --at {iso(findings.moment.recorded_at)}",
        f"{program} show agent policy-analyzer-002",
    ]


def _program() -> str:
    """The command as this shell finds it: an environment that is not active needs its path."""
    called = Path(sys.argv[0])
    if called.name != "dora-state":
        return "dora-state"
    on_path = any(Path(folder) == called.parent for folder in os.get_exec_path())
    if on_path or not called.is_absolute():
        return "dora-state" if on_path else str(called)
    inside = called.is_relative_to(Path.cwd())
    return str(called.relative_to(Path.cwd()) if inside else called)


def _heading(title: str) -> Group:
    return Group(Text(), Rule(Text(title, style="bold"), align="left", style="dim"))


def _workflow_now(findings: Findings, width: int) -> list[RenderableType]:
    workflow = findings.workflow
    line = Text(f"{workflow['workflow_id']} is ")
    line.append(state_text(workflow["state"]))
    line.append(
        f" at version {workflow['stream_version']}, "
        f"{workflow['metrics']['progress_percentage']:g} %, in {took(workflow['started_at'], workflow['ended_at'])}"
    )
    return [line, _tasks(workflow, findings, width)]


def _tasks(workflow: Document, findings: Findings, width: int) -> Table:
    """The workflow's own view of its tasks, so that it is the same for a moment of the past."""
    wide = width >= WIDE
    table = _table(("task", 20), ("state", 9), ("agent", 19), gap=2 if wide else 1)
    table.add_column("took", width=6, justify="right", no_wrap=True)
    table.add_column("result", max_width=width - (64 if wide else 60), no_wrap=not wide, overflow="ellipsis")
    for part in TASKS:
        task = workflow["tasks"].get(findings.played.run.task_id(part.name))
        if task is None:
            continue
        failed = task["state"] == "failed"
        table.add_row(
            part.title,
            state_text(task["state"]),
            task["assigned_agent"] or "",
            took(task["start_time"], task["end_time"]),
            Text(task["error"] or "", style="red") if failed else Text(outputs_text(task["outputs"]), style="dim"),
        )
    return table


def _history(findings: Findings, width: int) -> list[RenderableType]:
    shown = findings.history[-LAST_VERSIONS:]
    table = _table(("version", 7), ("time (UTC)", 10), ("what", max(width - 50, 28)), ("who", 24))
    for entry in shown:
        rolled_back = entry.type == "WorkflowRolledBack"
        what = Text(_what(entry, findings, width >= WIDE), style="bold magenta" if rolled_back else "")
        table.add_row(str(entry.version), f"{entry.recorded_at:%H:%M:%S}", what, entry.actor or "")
    hidden = len(findings.history) - len(shown)
    return [Text(f"{hidden} versions came before these {len(shown)}; each can be asked for.", style="dim"), table]


def _what(entry: HistoryEntry, findings: Findings, wide: bool) -> str:
    """A version in words, without looking at more than its event."""
    data, run = entry.data, findings.played.run
    match entry.type:
        case "WorkflowTaskChanged":
            to = f" to {data['assigned_agent']}" if wide and data["state"] == "assigned" else ""
            return f"{run.short(data['task_id'])} {plain(data['state'])}{to}"
        case "WorkflowTaskAdded":
            return f"{run.short(data['task_id'])} added"
        case "WorkflowDependencySatisfied":
            return f"{data['dependency']} satisfied"
        case "WorkflowRolledBack":
            return f"rolled back to version {data['to_version']}"
        case _:
            return f"workflow {entry.type.removeprefix('Workflow').lower()}"


def _then(findings: Findings, width: int) -> list[RenderableType]:
    moment, then = findings.moment, findings.then
    pending = then["dependencies"]["pending"]
    line = Text(f"{moment.recorded_at:%Y-%m-%d %H:%M:%S.%f} UTC, version {moment.version}: the workflow was ")
    line.append(state_text(then["state"]))
    line.append(f" and waited for {', '.join(pending)}." if pending else ".")
    return [Text(moment.says, style="dim"), line, _tasks(then, findings, width)]


def _rollback(findings: Findings) -> list[RenderableType]:
    entry, run = findings.rollback, findings.played.run
    line = Text(f"Version {entry.version}, ")
    line.append(f"by {entry.data['operator']}: “{entry.data['reason']}”", style="magenta")
    table = _table(("what", 33), ("was", 20), ("became", 20))
    for text in findings.difference[:DIFFERENCE_LINES]:
        what, _, change = run.short(text).removeprefix("tasks.").partition(": ")
        was, arrow, became = change.partition(" -> ")
        table.add_row(what, _brief(was) if arrow else "nothing", _brief(became if arrow else was))
    parts: list[RenderableType] = [line, table]
    if len(findings.difference) > DIFFERENCE_LINES:
        parts.append(Text(f"and {len(findings.difference) - DIFFERENCE_LINES} more", style="dim"))
    return parts


def health_parts(system: Document, own: HealthReport, width: int) -> list[RenderableType]:
    """The platform's own figures, and how dora-state itself is."""
    line = Text(f"{system['system_id']} ({system['environment']}, {system['version']}) is ")
    line.append(state_text(system["overall_health"]))
    components = system["component_health"]
    ailing = [f"{plain(name)} ({plain(health)})" for name, health in components.items() if health != "healthy"]
    line.append(f"; of its {len(components)} components all but {', '.join(ailing)}" if ailing else "")
    counts = Table.grid(padding=(0, 2, 0, 0))
    today, rate = system["completed_tasks_today"], system["error_rate"]
    response = system["average_response_time"]
    use = system["resource_summary"]
    counts.add_row("workflows active", str(system["active_workflows"]), "tasks completed today", str(today))
    counts.add_row("agents active", str(system["active_agents"]), "attempts that failed", f"{100 * rate:.1f} %")
    counts.add_row(
        "tasks running",
        str(system["running_tasks"]),
        "average wait to start",
        f"{response:.1f} s" if response is not None else "",
    )
    counts.add_row(
        "tasks pending",
        str(system["pending_tasks"]),
        "pools in use",
        f"cpu {use['total_cpu_utilization']:g} %, memory {use['total_memory_utilization']:g} %",
    )
    return [line, counts, Text(), *_own_health(own, width)]


def _own_health(own: HealthReport, width: int) -> list[RenderableType]:
    """The checks that SPEC names, and any other that is not healthy."""
    line = Text("dora-state itself is ")
    line.append(state_text(own.overall))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(max_width=width - 30)
    for name, found in own.checks.items():
        if name in MAIN_CHECKS or found.status != "healthy":
            table.add_row(plain(name), state_text(found.status), Text(found.message, style="dim"))
    return [line, table]


def _brief(value: str) -> str:
    """Of a time only the time of day."""
    try:
        return clock(value)
    except ValueError:
        return value


def _table(*columns: tuple[str, int], gap: int = 2) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim")
    for column, width in columns:
        table.add_column(column, width=width, no_wrap=True, overflow="ellipsis")
    return table
