"""Projecting for as long as the worker runs, also past what this release can't go on from."""

import asyncio
import logging
from functools import partial
from typing import Any

from domain.errors import DoraStateError
from dora_state.platform import Platform
from dora_state.resting import rest
from dora_state.worker.supervision import Pauses, keep_going
from infrastructure.halts import note_halt
from projections.errors import ProjectionHalted
from projections.runner import Runner

FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds after which a halted projection is tried again: a later release, or a rebuild, may have come past it."""
logger = logging.getLogger(__name__)


async def project(platform: Platform, stop: asyncio.Event) -> None:
    """Keep all projections up, each by itself: what holds up one holds up no other."""
    async with asyncio.TaskGroup() as group:
        for runner in platform.runners:
            name = f"projection {runner.projection.name}"
            group.create_task(keep_going(name, partial(keep_up, platform, runner), stop))


async def keep_up(platform: Platform, runner: Runner[Any], stop: asyncio.Event) -> None:
    """Keep one up. A halt is told once, noted for `health`, and tried again with growing pauses."""
    pauses = Pauses(FIRST_RETRY, LAST_RETRY)
    told: str | None = None
    while not stop.is_set():
        try:
            await runner.run(stop)
        except ProjectionHalted as halt:
            if told != halt.message:
                logger.error("The projection %s has halted; all else goes on. %s", runner.projection.name, halt.message)
                told = halt.message
            await _note(platform, runner, halt)
            await rest(stop, pauses.after_failure())


async def _note(platform: Platform, runner: Runner[Any], halt: ProjectionHalted) -> None:
    event_position = int(str(halt.facts["position"])) if "event_type" in halt.facts else None
    try:
        await note_halt(platform.projector_pool, runner.projection, halt.message, event_position)
    except DoraStateError as error:
        logger.debug("The halt could not be noted: %s", error)  # it is noted with the next try
