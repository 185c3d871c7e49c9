"""One projection that is built beside the one that runs: step by step, from an empty schema to the exchange."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from domain.errors import LogUnavailable
from dora_state.platform import Platform
from dora_state.progress import Progress
from dora_state.replaying import run_up_to
from infrastructure.comparing import PostgresSide
from infrastructure.database import Role
from infrastructure.pools import Pool, open_schema_pool
from infrastructure.rebuilds import IN_THE_WAY, Rebuild
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


class Building:
    """`schema` holds what is built. `compared` is None where nothing of the same version runs."""

    def __init__(self, platform: Platform, projection: Projection, rebuild: Rebuild, schema: str, pool: Pool) -> None:
        self._platform = platform
        self._schema = schema
        self._pool = pool
        self._running = PostgresSide(platform.projector_pool)
        self._built = PostgresSide(pool)
        self._begun = time.monotonic()
        self._since = 0
        self.projection = projection
        self.rebuild = rebuild
        self.events = 0
        self.compared: Comparison | None = None
        self.parked = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, platform: Platform, projection: Projection, rebuild: Rebuild, schema: str
    ) -> "AsyncIterator[Building]":
        async with await open_schema_pool(platform.servers.database_url, schema, Role.PROJECTOR) as pool:
            yield cls(platform, projection, rebuild, schema, pool)

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._begun, 2)

    async def reached(self) -> int:
        return await self._platform.runner_into(self.projection, self._pool).reached()

    async def run_up_to(self, position: int, progress: Progress) -> None:
        self.events += await run_up_to(self._platform.runner_into(self.projection, self._pool), position, progress)

    async def compare(self, progress: Progress) -> None:
        """Up to where both are, while those that run go on; nothing, if those are of another version or log."""
        running = await self.rebuild.running()
        if not running.position or not await is_usable(self._platform, self.projection, running):
            return
        self._since = await self.reached()
        runner = next(one for one in self._platform.runners if one.projection is self.projection)
        await runner.catch_up(self._since, CATCH_UP_SECONDS)
        await runner.release()
        comparing = await self._comparing()
        progress.begin(f"compare {self.projection.name}", None)
        await comparing.up_to(self._since, progress.advance)
        progress.end()
        self.compared = comparing.comparison

    async def follow(self, progress: Progress) -> None:
        """Apply what came while it was compared, so that little is left for the switch."""
        last = sys.maxsize
        while True:
            running = (await self.rebuild.running()).position
            behind = running - await self.reached()
            if behind <= NEARLY or behind > last / 2:
                return  # it would not become much less
            last = behind
            progress.begin(f"build {self.projection.name}: what came meanwhile", behind)
            runner = self._platform.runner_into(self.projection, self._pool, until=running)
            self.events += await run_up_to(runner, running, progress)
            progress.end()

    async def switch(self, keep_as: str | None, *, accept_differences: bool) -> int:
        """Gives the position of what runs from here on. Raises RebuildRefused, LogUnavailable."""
        await self.rebuild.analyze(self._schema)
        for attempt in range(SWITCHES):
            try:
                async with self.rebuild.switching(longer=attempt % 4 == 3) as switch:
                    position = await self._catch_up(switch.running)
                    found = None if self.compared is None else self.compared + await self._compare_rest(position)
                    await self._require_agreement(found, accept_differences)
                    turn = partial(self._platform.hot.turn, position) if self.projection is STATES else None
                    await switch.exchange(self._schema, keep_as=keep_as, locked=turn)
                self.compared = found
                return position
            except IN_THE_WAY:
                await asyncio.sleep(SWITCH_PAUSE)
        raise LogUnavailable(
            f"Others hold on to the tables of the projection {self.projection.name}: end what reads them for long, and"
            " try again; what was built stays."
        )

    async def _catch_up(self, running: Checkpoint) -> int:
        """While nobody writes to those that run: to where these are, as far as the log has that."""
        target = min(running.position, (await self._platform.log.head()).position)
        until = None if self.compared is None else target
        runner = self._platform.runner_into(self.projection, self._pool, until=until)
        try:
            while await runner.reached() < target:
                self.events += await runner.run_once()
            return await runner.reached()
        finally:
            await runner.release()

    async def _compare_rest(self, until: int) -> Comparison:
        comparing = await self._comparing()
        stream_ids, mark = [], ""
        while moved := await self._platform.log.moved_between(self._since, until, mark, STREAMS_AT_ONCE):
            stream_ids += [one.stream_id for one in moved]
            mark = stream_ids[-1]
        await comparing.after(self._since, until, stream_ids)
        return comparing.comparison

    async def _comparing(self) -> Comparing:
        parked = await self._running.parked() if self.projection is STATES else set()
        return Comparing(self.projection, self._running, self._built, parked)

    async def _require_agreement(self, found: Comparison | None, accept_differences: bool) -> None:
        """Raises RebuildRefused."""
        parked = await self._built.parked() if self.projection is STATES else set()
        self.parked = len(parked)
        fresh = sorted(parked - (await self._running.parked() if parked else set()))
        if accept_differences:
            return
        if fresh:
            said = f"of {len(fresh)} streams an event could not be applied ({_some(fresh)})"
        elif found is not None and found.differing:
            said = f"{found.differing} of {found.compared} rows differ from those that run ({_some(found.named)})"
        else:
            return
        raise RebuildRefused(
            f"The projection {self.projection.name} is built and not switched to, as {said}: look at the schema"
            f" {self._schema}, then switch with --accept-differences.",
            projection=self.projection.name,
            differing=0 if found is None else found.differing,
            parked=len(fresh),
        )


async def is_usable(platform: Platform, projection: Projection, checkpoint: Checkpoint) -> bool:
    """Whether what is there is of our version and of this log."""
    if checkpoint.position and checkpoint.version != projection.version:
        return False
    try:
        await require_in_log(platform.log, projection, checkpoint)
    except CheckpointNotInLog:
        return False
    return True


async def build(platform: Platform, buildings: Sequence[Building], progress: Progress) -> None:
    """All together, up to the log's end, or nearly so where it goes on growing."""
    head = (await platform.log.head()).position
    reached = [await building.reached() for building in buildings]
    names = " and ".join(building.projection.name for building in buildings)
    progress.begin(f"build {names}", sum(head - position for position in reached))
    behind = head - min(reached)
    while behind > 0:
        running = [asyncio.ensure_future(building.run_up_to(head, progress)) for building in buildings]
        try:
            await asyncio.gather(*running)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        before, head, last = head, (await platform.log.head()).position, behind
        behind = head - before
        if behind <= NEARLY or behind > last / 2:
            break  # what is left is applied while those that run wait: it would not become much less
        progress.end()
        progress.begin(f"build {names}: what came meanwhile", behind * len(buildings))
    progress.end()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
