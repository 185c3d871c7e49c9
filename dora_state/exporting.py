"""Exports into files: complete or not there at all."""

import gzip
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from domain.errors import InvalidInput
from domain.log import NOW, Cut
from domain.text import require_id, shown
from domain.values import MAX_ID_LENGTH
from dora_state.platform import Platform, now
from dora_state.progress import Progress
from projections.exports import FORMATS, Exporter, Selection

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: so many events, up to a position, and so many bytes, as they were before a compression."""

    format: str
    tenant: str
    workflow_id: str | None
    after_position: int
    until_position: int
    until_at: datetime
    events: int
    bytes: int


class Export:
    """One export, chosen and not written yet."""

    def __init__(self, exporter: Exporter, tenant: str, format: str, selection: Selection) -> None:
        self._exporter = exporter
        self._tenant = tenant
        self._format = format
        self.selection = selection
        self.events = 0

    async def pieces(self, progress: Progress | None = None) -> AsyncIterator[bytes]:
        """The whole of it, in pieces of bounded memory. Raises CorruptLog, LogError."""

        def tell(count: int) -> None:
            self.events += count
            if progress is not None:
                progress.advance(count)

        if progress is not None:
            span = self.selection.until - self.selection.after
            progress.begin("export", span if self.selection.workflow_id is None else None)
        async for piece in self._exporter.write(self._format, self.selection, tell):
            yield piece
        if progress is not None:
            progress.end()

    async def into(self, write: Write, progress: Progress) -> ExportReport:
        """Write it piece by piece."""
        size = 0
        async for piece in self.pieces(progress):
            write(piece)
            size += len(piece)
        chosen = self.selection
        return ExportReport(
            format=self._format,
            tenant=self._tenant,
            workflow_id=chosen.workflow_id,
            after_position=chosen.after,
            until_position=chosen.until,
            until_at=chosen.at,
            events=self.events,
            bytes=size,
        )


async def begin_export(
    platform: Platform,
    format: str,
    *,
    workflow_id: str | None = None,
    since: datetime | None = None,
    cut: Cut = NOW,
) -> Export:
    """Choose what to export: everything or one workflow, from a time on and up to a cut.

    Raises InvalidInput for a format that there is not or a version without a workflow, NotFound, CutOutOfRange.
    """
    if format not in FORMATS:
        raise InvalidInput(
            f"There is no format {format[:MAX_ID_LENGTH]!r}: use one of {', '.join(FORMATS)}.", format=shown(format)
        )
    if workflow_id is not None:
        require_id("workflow_id", workflow_id)
    elif cut.version is not None:
        raise InvalidInput("A version is one of a single workflow: name it, or give a time or a position.")
    platform.questions.asked("export")
    tenant = platform.settings.tenant
    exporter = Exporter(platform.reader, tenant)
    return Export(exporter, tenant, format, await exporter.select(workflow_id, since, cut, now()))


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there once its block has ended well, readable for its owner only; `.gz` is compressed.

    Raises InvalidInput where one is there already, or comes meanwhile, or can't be written.
    """
    part: str | None = None
    try:
        if path.exists():
            raise FileExistsError
        number, part = tempfile.mkstemp(prefix=".dora-state-", suffix=".part", dir=path.parent)
        with open(number, "wb") as file, _compressed(file, path.suffix == ".gz") as opened:
            yield opened
        _put_in_place(part, path)
    except FileExistsError:
        raise InvalidInput(f"{path} is there already; choose another file, or remove it.", file=str(path)) from None
    except OSError as error:
        raise InvalidInput(
            f"{path} can't be written ({error.strerror or error}); check the path and the room that is left.",
            file=str(path),
        ) from error
    finally:
        if part is not None:
            with suppress(FileNotFoundError):
                os.unlink(part)


def _put_in_place(part: str, path: Path) -> None:
    """Raises FileExistsError."""
    try:
        os.link(part, path)  # unlike a rename it never takes the place of another file
    except FileExistsError:
        raise
    except OSError:
        # A file system that has no links.
        if path.exists():
            raise FileExistsError from None
        os.rename(part, path)


@contextmanager
def _compressed(file: BinaryIO, wanted: bool) -> Iterator[BinaryIO]:
    if wanted:
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
            yield cast(BinaryIO, packed)
    else:
        yield file
    file.flush()
    os.fsync(file.fileno())
