"""`import xes`: the import with its progress, and its report for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from dora_state.cli.exits import Exit
from dora_state.cli.formats import facts, number, table, when
from dora_state.cli.output import Output, say
from dora_state.cli.progress import Bars
from dora_state.importing import ImportReport, Resume, import_xes
from dora_state.settings import Settings


async def run_import(settings: Settings, path: Path, resume: Resume, output: Output) -> int:
    """Raises XesError, ImportRefused, InvalidInput."""
    with Bars() as bars:
        report = await import_xes(settings, path, resume=resume, progress=bars, say=say)
    if output.as_json:
        output.json_document(report.to_json())
    else:
        output.show(*report_parts(report))
    return Exit.DONE


def report_parts(report: ImportReport) -> list[RenderableType]:
    parts: list[RenderableType] = [
        f"Imported {report.file_name}",
        facts(
            {
                "SHA-256": report.sha256,
                "traces": number(report.traces),
                "events read": number(report.events_read),
                "events imported": number(report.events_imported),
                "events recorded": number(report.events_recorded),
                "workflows": _counts(report.workflows),
                "tasks": _counts(report.tasks),
                "inferred": number(report.inferred),
                "agents": number(report.agents),
                "from": when(report.first_time, fraction=True),
                "to": when(report.last_time, fraction=True),
                "months made": _months(report.months),
                "took": ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in report.seconds.items()),
                "rates": ", ".join(f"{name.replace('_', ' ')} {number(rate)}" for name, rate in report.rates.items()),
                "other transitions": _counts(report.other_transitions) if report.other_transitions else None,
            }
        ),
    ]
    if report.skipped:
        parts += ["", _skipped(report.skipped, report.examples)]
    else:
        parts.append("Nothing was skipped.")
    return parts


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number(count)} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "none"


def _months(months: tuple[str, ...]) -> str:
    if len(months) <= 3:
        return ", ".join(months) or "none"
    return f"{len(months)}, from {months[0]} to {months[-1]}"


def _skipped(skipped: Mapping[str, int], examples: Mapping[str, Any]) -> RenderableType:
    rows = table("skipped", "count", "for example")
    for reason, count in skipped.items():
        named = examples.get(reason, ())
        rows.add_row(reason.replace("_", " "), number(count), ", ".join(map(str, named)) if named else "")
    return rows
