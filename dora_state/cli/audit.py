"""`audit`: what one actor asked for, newest first; or who there is."""

from dataclasses import asdict, dataclass
from datetime import datetime

from domain.errors import LogError
from dora_state.cli.exits import Exit
from dora_state.cli.formats import by_whom, number, when
from dora_state.cli.looking import recorded
from dora_state.cli.output import Output, say
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.audits import AuditedAction
from projections.errors import NotProjectedYet, ProjectionHalted

PATIENCE = 30.0
"""Seconds that the list gets to come up to the log's end."""
PAGE = 500
STREAMS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """Which actions of an actor: recorded in a time, of a type, so many from a mark on. No limit: all of them."""

    since: datetime | None
    until: datetime | None
    command_type: str | None
    mark: str | None
    limit: int | None


async def actions(settings: Settings, actor: str, asked: Asked, output: Output) -> int:
    """Raises InvalidPage."""
    told, mark, left = 0, asked.mark, asked.limit
    span = {name: moment for name, moment in (("since", asked.since), ("until", asked.until)) if moment is not None}
    others = {"command": asked.command_type, "page": asked.mark, "limit": asked.limit}
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "audit", f"actor {actor}", span, **others) as shown,
    ):
        await _bring_up(manager)
        while left is None or left > 0:
            page = await manager.platform.audits.actions(
                actor,
                since=asked.since,
                until=asked.until,
                command_type=asked.command_type,
                mark=mark,
                limit=PAGE if left is None else min(left, PAGE),
            )
            for action in page.items:
                _tell(action, output)
            told, mark = told + len(page.items), page.next
            shown.rows = told
            left = None if left is None else left - len(page.items)
            if mark is None:
                break
    if mark is not None:
        say(f"There is more: go on with --page {mark}.")
    elif not told and not output.as_json:
        output.line(f"Nothing like that was asked for by {actor}; `dora-state audit` names who asked for something.")
    return Exit.DONE


async def actors(settings: Settings, output: Output) -> int:
    """All of them, by name."""
    told, after = 0, ""
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "audit", "actors", {}) as shown,
    ):
        await _bring_up(manager)
        while page := await manager.platform.audits.actors(after=after, limit=PAGE):
            for one in page:
                if output.as_json:
                    output.json_line(asdict(one))
                else:
                    output.line(f"{one.actor}  {one.command_type} last, {when(one.recorded_at)}")
            told, after = told + len(page), page[-1].actor
            shown.rows = told
    if not output.as_json:
        output.line(f"{number(told)} asked for something." if told else "Nobody has asked for anything yet.")
    return Exit.DONE


async def _bring_up(manager: StateManager) -> None:
    """What is asked for was done before it was asked; where that can't be told yet, it is said."""
    runner = manager.platform.actions
    head = (await manager.platform.log.head()).position
    try:
        await runner.catch_up(head, PATIENCE)
    except LogError:
        raise
    except (NotProjectedYet, ProjectionHalted) as error:
        say(f"The list ends at position {(await runner.checkpoint()).position} of {head}: {error.message}")
    finally:
        await runner.release()


def _tell(action: AuditedAction, output: Output) -> None:
    if output.as_json:
        output.json_line(asdict(action))
        return
    output.line(f"{when(action.recorded_at, fraction=True)}  {action.command_type}  position {action.position}")
    if action.stream_ids is None or action.event_types is None:
        output.line("    what it changed is archived")
        return
    streams = ", ".join(action.stream_ids[:STREAMS_SHOWN])
    more = len(action.stream_ids) - STREAMS_SHOWN
    output.line(f"    {streams}{f' and {more} more' if more > 0 else ''}: {', '.join(action.event_types)}")
    if action.authenticated is not None:
        output.line(f"    by {by_whom(action.actor, action.authenticated, action.credential)}")
    if action.occurred_at is not None:
        output.line(f"    occurred: {when(action.occurred_at, fraction=True)}")
