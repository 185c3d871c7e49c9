"""`dead-letters`: events that their document could not take."""

from collections.abc import Sequence
from dataclasses import asdict

from dora_state import dead_letters
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number, when
from dora_state.cli.output import Output, say
from dora_state.dead_letters import PAGE
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.ports import Asked, Parked


async def list_them(settings: Settings, output: Output) -> int:
    """A line for each stream; 1 if there is one."""
    streams = events = 0
    async with open_state_manager(settings, say=say, create=False) as manager:
        after = ""
        while page := await manager.platform.read_models.dead_letters(after=after, limit=PAGE):
            for one in page:
                streams, events = streams + 1, events + one.events
                _tell(one, output)
            after = page[-1].stream_id
    if not output.as_json:
        told = f"{number(events)} events of {number(streams)} streams wait." if streams else "Every event was applied."
        output.line(told)
    return Exit.REFUSED if streams else Exit.DONE


async def show(settings: Settings, stream_id: str, output: Output) -> int:
    """Raises NotFound."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        found = await dead_letters.show(manager.platform, stream_id)
    if output.as_json:
        output.json_document(asdict(found))
        return Exit.DONE
    _tell(found.parked, output)
    for name, part in (("event", found.event), ("said with it", found.metadata), ("document", found.document)):
        output.line(f"{name}:{'' if part is not None else ' none yet'}")
        if part is not None:
            output.value(part)
    return Exit.DONE


async def do(settings: Settings, what: Asked, stream_ids: Sequence[str] | None, output: Output) -> int:
    """Retry or drop; 1 if something is still parked. Raises NotFound, NotProjectedYet."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        asked, left = await dead_letters.ask(manager.platform, what, stream_ids)
    if output.as_json:
        output.json_document({"asked": what, "streams": asked, "left": [asdict(one) for one in left]})
    else:
        for one in left:
            _tell(one, output)
        done = len(asked) - len(left)
        word = "applied" if what == "retry" else "dropped"
        output.line(f"{number(done)} of {number(len(asked))} streams {word}." if asked else "Every event was applied.")
    return Exit.REFUSED if left else Exit.DONE


def _tell(one: Parked, output: Output) -> None:
    if output.as_json:
        output.json_line(asdict(one))
        return
    more = f" and {number(one.events - 1)} after it" if one.events > 1 else ""
    output.line(
        f"{one.stream_id}  v{one.version}  position {one.position}  {one.type}{more}, since {when(one.parked_at)}"
    )
    output.line(f"  {one.error}")
