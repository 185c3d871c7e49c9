"""The whole of an import: sort the file, see what it needs, import it, bring the read models up to it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.errors import DoraStateError
from domain.system import SYSTEM, SYSTEM_ID, LogImport
from dora_state.importing import ids
from dora_state.importing.importer import Importer
from dora_state.importing.projecting import project_meanwhile
from dora_state.importing.report import ImportReport, Progress, Resume
from dora_state.platform import Platform, Say, Servers, now, open_on, open_servers, quiet
from dora_state.settings import Settings
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.xes.sort import sort_xes
from infrastructure.xes.sorted_log import SortedLog


class ImportRefused(DoraStateError):
    """The import can't begin here."""

    code = "import_refused"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An import that was cut short. `log` is None if it had recorded nothing yet."""

    import_id: UUID
    log: LogImport | None
    position: int
    recorded_at: datetime | None


async def import_xes(
    settings: Settings, path: Path, *, resume: Resume = "new", progress: Progress, say: Say = quiet
) -> ImportReport:
    """Import an XES log into the settings' tenant, which has to be empty.

    Raises XesError for a file that is no usable log, ImportRefused where the tenant is not empty or holds
    an import that was cut short and `resume` is "new", and LogError when the log can't be written.
    """
    seconds: dict[str, float] = {}
    async with open_servers(settings, say) as servers:
        unfinished = await _prepare_tenant(servers, settings, resume)
        told_at = unfinished.log.began_at if unfinished and unfinished.log else now()
        with _timed(seconds, "sorting"):
            sorted_log = await _sort(path, settings.home / "imports" / settings.tenant, told_at, progress)
        with sorted_log:
            import_id = ids.import_id(sorted_log.report.sha256)
            if unfinished is not None and unfinished.import_id != import_id:
                raise _other_file(settings, path, unfinished)
            async with open_on(servers, settings) as platform:
                return await _import(platform, sorted_log, import_id, progress, seconds)


async def _prepare_tenant(servers: Servers, settings: Settings, resume: Resume) -> Unfinished | None:
    """An empty tenant, or the import in it that is to go on."""
    await migrate(servers.database_url, settings.tenant)
    async with open_on(servers, settings) as platform:
        unfinished = await _unfinished(platform)
        head = await platform.log.head()
        if unfinished is None and head.position == 0:
            return None
        if unfinished is None:
            raise ImportRefused(
                f"Tenant {settings.tenant} is not empty, it has {head.position} events; import into an empty one, "
                "for example with --tenant imported.",
                tenant=settings.tenant,
                events=head.position,
            )
        if resume == "continue":
            return unfinished
        if resume == "new" and head.position > 0:
            raise _cut_short(settings, unfinished)
        if platform.redis_copies is not None:
            await platform.redis_copies.clear()
    await drop_tenant(servers.database_url, settings.tenant)
    await migrate(servers.database_url, settings.tenant)
    return None


async def _unfinished(platform: Platform) -> Unfinished | None:
    import_id = await platform.log.importing()
    if import_id is None:
        return None
    head = await platform.log.head()
    system = await platform.fold(SYSTEM, SYSTEM_ID)
    log = system.imports[-1] if system is not None and system.imports else None
    return Unfinished(import_id, log, head.position, head.recorded_at)


def _cut_short(settings: Settings, unfinished: Unfinished) -> ImportRefused:
    file_name = unfinished.log.file_name if unfinished.log else "a log"
    upto = unfinished.recorded_at.isoformat() if unfinished.recorded_at else "its beginning"
    return ImportRefused(
        f"Tenant {settings.tenant} holds an import of {file_name} that was cut short after {unfinished.position} "
        f"events, up to {upto}; run it again with --continue to go on, or with --start-anew to drop what is there.",
        tenant=settings.tenant,
        file_name=file_name,
        events=unfinished.position,
        upto=upto,
    )


def _other_file(settings: Settings, path: Path, unfinished: Unfinished) -> ImportRefused:
    file_name = unfinished.log.file_name if unfinished.log else "another log"
    return ImportRefused(
        f"Tenant {settings.tenant} holds an import of {file_name}, and {path.name} is another file; "
        "continue with that one, or start anew with --start-anew.",
        tenant=settings.tenant,
        file_name=file_name,
    )


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
    platform: Platform, sorted_log: SortedLog, import_id: UUID, progress: Progress, seconds: dict[str, float]
) -> ImportReport:
    importer = Importer(platform, sorted_log, import_id, progress)
    with _timed(seconds, "importing"):
        async with project_meanwhile(platform.servers, platform.settings):
            await importer.run()
    with _timed(seconds, "read models"):
        await _catch_up(platform, progress)
    report = await importer.report(seconds)
    total = sum(seconds.values())
    rates = {
        "file_events_per_second": round(report.events_imported / total, 1),
        "recorded_events_per_second": round(report.events_recorded / total, 1),
    }
    return replace(report, rates=rates)


async def _catch_up(platform: Platform, progress: Progress) -> None:
    """What the read models still lack when the last event is recorded."""
    target = (await platform.log.head()).position
    done = (await platform.read_models.checkpoint()).position
    progress.begin("read models", target - done)
    while done < target:
        await platform.projector.run_once()
        reached = (await platform.read_models.checkpoint()).position
        progress.advance(reached - done)
        if reached == done:
            await asyncio.sleep(0.05)
        done = reached
    progress.end()


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        seconds[phase] = round(time.monotonic() - begun, 2)
