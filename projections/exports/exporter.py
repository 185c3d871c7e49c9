"""Writes exports: a stream of pieces, in a format, of what was selected."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from domain.folding import FOLDER, Folder
from domain.log import Cut, EventReader
from domain.workflow import WORKFLOW, Workflow
from projections.exports import json_lines, ocel, table, xes
from projections.exports.links import Linker
from projections.exports.selection import Selection, Selector

FORMATS = ("jsonl", "ocel", "xes", "csv")
WORKFLOWS = 50
"""Workflows that are folded at once."""
FIRST_WORKFLOW = "workflow-"
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
        return writers[format](selection, tell)

    async def _json_lines(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        async for page in self._selector.pages(selection):
            yield b"".join(map(json_lines.line, page))
            tell(len(page))

    async def _table(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        linker = Linker(self._reader, self._folder)
        yield table.header()
        async for page in self._selector.pages(selection):
            yield table.rows(await linker.link(page))
            tell(len(page))

    async def _ocel(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        linker = Linker(self._reader, self._folder)
        export = ocel.Ocel(self._reader, self._folder, selection)
        yield ocel.BEGIN
        async for page in self._selector.pages(selection):
            yield export.events(await linker.link(page))
            tell(len(page))
        yield ocel.BETWEEN
        async for piece in export.objects():
            yield piece
        yield export.end()

    async def _xes(self, selection: Selection, tell: Tell) -> AsyncIterator[bytes]:
        yield xes.begin(self._tenant, selection.at)
        linker = Linker(self._reader, self._folder)
        async for workflow in self._workflows(selection):
            of_one = Selection(
                selection.after, selection.until, selection.at, workflow.workflow_id, frozenset(workflow.tasks)
            )
            trace: xes.Trace | None = None
            async for page in self._selector.pages(of_one):
                if trace is None:
                    first = next(one for one in page if one.stream_id.startswith(FIRST_WORKFLOW))
                    trace = xes.Trace(workflow, is_whole=first.version == 1)
                    yield trace.begin()
                yield trace.events(await linker.link(page))
                tell(len(page))
            if trace is not None:
                yield xes.END_OF_TRACE
        yield xes.END

    async def _workflows(self, selection: Selection) -> AsyncIterator[Workflow]:
        """Those that had begun by then, as they were then."""
        async for stream_ids in self._workflow_streams(selection):
            requests = [self._folder.request(stream_id) for stream_id in stream_ids]
            stretches = await self._reader.read_folds(requests, up_to_position=selection.until)
            for stream_id, stretch in zip(stream_ids, stretches, strict=True):
                state = self._folder.go_on(stream_id, stretch).state
                if state is not None:
                    yield state

    async def _workflow_streams(self, selection: Selection) -> AsyncIterator[list[str]]:
        if selection.workflow_id is not None:
            yield [WORKFLOW.stream_id(selection.workflow_id)]
            return
        last = FIRST_WORKFLOW
        while True:
            found = await self._reader.streams_after(last, WORKFLOWS)
            workflows = [stream_id for stream_id in found if stream_id.startswith(FIRST_WORKFLOW)]
            if not workflows:
                return
            yield workflows
            last = workflows[-1]
