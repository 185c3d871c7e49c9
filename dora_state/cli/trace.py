"""`trace`: what one request caused, as a tree."""

from typing import Any

from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.formats import by_whom, when
from dora_state.cli.looking import cut_word, recorded
from dora_state.cli.output import Output, say
from dora_state.cli.progress import Bars
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.traces import Looked, TracedCommand


async def trace(settings: Settings, correlation_id: str, begin: Cut, end: Cut, output: Output) -> int:
    """Raises NotFound, CutOutOfRange, InvalidInput."""
    looked_at = {"since": cut_word(begin), "until": cut_word(end)}
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "trace", correlation_id, looked_at) as shown,
    ):
        with Bars() as bars:
            found = await manager.trace(correlation_id, begin, end, looked=_looking(bars))
        shown.rows = sum(len(command.events) for _, command in found)
    if output.as_json:
        commands = [_document(depth, command) for depth, command in found]
        output.json_document({"correlation_id": correlation_id, "commands": commands})
        return Exit.DONE
    for depth, command in found:
        for line in _lines(depth, command):
            output.line("    " * depth + line)
    return Exit.DONE


def _looking(bars: Bars) -> Looked:
    """Tells the bars; how much there is to look through is known when looking begins."""
    told: list[int] = []

    def looked(done: int, total: int) -> None:
        if not told:
            bars.begin("trace", total)
        bars.advance(done - (told[-1] if told else 0))
        told.append(done)

    return looked


def _document(depth: int, command: TracedCommand) -> dict[str, Any]:
    """Flat, causes first, each with its depth: a chain of causes may be longer than JSON may be deep."""
    return {
        "depth": depth,
        "command_id": command.command_id,
        "type": command.type,
        "actor": command.actor,
        "authenticated": command.authenticated,
        "credential": command.credential,
        "recorded_at": command.recorded_at,
        "occurred_at": command.occurred_at,
        "causation_id": command.causation_id,
        "events": [
            {
                "position": event.position,
                "event_id": event.event_id,
                "stream_id": event.stream_id,
                "version": event.version,
                "type": event.type,
            }
            for event in command.events
        ],
    }


def _lines(depth: int, command: TracedCommand) -> list[str]:
    outside = f", caused by {command.causation_id}" if command.causation_id and not depth else ""
    at = when(command.recorded_at, fraction=True)
    who = by_whom(command.actor or "unknown", command.authenticated, command.credential)
    head = f"{command.type or 'an unnamed command'}  {at}, by {who}{outside}"
    return [
        head,
        *(f"  {event.position}  {event.type}  {event.stream_id} v{event.version}" for event in command.events),
    ]
