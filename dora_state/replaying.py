"""Replays for audits: the read models as of a moment in a schema of their own, and whether all that is kept agrees."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import Archived
from domain.log import Cut
from dora_state.platform import Platform
from dora_state.progress import Progress
from infrastructure import replays
from infrastructure.actions import PostgresActions
from infrastructure.checking import PostgresKept
from infrastructure.database import Role
from infrastructure.pools import open_schema_pool
from infrastructure.read_models import PostgresReadModels
from infrastructure.replays import Replay
from projections.actions import wrong_actions
from projections.checking import Checked, Checker, Finding
from projections.folded import Moment
from projections.projection import PROJECTIONS
from projections.runner import Runner

CATCH_UP_SECONDS = 600.0
"""How long the read models may take to come to the log's end before they are compared."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a schema holds now. So many events were applied by this run, in `seconds`; `parked` could never be."""

    schema: str
    tenant: str
    until_position: int
    until_at: datetime
    events: int
    parked: int
    seconds: float


async def replay_until(
    platform: Platform, cut: Cut, schema: str, progress: Progress, *, anew: bool = False
) -> ReplayReport:
    """Build the read models as of a cut by time or position; goes on with one that was cut short.

    Raises InvalidInput for a schema that is not one of replays or holds something else, CutOutOfRange,
    ProjectionHalted at an event that this release does not know, LogUnavailable and LogError.
    """
    begun = time.monotonic()
    replays.check_schema(schema)
    moment = await _moment(platform, cut)
    await platform.log.read_log(after_position=0, limit=1)  # what can't begin leaves no schema behind
    wanted = Replay(platform.settings.tenant, moment.position, moment.at)
    url = platform.servers.database_url
    replay = await replays.prepare(url, schema, wanted, anew=anew, go_on=cut.is_now)
    async with await open_schema_pool(url, schema, Role.PROJECTOR) as pool:
        events = 0
        for projection in PROJECTIONS.values():
            runner = platform.runner_into(projection, pool, until=replay.until_position)
            progress.begin(f"replay {projection.name}", replay.until_position - await runner.reached())
            events = max(events, await run_up_to(runner, replay.until_position, progress))
            progress.end()
        parked = await PostgresReadModels(pool).parked_events()
        await replays.finish(pool)
    return ReplayReport(
        schema=schema,
        tenant=replay.tenant,
        until_position=replay.until_position,
        until_at=replay.until_at,
        events=events,
        parked=parked,
        seconds=round(time.monotonic() - begun, 2),
    )


async def run_up_to(runner: Runner[Any], position: int, progress: Progress) -> int:
    """Until a projection that stands beside those that run is there, whichever process does it.

    Gives how many events further that is.
    """
    first = done = await runner.reached()
    try:
        while done < position:
            await runner.run_once()
            reached = await runner.reached()
            progress.advance(reached - done)
            if reached == done:
                await asyncio.sleep(0.05)  # another process is at it
            done = reached
    finally:
        await runner.release()
    return done - first


class Checking:
    """A comparison of all that is kept with the log: iterate over what does not agree."""

    def __init__(
        self, platform: Platform, parked: set[str], position: int, until: int | None, progress: Progress
    ) -> None:
        self._platform = platform
        self._checker = Checker(platform.log, PostgresKept(platform.projector_pool))
        self._parked = parked
        self._until = until
        self._progress = progress
        self.position = position

    @property
    def checked(self) -> Checked:
        """How much was compared so far."""
        return self._checker.checked

    async def __aiter__(self) -> AsyncIterator[Finding]:
        self._progress.begin("check", self.position)
        async for finding in self._checker.check(self._parked, self._until, self._progress.advance):
            yield finding
        if self._until is None:
            pool = self._platform.projector_pool
            reached = (await self._platform.actions.checkpoint()).position
            async for position, says in wrong_actions(self._platform.log, PostgresActions(pool, pool), reached):
                yield Finding("action", f"position {position}", says)
        self._progress.end()


async def begin_check(platform: Platform, cut: Cut, progress: Progress) -> Checking:
    """Compare documents, counts, snapshots and folds of now, or only the folds as of a cut in the past.

    The read models are brought up first. Raises CutOutOfRange, ProjectionHalted, NotProjectedYet, LogError.
    """
    moment = await _moment(platform, cut)
    parked: set[str] = set()
    if cut.is_now:
        for runner in platform.runners:
            try:
                await runner.catch_up(moment.position, CATCH_UP_SECONDS)
            except Archived:  # it never got so far, and is compared up to where it is
                if runner is platform.projector:
                    raise
            await runner.release()
            await runner.require_version()
        parked = await platform.read_models.parked()
    return Checking(platform, parked, moment.position, None if cut.is_now else moment.position, progress)


async def _moment(platform: Platform, cut: Cut) -> Moment:
    """Raises CutOutOfRange where nothing was recorded yet; what is compared or built as of now may be nothing."""
    return await (platform.queries.moment(cut) if cut.is_now else platform.queries.recorded(cut))
