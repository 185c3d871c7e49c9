"""The live board comes to its end, whatever becomes of the word to stop."""

import asyncio
import io
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from rich.console import Console

from dora_state.demo import board
from dora_state.demo.assessment import Assessment
from dora_state.demo.board import Board
from dora_state.demo.picture import Picture
from dora_state.state_manager import StateManager

RUN = Assessment(datetime(2026, 11, 23, 10, 30, tzinfo=UTC))


def new_board() -> Board:
    console = Console(file=io.StringIO(), force_terminal=True, width=110, height=40)
    return Board(console, cast(StateManager, None), RUN)


async def test_the_board_ends_although_a_library_swallows_the_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = asyncio.Event()

    async def deaf(*_: Any) -> Picture:
        reading.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return Picture()
        return Picture()

    monkeypatch.setattr(board, "take_picture", deaf)
    async with asyncio.timeout(5):
        async with new_board() as shown:
            await reading.wait()
    assert shown._drawing is not None
    assert shown._drawing.done()


async def test_the_board_does_not_wait_for_a_picture_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, let_go = asyncio.Event(), asyncio.Event()

    async def stuck(*_: Any) -> Picture:
        reading.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return Picture()

    monkeypatch.setattr(board, "take_picture", stuck)
    monkeypatch.setattr(board, "LAST_PICTURE_SECONDS", 0.05)
    async with asyncio.timeout(5):
        async with new_board():
            await reading.wait()
    let_go.set()
