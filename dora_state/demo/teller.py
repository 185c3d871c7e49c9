"""Tells the story line by line, on terminals that can't show a board."""

import asyncio

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from dora_state.demo.assessment import Assessment
from dora_state.demo.board import TONE_STYLES
from dora_state.demo.scenario import RollBack, Step
from dora_state.state_manager import RollbackPreview


class Teller:
    """An audience that reads."""

    def __init__(self, console: Console, run: Assessment) -> None:
        self._console = console
        self._run = run
        self._told = ""

    def tell(self, step: Step | RollBack, says: str) -> None:
        """What goes on from the sentence before is told without repeating that."""
        new = says.removeprefix(self._told).strip() if self._told and says.startswith(self._told) else says
        self._told = says
        self._console.print(Text(new, style=TONE_STYLES[step.tone]))

    def show_difference(self, preview: RollbackPreview | None) -> None:
        for line in preview.lines if preview is not None else ():
            self._console.print(Padding(Text(self._run.short(line)), (0, 0, 0, 2)))

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
