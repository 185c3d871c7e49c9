"""The whole of an import: sort the file, see what it needs, import it, bring the read models up to it."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from domain.errors import InvalidInput
from dora_state.importing import ids
from dora_state.importing.importer import Importer
from dora_state.importing.projecting import project_meanwhile
from dora_state.importing.report import ImportReport, Resume
from dora_state.importing.tenant import ImportRefused, Unfinished, alone, empty_tenant, inspect_tenant, other_file
from dora_state.platform import Platform, now, open_on
from dora_state.progress import Progress
from dora_state.replaying import run_up_to
from dora_state.servers import Say, open_servers, quiet
from dora_state.settings import Settings
from infrastructure.migrations import migrate
from infrastructure.xes.sort import sort_xes
from infrastructure.xes.sorted_log import SortedLog, clear
from infrastructure.xes.source import sha256_of

COLLECT_EVERY = 50_000
WORTH_A_PROCESS = 1_500
"""Events of a file: fewer are imported before another process has begun."""


async def import_xes(
    settings: Settings, path: Path, *, resume: Resume = "new", progress: Progress, say: Say = quiet
) -> ImportReport:
    """Import an XES log into the settings' tenant, which has to be empty.

    The tenant is live when everything is recorded and the read models are complete; whatever ends it before
    leaves an import that can go on (`resume`), or an empty tenant. Raises XesError for a file that is no
    usable log, InvalidInput for one without a usable event, ImportRefused where the tenant is not empty or
    holds an import that was cut short and `resume` is "new", and LogError when the log can't be written.
    """
    seconds: dict[str, float] = {}
    async with open_servers(settings, say) as servers:
        with alone(settings) as scratch:
            await migrate(servers.database_url, settings.tenant)
            async with open_on(servers, settings) as platform:
                unfinished = await inspect_tenant(platform, resume)
                going_on = unfinished if resume == "continue" else None
                with _timed(seconds, "sorting"):
                    sorted_log = await _sorted(settings, path, scratch, going_on, progress)
                if unfinished is not None and going_on is None:
                    await empty_tenant(platform)
            with _few_collections():
                async with open_on(servers, settings) as platform:
                    return await _import(platform, sorted_log, going_on, progress, seconds)


async def _sorted(
    settings: Settings, path: Path, scratch: Path, going_on: Unfinished | None, progress: Progress
) -> SortedLog:
    """The same events in the same order as those of the import that goes on, whatever time it is now."""
    if going_on is None:
        # What another run sorted knows another present: some of its future may be past by now.
        await asyncio.to_thread(clear, scratch)
        return await _sort(path, scratch, now(), progress)
    if ids.import_id(await asyncio.to_thread(sha256_of, path)) != going_on.import_id:
        raise other_file(settings, path, going_on)
    sorted_log = await _sort(path, scratch, going_on.log.began_at, progress)
    if sorted_log.report.now != going_on.log.began_at:
        clear(scratch)
        return await _sort(path, scratch, going_on.log.began_at, progress)
    return sorted_log


async def _sort(path: Path, scratch: Path, told_at: datetime, progress: Progress) -> SortedLog:
    """Runs in a thread, as it takes seconds and the servers' supervisor is to be heard meanwhile."""
    progress.begin("reading and sorting", await asyncio.to_thread(_size, path))
    told = 0

    def tell(done: int, _: int) -> None:
        nonlocal told
        progress.advance(done - told)
        told = done

    try:
        return await asyncio.to_thread(sort_xes, path, scratch, now=told_at, progress=tell)
    finally:
        progress.end()


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


async def _import(
    platform: Platform,
    sorted_log: SortedLog,
    going_on: Unfinished | None,
    progress: Progress,
    seconds: dict[str, float],
) -> ImportReport:
    file = sorted_log.report
    file_name = going_on.log.file_name if going_on else file.file_name
    importer = Importer(platform, sorted_log, ids.import_id(file.sha256), file_name, progress)
    try:
        with _timed(seconds, "importing"):
            async with _projected(platform, file.events_sorted):
                await importer.run()
    except (InvalidInput, ImportRefused):
        sorted_log.remove()
        raise
    with _timed(seconds, "read models"):
        await _catch_up(platform, progress)
    with _timed(seconds, "snapshots"):
        await platform.snapshotter.catch_up()
    report = await importer.report(seconds)
    # Last of all the tenant is live: whoever is killed before can still --continue.
    sorted_log.remove()
    await importer.end()
    total = sum(seconds.values())
    rates = {
        "file_events_per_second": round(report.events_read / total, 1),
        "recorded_events_per_second": round(report.events_recorded / total, 1),
    }
    return replace(report, rates=rates)


def _projected(platform: Platform, events: int) -> AbstractAsyncContextManager[None]:
    if events < WORTH_A_PROCESS:
        return nullcontext()
    return project_meanwhile(platform.servers, platform.settings)


async def _catch_up(platform: Platform, progress: Progress) -> None:
    """What the read models still lack when the last event is recorded."""
    target = (await platform.log.head()).position
    for runner in platform.runners:
        progress.begin(f"read models: {runner.projection.name}", target - await runner.reached())
        await run_up_to(runner, target, progress)
        progress.end()


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let Python look for unreachable cycles less often: by default it spends a third of an import on that.

    The caches hold some hundred thousand objects that live long and form no cycles, and each collection
    looks at them again.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        seconds[phase] = round(time.monotonic() - begun, 2)
