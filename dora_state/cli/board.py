"""`board`: how many tasks there are, in columns."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from dora_state.cli.exits import Exit
from dora_state.cli.formats import STATE_STYLES, bar, number, state, table
from dora_state.cli.lists import bring_up
from dora_state.cli.output import Output, say
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.lists import Board


async def board(
    settings: Settings, by: str, only: Mapping[str, Any], limit: int, mark: str | None, output: Output
) -> int:
    """Raises InvalidInput, InvalidPage."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        await bring_up(manager)
        found = await manager.lists.board(by, **only, mark=mark, limit=limit)
    if output.as_json:
        output.json_document(asdict(found))
        return Exit.DONE
    output.show(_by_state(found) if by == "state" else _by_others(found))
    if found.next is not None:
        say(f"There is more: go on with --page {found.next}")
    return Exit.DONE


def _by_state(board: Board) -> Table:
    rows = _numbers(table("state", "tasks", "share"), "tasks")
    for column in board.columns:
        share = bar(round(100 * column.total / board.total, 1) if board.total else 0.0)
        rows.add_row(state(str(column.value)), number(column.total), share)
    rows.add_row(Text("all", style="bold"), Text(number(board.total), style="bold"), "")
    return rows


def _by_others(board: Board) -> Table:
    """States of which there are none are left out."""
    states = list(board.counts)
    rows = _numbers(table(board.by, *states, "all"), *states, "all")
    for column in board.columns:
        counts = [_counted(name, column.counts.get(name, 0)) for name in states]
        rows.add_row(column.value if column.value is not None else "nobody", *counts, number(column.total))
    whole = [number(board.counts[name]) for name in states]
    rows.add_row(*(Text(cell, style="bold") for cell in ("all", *whole, number(board.total))))
    return rows


def _counted(name: str, count: int) -> Text:
    return Text(number(count), style=STATE_STYLES.get(name, "")) if count else Text("-", style="dim")


def _numbers(rows: Table, *names: str) -> Table:
    for column in rows.columns:
        if column.header in names:
            column.justify = "right"
            column.no_wrap = True
    return rows
