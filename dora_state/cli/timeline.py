"""`--timeline`: tasks over time, in the terminal or as a page."""

import asyncio
from dataclasses import asdict
from pathlib import Path

from domain.errors import InvalidInput
from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.looking import cut_facts, recorded
from dora_state.cli.output import Output, say
from dora_state.cli.views import timeline as view
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from dora_state.timeline_page import page
from infrastructure.private_files import create


async def timeline(settings: Settings, kind: str, id: str, cut: Cut, html: Path | None, output: Output) -> int:
    """Raises NotFound, CutOutOfRange, InvalidInput."""
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "timeline", f"{kind} {id}", cut_facts(cut)) as shown,
    ):
        found = await manager.timeline(kind, id, cut)
        shown.rows = len(found.rows)
    if html is not None:
        await asyncio.to_thread(_write, html, page(found))
        say(f"The timeline is in {html}.")
    elif output.as_json:
        output.json_document(asdict(found))
    else:
        output.show(*view.parts(found))
    return Exit.DONE


def _write(file: Path, text: str) -> None:
    try:
        with create(file) as opened:
            opened.write(text.encode())
    except OSError as error:
        raise InvalidInput(f"{file} can't be written ({error.strerror}); check the path.", file=str(file)) from None
