"""The tenant that an import goes into: empty, or with an import that was cut short."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from domain.errors import AppendRejected, CorruptLog, DoraStateError
from domain.system import SYSTEM, SYSTEM_ID, LogImport
from domain.values import iso
from dora_state.importing.report import Resume
from dora_state.platform import Platform
from dora_state.settings import Settings
from infrastructure.embedded.locks import open_lock, try_exclusive
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.private_files import make_private


class ImportRefused(DoraStateError):
    """The import can't begin here."""

    code = "import_refused"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An import that was cut short after it had recorded something."""

    import_id: UUID
    log: LogImport
    events: int
    upto: str


@contextmanager
def alone(settings: Settings) -> Iterator[Path]:
    """The directory for the import's files, which no other import of this home uses. Raises ImportRefused."""
    imports = settings.home / "imports"
    try:
        make_private(imports)
        lock = open_lock(imports / f"{settings.tenant}.lock")
    except OSError as error:
        raise ImportRefused(
            f"{imports} can't hold the files of an import ({error.strerror}); choose another home.",
            directory=str(imports),
        ) from error
    try:
        if not try_exclusive(lock):
            raise ImportRefused(
                f"Another import into tenant {settings.tenant} is running; wait for its end.", tenant=settings.tenant
            )
        yield imports / settings.tenant
    finally:
        with suppress(OSError):
            (imports / settings.tenant).rmdir()  # unless there is something to go on with
        os.close(lock)


async def inspect_tenant(platform: Platform, resume: Resume) -> Unfinished | None:
    """The import that was cut short there, None if nothing is there. Raises ImportRefused unless that is right."""
    import_id = await _import_at_rest(platform)
    head = await platform.log.head()
    if import_id is None:
        if head.position > 0:
            raise await _not_empty(platform, head.position)
        return None
    if head.position == 0:
        # Killed before it recorded anything: the tenant is as good as new.
        await platform.log.end_import(import_id)
        return None
    upto = iso(head.recorded_at) if head.recorded_at else "its beginning"
    unfinished = Unfinished(import_id, await _last_import(platform), head.position, upto)
    if resume == "new":
        raise _cut_short(platform.settings, unfinished)
    return unfinished


async def _import_at_rest(platform: Platform) -> UUID | None:
    """The import that the tenant is in, when the server is done with what a run that was killed had sent."""
    import_id = await platform.log.importing()
    if import_id is None:
        return None
    with suppress(AppendRejected):  # what was sent may have been its end
        await platform.log.begin_import(import_id)
    return await platform.log.importing()


async def empty_tenant(platform: Platform) -> None:
    """Drop what an import left, the copies in Redis included."""
    await drop_tenant(platform.servers.database_url, platform.settings.tenant)
    if platform.caches.redis_copies is not None:
        await platform.caches.redis_copies.clear()
    await migrate(platform.servers.database_url, platform.settings.tenant)


async def _last_import(platform: Platform) -> LogImport:
    """The first command of an import records what it imports, so there always is one."""
    system = await platform.fold(SYSTEM, SYSTEM_ID)
    if system is None or not system.imports:
        raise CorruptLog(f"Tenant {platform.settings.tenant} is importing, and its log does not say what.")
    return system.imports[-1]


async def _not_empty(platform: Platform, events: int) -> ImportRefused:
    tenant = platform.settings.tenant
    system = await platform.fold(SYSTEM, SYSTEM_ID)
    done = system.imports[-1] if system is not None and system.imports else None
    what = f", among them the whole import of {done.file_name}" if done is not None else ""
    return ImportRefused(
        f"Tenant {tenant} is not empty, it has {events} events{what}; import into an empty one, "
        "for example with --tenant imported.",
        tenant=tenant,
        events=events,
    )


def _cut_short(settings: Settings, unfinished: Unfinished) -> ImportRefused:
    return ImportRefused(
        f"Tenant {settings.tenant} holds an import of {unfinished.log.file_name} that was cut short after "
        f"{unfinished.events} events, up to {unfinished.upto}; run it again with --continue to go on, or with "
        "--start-anew to drop what is there.",
        tenant=settings.tenant,
        file_name=unfinished.log.file_name,
        events=unfinished.events,
        upto=unfinished.upto,
    )


def other_file(settings: Settings, path: Path, unfinished: Unfinished) -> ImportRefused:
    return ImportRefused(
        f"Tenant {settings.tenant} holds an import of {unfinished.log.file_name}, and {path.name} is another file; "
        "continue with that one, or start anew with --start-anew.",
        tenant=settings.tenant,
        file_name=unfinished.log.file_name,
    )
