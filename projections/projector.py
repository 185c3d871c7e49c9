"""The projector of the states: reads the log after its checkpoint and keeps the documents up with it, exactly once."""

import asyncio
import logging
import time
from collections.abc import Sequence

from domain.errors import CorruptLog
from domain.folding import FOLDER, Folder
from domain.log import Cut, EventReader, RecordedEvent
from projections.batch import Batch
from projections.cache_ports import HotCopies
from projections.documents import RENDERINGS
from projections.documents.values import decode
from projections.errors import ProjectionHalted
from projections.folding import Folding
from projections.ports import Checkpoint, Counts, ReadModelStore, ReadModelWriter, Signal
from projections.projection import STATES
from projections.runner import BUSY, GROWS, Runner
from projections.states import States
from projections.tracing import NOBODY_ASKS, BatchTracing

log = logging.getLogger(__name__)

LAST_VERSION = 2**63 - 1
FIRST = 500
"""Events of the first batch, of which nobody knows how large they are."""
BYTES_AT_ONCE = 16_000_000
"""A batch grows while the data of its events stays below so many bytes."""


class Projector(Runner[ReadModelWriter]):
    """Folds each stream that a batch touches, and renders its document.

    `states_kept` bounds the memory.
    """

    def __init__(
        self,
        reader: EventReader,
        store: ReadModelStore,
        hot: HotCopies,
        folder: Folder = FOLDER,
        *,
        signal: Signal | None = None,
        batch_size: int = 2_000,
        states_kept: int = 20_000,
        until: int | None = None,
        tracing: BatchTracing = NOBODY_ASKS,
    ) -> None:
        super().__init__(STATES, reader, store, signal=signal, batch_size=batch_size, until=until)
        self._documents = store
        self._tracing = tracing
        self._hot = hot
        self._catalogue = folder.catalogue
        self._size = min(batch_size, FIRST)
        self._states = States(reader, folder, states_kept)
        self._counts: Counts | None = None
        self._parked: set[str] = set()
        self._ahead: asyncio.Future[list[RecordedEvent]] | None = None

    async def _begin(self, writer: ReadModelWriter, checkpoint: Checkpoint) -> None:
        self._parked = await writer.parked()
        self._counts = await writer.counts()
        await self._hot.begin(checkpoint.position, checkpoint.generation)

    async def _rest(self, writer: ReadModelWriter) -> None:
        """The copies are kept by whoever writes."""
        await self._hot.tend(self._position, self._counts)

    async def _forget(self) -> None:
        self._states.clear()
        self._counts = None
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None

    async def _apply(self, writer: ReadModelWriter) -> int:
        if self._parked:
            await self._mend(writer)
        limit, since = self._size, time.time_ns()
        records = await self._read(self._position)
        known = self._known(records)
        if not known:
            return 0
        batch = Batch(
            start=self._position,
            end=known[-1].position,
            ended_at=known[-1].recorded_at,
            behind=len(records) >= limit,
        )
        self._size = self._next_size(records, behind=batch.behind)
        await Folding(self._states, self._catalogue, self._parked, batch).apply(known)
        whole = len(known) == len(records)
        if whole and batch.behind:
            self._ahead = asyncio.ensure_future(self._read_log(batch.end))
        self._counts = counts = await writer.write(batch)
        self._position, self._recorded_at = batch.end, batch.ended_at
        for letter in batch.dead_letters:
            log.error("Parked event %d of %s: %s", letter.position, letter.stream_id, letter.error)
        if whole and len(known) < BUSY and not batch.behind:
            self._ahead = asyncio.ensure_future(self._read_log(batch.end))  # what came meanwhile
        await self._hot.mirror(batch, counts)
        self._tracing.applied(self.projection.name, known, since)
        return len(known)

    def _next_size(self, records: Sequence[RecordedEvent], *, behind: bool) -> int:
        """Far behind, more at once: of what moved several times within a batch, one document is written."""
        most = min(2 * self._size, GROWS * self._batch_size) if behind else max(self._size, self._batch_size)
        held = sum(len(record.data) for record in records) / len(records)
        return max(1, min(most, int(BYTES_AT_ONCE / max(held, 1))))

    async def _mend(self, writer: ReadModelWriter) -> None:
        """Do what was asked of parked streams: apply their events again, or let them be."""
        for stream_id, asked in (await writer.asked()).items():
            if asked == "drop":
                await writer.mend(stream_id, LAST_VERSION, None, done=True)
                self._states.forget(stream_id)  # it lacks what is dropped
                self._parked.discard(stream_id)
                log.warning("What was parked of %s is dropped; its document follows from its next event.", stream_id)
            else:
                await self._retry(writer, stream_id)

    async def _retry(self, writer: ReadModelWriter, stream_id: str) -> None:
        """From the document as it stands up to the checkpoint, some events at a time, until one fails again."""
        kind, _, id = stream_id.partition("-")
        found = await self._documents.document(kind, id) if kind in RENDERINGS else None
        version: int = 0 if found is None else decode(found.body)["stream_version"]
        upto = Cut(position=self._position)
        self._states.forget(stream_id)
        if version > 0:
            try:
                await self._states.load_one(stream_id, version)
            except CorruptLog as error:
                log.warning("What was parked of %s could not be applied again: %s", stream_id, error)
                await writer.mend(stream_id, 0, None, done=True)
                return
        self._parked.discard(stream_id)
        more = True
        while more and stream_id not in self._parked:
            stream = self._reader.read_stream(stream_id, after_version=version, cut=upto, limit=self._batch_size)
            records = [record async for record in stream]
            more = len(records) == self._batch_size
            if not records:
                await writer.mend(stream_id, version, None, done=True)
                return
            version = records[-1].version
            batch = Batch(self._position, self._position, records[-1].recorded_at, behind=False)
            await Folding(self._states, self._catalogue, self._parked, batch).apply(records)
            failed = stream_id in self._parked
            self._counts = counts = await writer.mend(stream_id, version, batch, done=failed or not more)
            await self._hot.mirror(batch, counts)
        outcome = "could not be applied again" if stream_id in self._parked else "is applied"
        log.warning("What was parked of %s %s.", stream_id, outcome)

    async def _read(self, position: int) -> list[RecordedEvent]:
        """What was read while the batch before was written, if it was."""
        ahead, self._ahead = self._ahead, None
        return await (ahead or self._read_log(position))

    async def _read_log(self, position: int) -> list[RecordedEvent]:
        records = await self._reader.read_log(after_position=position, limit=self._size)
        if self._until is not None and records and records[-1].position > self._until:
            return [record for record in records if record.position <= self._until]
        return records

    def _known(self, records: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        """The commands before the first event that this release does not know."""
        types = self._catalogue.types
        for index, record in enumerate(records):
            event_type = types.get(record.type)
            if event_type is not None and record.schema_version <= event_type.schema_version:
                continue
            while index > 0 and records[index - 1].following > 0:
                index -= 1
            if index == 0:
                raise ProjectionHalted(
                    f"Event {record.position} is a {record.type} of schema version {record.schema_version}, "
                    "which this release does not know; run the release that wrote it, or a later one, or ask for"
                    f" what was up to position {record.position - 1}.",
                    position=record.position,
                    event_type=record.type,
                    schema_version=record.schema_version,
                )
            return records[:index]
        return records
