"""The demo: a DORA compliance assessment that a person can watch, and then ask about."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.text import Text

from dora_state.cli.output import Output, say
from dora_state.demo.assessment import Assessment
from dora_state.demo.board import Board
from dora_state.demo.findings import Findings, as_document, find_out
from dora_state.demo.report import next_commands, show_report
from dora_state.demo.scenario import story
from dora_state.demo.stage import Audience, DemoStopped, Nobody, play
from dora_state.demo.teller import Teller
from dora_state.platform import now
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager

TENANT = "demo"
SMALLEST_BOARD = (78, 22)
"""Columns and rows that the board needs; on a smaller terminal the story is told line by line."""

__all__ = ["TENANT", "perform"]


async def perform(settings: Settings, output: Output) -> int:
    """Play the demo on the settings' tenant and show what came of it; gives the exit code.

    0: the workflow has completed. 1: something went otherwise than the story says, in one sentence. Raises
    DoraStateError where there is no server to work with.
    """
    try:
        findings = await _play(settings, output.console, output.console.is_terminal and not output.as_json)
    except DemoStopped as stopped:
        say(f"The demo was stopped. {stopped}")
        return 1
    commands = next_commands(findings, settings)
    if output.as_json:
        output.json_document(as_document(findings, commands))
    else:
        show_report(findings, commands, output)
    return 0


async def _play(settings: Settings, console: Console, watched: bool) -> Findings:
    async with _curtain(settings, console, watched) as manager:
        run = Assessment(now())
        async with _projector(manager), _audience(console, manager, run, watched) as audience:
            played = await play(manager, run, story(run), audience)
        return await find_out(manager, played)


@asynccontextmanager
async def _curtain(settings: Settings, console: Console, watched: bool) -> AsyncIterator[StateManager]:
    """The servers, started where nothing else is to be seen yet."""
    if not watched or console.is_dumb_terminal:
        async with open_state_manager(settings, say=say) as manager:
            yield manager
        return
    status = console.status("Starting PostgreSQL and Valkey ...")

    def show(word: str) -> None:
        status.update(Text(word))

    status.start()
    try:
        async with open_state_manager(settings, say=show) as manager:
            status.stop()
            yield manager
    finally:
        status.stop()


@asynccontextmanager
async def _projector(manager: StateManager) -> AsyncIterator[None]:
    """What is submitted reaches the read models in the background, as it does beside a worker."""
    stop = asyncio.Event()
    running = asyncio.create_task(manager.platform.projector.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


@asynccontextmanager
async def _audience(console: Console, manager: StateManager, run: Assessment, watched: bool) -> AsyncIterator[Audience]:
    columns, rows = SMALLEST_BOARD
    if not watched:
        yield Nobody()
    elif console.is_dumb_terminal or console.width < columns or console.height < rows:
        yield Teller(console, run)
    else:
        async with Board(console, manager, run) as board:
            yield board
