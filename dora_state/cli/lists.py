"""`list`: pages of documents, as tables for people and as lines of JSON for programs."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from domain.errors import DoraStateError, LogError
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number
from dora_state.cli.output import Output, say
from dora_state.cli.views.lists import ROWS
from dora_state.platform import now
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.errors import NotProjectedYet
from projections.lists.workflows import natural_sort
from projections.pages import MAX_LIMIT, Page

PATIENCE = 5.0
"""Seconds that the read models get to come up to the log's end."""


async def show_list(
    settings: Settings, what: str, only: Mapping[str, Any], limit: int, mark: str | None, output: Output
) -> int:
    """`only` are the filters of that list. Raises InvalidInput, InvalidPage."""
    items: list[dict[str, Any]] = []
    async with open_state_manager(settings, say=say, create=False) as manager:
        await bring_up(manager)
        ask = _question(manager, what)
        while len(items) < limit:
            page = await ask(**only, mark=mark, limit=min(limit - len(items), MAX_LIMIT))
            for item in page.items if output.as_json else ():
                output.json_line(item)
            items += page.items
            mark = page.next
            if mark is None:
                break
    if not output.as_json:
        _show(what, only, items, output)
    if mark is not None:
        say(f"There is more: go on with --page {mark}")
    return Exit.DONE


def _question(manager: StateManager, what: str) -> Callable[..., Awaitable[Page]]:
    if what == "stalled":
        return lambda quiet_for, **only: manager.lists.stalled_tasks(timedelta(seconds=quiet_for), **only)
    ask: Callable[..., Awaitable[Page]] = getattr(manager.lists, what)
    return ask


def _show(what: str, only: Mapping[str, Any], items: list[dict[str, Any]], output: Output) -> None:
    name = "tasks" if what in ("overdue", "stalled") else what
    if not items:
        output.line(f"There are no {name} like that.")
        return
    output.show(ROWS[name](items, _key(what, only), now()))
    output.line(f"{number(len(items))} {name if len(items) > 1 else name.removesuffix('s')}")


def _key(what: str, only: Mapping[str, Any]) -> str:
    """By what the list is sorted."""
    sort = only.get("sort") or (natural_sort(only) if what == "workflows" else "")
    return {"overdue": "deadline", "stalled": "updated"}.get(what, sort.removeprefix("-"))


async def bring_up(manager: StateManager) -> None:
    """What was answered before is to be seen; where the read models are not so far yet, it is said."""
    try:
        if await manager.catch_up(timeout=PATIENCE):
            return
        reason = "have not come up to the log's end yet"
    except LogError:
        raise
    except DoraStateError as error:
        if not isinstance(error, NotProjectedYet) and error.code != "projection_halted":
            raise
        reason = f"have stopped ({error.message.rstrip('.')})"
    say(f"The read models {reason}; this is as of position {await manager.platform.queries.reached()}.")
