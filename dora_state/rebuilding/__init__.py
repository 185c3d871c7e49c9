"""Rebuilds: a projection is built anew beside the one that runs, compared with it, and switched to at once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from dora_state.platform import Platform
from dora_state.progress import Progress
from dora_state.rebuilding.building import Building, build, is_usable
from infrastructure.rebuilds import Rebuild, rebuilding
from projections.comparing import Comparison
from projections.errors import RebuildRefused
from projections.projection import Projection


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


async def rebuild(
    platform: Platform, projections: Sequence[Projection], progress: Progress, wish: Wish
) -> AsyncIterator[RebuildReport]:
    """Build, compare, switch. Goes on with what another run began; builds them all at once, and then switches to each.
    Gives the report of each when it is switched to.

    Raises RebuildRefused where another process is at it or the comparison finds differences (what was built stays, and
    those that run do too), ProjectionHalted at an event that this release does not know, LogUnavailable and LogError.
    """
    async with AsyncExitStack() as stack:
        buildings = []
        for projection in projections:
            alone = await stack.enter_async_context(_alone(platform, projection))
            await alone.require_alone()
            if wish.keep_old:
                await alone.find(alone.kept)
            if not wish.accept_differences:
                await _refuse_later(alone, projection)
            found = await alone.find(alone.next)
            if found is None or wish.anew or not await is_usable(platform, projection, found):
                await alone.make()
            building = Building.open(platform, projection, alone, alone.next)
            buildings.append(await stack.enter_async_context(building))
        await build(platform, buildings, progress)
        for one in buildings:
            yield await _switch(one, one.rebuild.kept if wish.keep_old else None, progress, wish)


async def _refuse_later(alone: Rebuild, projection: Projection) -> None:
    """What a later release wrote is not replaced unawares."""
    running = await alone.running()
    if running.position and running.version > projection.version:
        raise RebuildRefused(
            f"The projection {projection.name} is of version {running.version}, which a later release wrote, and this"
            f" one has version {projection.version}: leave it alone, or replace it with --accept-differences.",
            version=running.version,
        )


async def go_back(
    platform: Platform, projections: Sequence[Projection], progress: Progress
) -> AsyncIterator[RebuildReport]:
    """Bring those that were kept up to now, and switch to them; those that run are kept in their place. Gives the
    report of each when it is switched to.

    Raises RebuildRefused, with nothing switched, where none are kept of one or another release has to do it.
    """
    async with AsyncExitStack() as stack:
        buildings = []
        for projection in projections:
            alone = await stack.enter_async_context(_alone(platform, projection))
            await alone.require_alone()
            await _require_kept(platform, alone, projection)
            building = Building.open(platform, projection, alone, alone.kept)
            buildings.append(await stack.enter_async_context(building))
        await build(platform, buildings, progress)
        for one in buildings:
            yield await _switch(one, one.rebuild.kept, progress, Wish(accept_differences=True))


async def _require_kept(platform: Platform, alone: Rebuild, projection: Projection) -> None:
    """What was kept can run again with this release."""
    name, kept = projection.name, await alone.find(alone.kept)
    if kept is None:
        raise RebuildRefused(f"Nothing was kept of the projection {name}: rebuild it with --keep-old.")
    if kept.position and kept.version != projection.version:
        raise RebuildRefused(
            f"What was kept of the projection {name} is of version {kept.version}, and this release has version"
            f" {projection.version}: go back with the release that wrote it.",
            version=kept.version,
        )
    if not await is_usable(platform, projection, kept):
        raise RebuildRefused(f"What was kept of the projection {name} was made from another log: rebuild it.")


def _alone(platform: Platform, projection: Projection) -> AbstractAsyncContextManager[Rebuild]:
    return rebuilding(platform.servers.database_url, platform.settings.tenant, projection)


async def _switch(building: Building, keep_as: str | None, progress: Progress, wish: Wish) -> RebuildReport:
    await building.compare(progress)
    await building.follow(progress)
    position = await building.switch(keep_as, accept_differences=wish.accept_differences)
    return RebuildReport(
        projection=building.projection.name,
        version=building.projection.version,
        position=position,
        events=building.events,
        seconds=building.seconds,
        compared=building.compared,
        parked=building.parked,
        kept_as=keep_as,
    )
