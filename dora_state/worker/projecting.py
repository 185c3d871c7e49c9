"""Projecting for as long as the worker runs, also past an event that this release does not know yet."""

import asyncio
import logging

from domain.errors import DoraStateError
from dora_state.platform import Platform
from dora_state.worker.supervision import Pauses, rest
from infrastructure.halts import note_halt
from projections.errors import ProjectionHalted

FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds after which a halted projector looks again: a later release may have come past the event."""
logger = logging.getLogger(__name__)


async def project(platform: Platform, stop: asyncio.Event) -> None:
    """Keep the read models up. A halt is told once, noted for `health`, and tried again with growing pauses."""
    pauses = Pauses(FIRST_RETRY, LAST_RETRY)
    told: ProjectionHalted | None = None
    while not stop.is_set():
        try:
            await platform.projector.run(stop)
        except ProjectionHalted as halt:
            if told is None or told.facts != halt.facts:
                logger.error("The projection has halted; all else goes on. %s", halt.message)
                told = halt
            await _note(platform, halt)
            await rest(stop, pauses.after_failure())


async def _note(platform: Platform, halt: ProjectionHalted) -> None:
    try:
        await note_halt(platform.projector_pool, int(str(halt.facts["position"])), halt.message)
    except DoraStateError as error:
        logger.debug("The halt could not be noted: %s", error)  # it is noted with the next try
