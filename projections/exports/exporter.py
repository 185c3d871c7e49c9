"""Writes exports: a stream of pieces, in a format, of what was selected."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime

from domain.folding import FOLDER, Folder
from domain.log import Cut, EventReader
from projections.exports import json_lines, ocel, table, xes
from projections.exports.ahead import one_ahead
from projections.exports.cases import Case, Cases
from projections.exports.links import Linker
from projections.exports.selection import Selection, Selector

FORMATS = ("jsonl", "ocel", "xes", "csv")
Tell = Callable[[int], None]
"""Is told how many events more are written."""


class Exporter:
    """The four formats. Pieces are bytes to be written one after the other; together they are the export."""

    def __init__(self, reader: EventReader, tenant: str, folder: Folder = FOLDER) -> None:
        self._reader = reader
        self._folder = folder
        self._tenant = tenant
        self._selector = Selector(reader, folder)

    async def select(self, workflow_id: str | None, since: datetime | None, end: Cut, now: datetime) -> Selection:
        """What to tell of: everything, or one workflow, from a time on and up to a cut.

        Raises NotFound for an unknown workflow, CutOutOfRange where there is nothing.
        """
        return await self._selector.select(workflow_id, since, end, now)

    def write(self, format: str, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        """One of FORMATS. Raises CorruptLog at an event that it has to understand and can't; jsonl copies all."""
        writers = {"jsonl": self._json_lines, "csv": self._table, "ocel": self._ocel, "xes": self._xes}
        return _begun(writers[format](selection, tell))

    async def _json_lines(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        async with aclosing(one_ahead(self._selector.pages(selection))) as pages:
            async for page in pages:
                yield b"".join(map(json_lines.line, page))
                tell(len(page))

    async def _table(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        linker = Linker(self._reader, self._folder)
        yield table.header()
        async with aclosing(one_ahead(self._selector.pages(selection))) as pages:
            async for page in pages:
                yield table.rows(await linker.link(page))
                tell(len(page))

    async def _ocel(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        linker = Linker(self._reader, self._folder)
        export = ocel.Ocel(self._reader, self._folder, selection)
        yield ocel.BEGIN
        async with aclosing(one_ahead(self._selector.pages(selection))) as pages:
            async for page in pages:
                yield export.events(await linker.link(page))
                tell(len(page))
        yield ocel.BETWEEN
        async for piece in export.objects():
            yield piece
        yield export.end()

    async def _xes(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        yield xes.begin(self._tenant, selection.at)
        linker = Linker(self._reader, self._folder)
        batches = Cases(self._reader, self._folder, self._selector).batches(selection)
        async with aclosing(one_ahead(batches)) as coming:
            async for batch in coming:
                for case in batch:
                    async for piece in self._trace(case, linker, tell):
                        yield piece
        yield xes.END

    async def _trace(self, case: Case, linker: Linker, tell: Tell) -> AsyncIterator[bytes]:
        trace: xes.Trace | None = None
        async for whole in case.pages:
            page = [one for one in whole if one.stream_id.startswith(("workflow-", "task-"))]
            if trace is None:
                is_whole = any(one.version == 1 and one.stream_id.startswith("workflow-") for one in page)
                trace = xes.Trace(case.workflow, is_whole=is_whole)
                yield trace.begin()
            yield trace.events(await linker.link(page))
            tell(len(page))
        if trace is not None:
            yield xes.END_OF_TRACE


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What stands before the first events comes with them: nothing is told where they can't be read."""
    head = await anext(pieces, b"")
    yield head + await anext(pieces, b"")
    async for piece in pieces:
        yield piece
