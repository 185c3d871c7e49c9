"""Rebuilds: a projection is built anew beside the one that runs, compared with it, and switched to at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

from domain.errors import LogUnavailable
from dora_state.platform import Platform
from dora_state.progress import Progress
from dora_state.replaying import run_up_to
from infrastructure.comparing import PostgresSide
from infrastructure.database import Pool, Role, open_schema_pool
from infrastructure.rebuilds import Rebuild, rebuilding
from projections.comparing import Comparing, Comparison
from projections.errors import CheckpointNotInLog, RebuildRefused
from projections.ports import Checkpoint
from projections.projection import STATES, Projection
from projections.runner import require_in_log

SWITCHES = 20
SWITCH_PAUSE = 0.5
"""How often the switch is tried, and seconds between: readers who hold on to the tables go first."""
CATCH_UP_SECONDS = 600.0
STREAMS_AT_ONCE = 100_000
NEARLY = 5_000
"""Events that are applied while those that run wait."""
NAMED = 5


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What was built: of so many events (in this run), in `seconds`, and what came of the comparison.

    `compared` is None where there was nothing of the same version to compare with. `parked` are streams that could not
    be applied to their end. `kept_as` is the schema in which those that ran before are kept.
    """

    projection: str
    version: int
    position: int
    events: int
    seconds: float
    compared: Comparison | None
    parked: int
    kept_as: str | None


@dataclass(frozen=True, slots=True)
class Wish:
    """`keep_old`: for going back. `anew`: from the beginning, not where another run was broken off.

    `accept_differences`: switch although rows differ from those that run, or new ones can't be applied.
    """

    keep_old: bool = False
    anew: bool = False
    accept_differences: bool = False


async def outdated(platform: Platform) -> list[Projection]:
    """The projections that an earlier release wrote, whose version has changed since."""
    found = []
    for runner in platform.runners:
        checkpoint = await runner.checkpoint()
        if checkpoint.position > 0 and checkpoint.version < runner.projection.version:
            found.append(runner.projection)
    return found


async def rebuild(platform: Platform, projection: Projection, progress: Progress, wish: Wish) -> RebuildReport:
    """Build, compare, switch. Goes on with what another run began.

    Raises RebuildRefused where another process is at it or the comparison finds differences (what was built stays, and
    those that run do too), ProjectionHalted at an event that this release does not know, LogUnavailable and LogError.
    """
    async with _beside(platform, projection) as beside:
        built = await beside.rebuild.find(beside.rebuild.next)
        if built is None or wish.anew or not await beside.is_usable(built):
            await beside.rebuild.make()
        keep_as = beside.rebuild.kept if wish.keep_old else None
        return await beside.build_and_switch(beside.rebuild.next, keep_as, progress, wish)


async def go_back(platform: Platform, projection: Projection, progress: Progress) -> RebuildReport:
    """Bring those that were kept up to now, and switch to them; those that run are kept in their place.

    Raises RebuildRefused where none are kept, or another release has to do it.
    """
    async with _beside(platform, projection) as beside:
        kept = await beside.rebuild.find(beside.rebuild.kept)
        if kept is None:
            raise RebuildRefused(f"Nothing was kept of the projection {projection.name}: rebuild it with --keep-old.")
        if kept.version != projection.version:
            raise RebuildRefused(
                f"What was kept of the projection {projection.name} is of version {kept.version}, and this release has"
                f" version {projection.version}: go back with the release that wrote it.",
                version=kept.version,
            )
        if not await beside.is_usable(kept):
            raise RebuildRefused(
                f"What was kept of the projection {projection.name} was made from another log: rebuild it."
            )
        return await beside.build_and_switch(
            beside.rebuild.kept, beside.rebuild.kept, progress, Wish(accept_differences=True)
        )


@asynccontextmanager
async def _beside(platform: Platform, projection: Projection) -> AsyncIterator["_Beside"]:
    url, tenant = platform.servers.database_url, platform.settings.tenant
    async with rebuilding(url, tenant, projection) as rebuild:
        yield _Beside(platform, projection, rebuild)


class _Beside:
    """One rebuild, step by step."""

    def __init__(self, platform: Platform, projection: Projection, rebuild: Rebuild) -> None:
        self._platform = platform
        self._projection = projection
        self._running = PostgresSide(platform.projector_pool)
        self.rebuild = rebuild

    async def is_usable(self, checkpoint: Checkpoint) -> bool:
        """Whether what is there is of our version and of this log."""
        if checkpoint.position and checkpoint.version != self._projection.version:
            return False
        try:
            await require_in_log(self._platform.log, self._projection, checkpoint)
        except CheckpointNotInLog:
            return False
        return True

    async def build_and_switch(self, schema: str, keep_as: str | None, progress: Progress, wish: Wish) -> RebuildReport:
        begun = time.monotonic()
        async with await open_schema_pool(self._platform.servers.database_url, schema, Role.PROJECTOR) as pool:
            events = await self._build(pool, progress)
            built = PostgresSide(pool)
            since, compared = await self._compare(pool, built, progress)
            for _ in range(SWITCHES):
                try:
                    async with self.rebuild.switching() as switch:
                        position = await self._catch_up(pool, switch.running, exactly=compared is not None)
                        rest = await self._compare_rest(built, since, position) if compared is not None else None
                        parked = await self._require_agreement(built, compared, rest, wish)
                        await switch.exchange(schema, keep_as=keep_as)
                    break
                except psycopg.errors.LockNotAvailable:
                    await asyncio.sleep(SWITCH_PAUSE)
            else:
                raise LogUnavailable(
                    f"Others hold on to the tables of the projection {self._projection.name}: end what reads them for"
                    " long, and try again; what was built stays."
                )
        return RebuildReport(
            projection=self._projection.name,
            version=self._projection.version,
            position=position,
            events=events,
            seconds=round(time.monotonic() - begun, 2),
            compared=None if compared is None or rest is None else compared + rest,
            parked=parked,
            kept_as=keep_as,
        )

    async def _build(self, pool: Pool, progress: Progress) -> int:
        """Up to the log's end, or nearly so where it goes on growing."""
        log, events = self._platform.log, 0
        runner = self._platform.runner_into(self._projection, pool)
        reached = await runner.reached()
        head = (await log.head()).position
        progress.begin(f"build {self._projection.name}", head - reached)
        while head - reached > (NEARLY if events else 0):
            events += await run_up_to(runner, head, progress)
            reached, head = head, (await log.head()).position
        progress.end()
        return events

    async def _compare(self, pool: Pool, built: PostgresSide, progress: Progress) -> tuple[int, Comparison | None]:
        """Up to where both are, while those that run go on; None if those are of another version or another log."""
        running = await self.rebuild.running()
        if not running.position or not await self.is_usable(running):
            return 0, None
        reached = await self._platform.runner_into(self._projection, pool).reached()
        runner = next(one for one in self._platform.runners if one.projection is self._projection)
        await runner.catch_up(reached, CATCH_UP_SECONDS)
        await runner.release()
        comparing = await self._comparing(built)
        progress.begin(f"compare {self._projection.name}", None)
        await comparing.up_to(reached, progress.advance)
        progress.end()
        return reached, comparing.comparison

    async def _compare_rest(self, built: PostgresSide, since: int, until: int) -> Comparison:
        comparing = await self._comparing(built)
        stream_ids, mark = [], ""
        while moved := await self._platform.log.moved_between(since, until, mark, STREAMS_AT_ONCE):
            stream_ids += [one.stream_id for one in moved]
            mark = stream_ids[-1]
        await comparing.after(since, until, stream_ids)
        return comparing.comparison

    async def _comparing(self, built: PostgresSide) -> Comparing:
        parked = await self._running.parked() if self._projection is STATES else set()
        return Comparing(self._projection, self._running, built, parked)

    async def _catch_up(self, pool: Pool, running: Checkpoint, *, exactly: bool) -> int:
        """While nobody writes to those that run: to where these are, as far as the log has that."""
        target = min(running.position, (await self._platform.log.head()).position)
        runner = self._platform.runner_into(self._projection, pool, until=target if exactly else None)
        try:
            while await runner.reached() < target:
                await runner.run_once()
            return await runner.reached()
        finally:
            await runner.release()

    async def _require_agreement(
        self, built: PostgresSide, compared: Comparison | None, rest: Comparison | None, wish: Wish
    ) -> int:
        """Gives how many streams could not be applied to their end. Raises RebuildRefused."""
        if self._projection is not STATES:
            parked: set[str] = set()
        else:
            parked = await built.parked()
        fresh = parked - (await self._running.parked() if parked else set())
        found = Comparison() if compared is None or rest is None else compared + rest
        if wish.accept_differences or not (fresh or found.differing):
            return len(parked)
        if fresh:
            said = f"of {len(fresh)} streams an event could not be applied ({_some(sorted(fresh))})"
        else:
            said = f"{found.differing} of {found.compared} rows differ from those that run ({_some(found.named)})"
        raise RebuildRefused(
            f"The projection {self._projection.name} is built and not switched to, as {said}: look at"
            f" the schema {self.rebuild.next}, then switch with --accept-differences.",
            projection=self._projection.name,
            differing=found.differing,
            parked=len(fresh),
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
