"""The demo: a DORA compliance assessment that a person can watch, and then ask about."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from rich.console import Console
from rich.text import Text

from dora_state.demo.assessment import Assessment
from dora_state.demo.board import Board
from dora_state.demo.findings import Findings, as_document, find_out
from dora_state.demo.report import next_commands, show_report
from dora_state.demo.scenario import story
from dora_state.demo.stage import Audience, DemoStopped, Nobody, play
from dora_state.demo.teller import Teller
from dora_state.platform import Say, now, quiet
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager

TENANT = "demo"
INTERRUPTED = 130
SMALLEST_BOARD = (78, 22)
"""Columns and rows that the board needs; on a smaller terminal the story is told line by line."""

__all__ = ["TENANT", "perform", "run_demo"]


def run_demo(settings: Settings, console: Console, *, as_json: bool = False) -> int:
    """Play the demo on a tenant of its own and show what came of it; gives the exit code.

    0: the workflow has completed. 1: something went otherwise than the story says, in one sentence. 130: it
    was interrupted. Raises DoraStateError where there is no server to work with.
    """
    try:
        return asyncio.run(perform(settings, console, as_json=as_json))
    except KeyboardInterrupt:
        _stderr().print("Interrupted.")
        return INTERRUPTED


async def perform(settings: Settings, console: Console, *, as_json: bool = False) -> int:
    """The same as a coroutine, for those who mind the signals themselves."""
    watched = console.is_terminal and not as_json
    settings = settings.model_copy(update={"tenant": TENANT})
    try:
        findings = await _play(settings, console, watched)
    except DemoStopped as stopped:
        _stderr().print(f"The demo was stopped. {stopped}", soft_wrap=True)
        return 1
    commands = next_commands(findings, settings)
    if as_json:
        document = orjson.dumps(as_document(findings, commands), option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2)
        sys.stdout.write(document.decode() + "\n")
    else:
        show_report(findings, commands, console)
    return 0


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


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
        async with open_state_manager(settings, say=quiet) as manager:
            yield manager
        return
    status = console.status("Starting PostgreSQL and Valkey ...")
    say: Say = lambda word: status.update(Text(word))  # noqa: E731  one word on the screen, no more
    status.start()
    try:
        async with open_state_manager(settings, say=say) as manager:
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
