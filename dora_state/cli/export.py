"""`export`: what was recorded, in a format that others read, into a file or to stdout."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number, when
from dora_state.cli.looking import cut_facts, recorded
from dora_state.cli.output import Output, say
from dora_state.cli.progress import Bars
from dora_state.exporting import begin_export, new_file
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager


async def export(
    settings: Settings,
    format: str,
    workflow_id: str | None,
    since: datetime | None,
    cut: Cut,
    file: Path | None,
    output: Output,
) -> int:
    """Raises InvalidInput, NotFound, CutOutOfRange, LogError."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        chosen = await begin_export(manager.platform, format, workflow_id=workflow_id, since=since, cut=cut)
        about = "everything" if workflow_id is None else f"workflow {workflow_id}"
        looked_at = cut_facts(cut, until_position=chosen.selection.until)
        async with recorded(manager, "export", about, looked_at, format=format, since=since) as shown:
            with Bars() as bars:
                if file is None:
                    report = await chosen.into(output.raw, bars)
                else:
                    with new_file(file) as opened:
                        report = await chosen.into(opened.write, bars)
            shown.rows = report.events
    if file is None:
        return Exit.DONE
    if output.as_json:
        output.json_document({"file": str(file)} | asdict(report))
    else:
        what = "event" if report.events == 1 else "events"
        output.line(
            f"{file} holds {number(report.events)} {what} of tenant {report.tenant}, up to position"
            f" {report.until_position}, as of {when(report.until_at, fraction=True)}."
        )
    return Exit.DONE
