"""`show`: one document, as it is now or as it was."""

from typing import Any

from domain.errors import DoraStateError, LogError
from domain.log import Cut
from domain.system import SYSTEM
from dora_state.cli.arguments import Freshness
from dora_state.cli.exits import Exit
from dora_state.cli.looking import cut_facts, recorded
from dora_state.cli.output import Output, say
from dora_state.cli.views import VIEWS
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.errors import NotProjectedYet

PATIENCE = 5.0
"""Seconds that the read models get to come up to the log's end."""


async def show(settings: Settings, kind: str, id: str, cut: Cut, freshness: Freshness, output: Output) -> int:
    """Raises NotFound, CutOutOfRange, NotProjectedYet."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        if not cut.is_now:
            async with recorded(manager, "state", f"{kind} {id}", cut_facts(cut)) as shown:
                document = await _then(manager, kind, id, cut)
                shown.rows = 1
        elif freshness == Freshness():
            document = await _now(manager, kind, id)
        else:
            document = await _as_fresh(manager, kind, id, freshness)
    if output.as_json:
        output.json_document(document)
    else:
        output.show(*VIEWS[kind](document))
    return Exit.DONE


async def _as_fresh(manager: StateManager, kind: str, id: str, freshness: Freshness) -> dict[str, Any]:
    """Without a consistency, whoever waits for a position helps to bring the read models there, as `show` does."""
    if freshness.consistency is None:
        await manager.catch_up(freshness.min_position, freshness.wait)
    return await manager.state(
        kind,
        id,
        consistency=freshness.consistency or "projected",
        min_position=freshness.min_position,
        patience=0.0 if freshness.consistency is None else freshness.wait,
    )


async def _then(manager: StateManager, kind: str, id: str, cut: Cut) -> dict[str, Any]:
    """Only of the system the read models know something that the log alone does not tell: its counts."""
    try:
        return await manager.state(kind, id, cut=cut)
    except NotProjectedYet as behind:
        await manager.platform.projector.catch_up(int(str(behind.facts["asked"])), PATIENCE)
        return await manager.state(kind, id, cut=cut)


async def _now(manager: StateManager, kind: str, id: str) -> dict[str, Any]:
    """From the read models, once they know all that the log held when it was asked; else from the log."""
    try:
        current = await manager.catch_up(timeout=PATIENCE)
        reason = "did not come up to the log's end in time"
    except LogError:
        raise
    except DoraStateError as error:
        current, reason = False, f"are of no use just now ({error.message.rstrip('.')})"
    if current:
        if f"{kind}-{id}" not in await manager.platform.read_models.parked():
            return await manager.state(kind, id)
        reason = "have stopped, of this one, at an event that they could not take"
    elif kind == SYSTEM.category:
        reached = await manager.platform.queries.reached()
        say(f"The read models {reason}; this is as of position {reached}, up to which they know its counts.")
        return await manager.state(kind, id, cut=Cut(position=reached))
    say(f"The read models {reason}; this is folded from the log.")
    return await manager.state(kind, id, live=True)
