"""The projector: reads the log after its checkpoint and keeps the read models up with it, exactly once."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from domain.errors import CorruptLog, LogUnavailable, without_advice
from domain.folding import FOLDER, Folder
from domain.log import Cut, EventReader, RecordedEvent
from projections.batch import Batch
from projections.documents import RENDERINGS
from projections.documents.values import decode
from projections.errors import (
    CheckpointMoved,
    NotProjectedYet,
    ProjectionHalted,
    ReadModelsUnavailable,
)
from projections.folding import Folding
from projections.ports import Counts, HotCopies, ReadModelStore, ReadModelWriter, Signal
from projections.signal import ProcessSignal
from projections.states import States

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often the log is looked at without being told."""
LONGEST_PAUSE = 5.0
LAST_VERSION = 2**63 - 1


class Projector:
    """Runs the projection. Of any number of projectors on one tenant, one writes and the others wait.

    `batch_size` is how many events are applied at once when far behind; `states_kept` bounds the memory. `until` is the
    position at which a replay ends: that of a command's last event.
    """

    def __init__(
        self,
        reader: EventReader,
        store: ReadModelStore,
        hot: HotCopies,
        folder: Folder = FOLDER,
        *,
        signal: Signal | None = None,
        batch_size: int = 4_000,
        states_kept: int = 20_000,
        until: int | None = None,
    ) -> None:
        self._reader = reader
        self._store = store
        self._hot = hot
        self._catalogue = folder.catalogue
        self._signal = signal or ProcessSignal()
        self._batch_size = batch_size
        self._until = until
        self._states = States(reader, folder, states_kept)
        self._lease = AsyncExitStack()
        self._writer: ReadModelWriter | None = None
        self._position = 0
        self._counts: Counts | None = None
        self._parked: set[str] = set()
        self._ahead: asyncio.Future[list[RecordedEvent]] | None = None
        self._alone = asyncio.Lock()

    async def run_once(self) -> int:
        """Apply one batch; gives how many events it had, 0 also if another projector is the one that writes.

        Raises ProjectionHalted at an event that this release does not know.
        """
        async with self._alone:
            try:
                return await self._run_once()
            except BaseException:
                # The states may be ahead of what was written, and the writer may have lost its connection.
                await self._let_go()
                raise

    async def run(self, stop: asyncio.Event) -> None:
        """Keep up with the log until told to stop. Waits out an outage; raises ProjectionHalted."""
        pause = 0.0
        try:
            while not stop.is_set():
                try:
                    applied = await self.run_once()
                except CheckpointMoved as moved:
                    log.info("%s", moved)
                    continue
                except (ReadModelsUnavailable, LogUnavailable) as error:
                    pause = min(max(2 * pause, 0.1), LONGEST_PAUSE)
                    log.warning("The projector tries again in %.1f s: %s", pause, without_advice(error))
                    await _first_of(stop.wait(), asyncio.sleep(pause))
                    continue
                pause = 0.0
                if not applied:
                    await self._tend()
                    await _first_of(stop.wait(), self._signal.wait(POLL_SECONDS))
        finally:
            await self.release()

    async def catch_up(self, position: int, timeout: float | None = None) -> None:
        """Until the read models include the event at `position`, whichever projector applies it.

        Raises NotProjectedYet when that takes longer than `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while (await self._reached()) < position:
                    if not await self.run_once() and (await self._reached()) < position:
                        await asyncio.sleep(0.01)
        except TimeoutError:
            reached = (await self._store.checkpoint()).position
            raise NotProjectedYet(
                f"The read models are at position {reached} and {position} was asked for; try again.",
                position=reached,
                asked=position,
            ) from None

    async def release(self) -> None:
        """Let another projector take over."""
        async with self._alone:
            await self._let_go()

    async def _tend(self) -> None:
        """The copies are kept by whoever writes."""
        if self._writer is not None:
            await self._hot.tend(self._position, self._counts)

    async def _reached(self) -> int:
        if self._writer is not None:
            return self._position
        return (await self._store.checkpoint()).position

    async def _run_once(self) -> int:
        writer = self._writer or await self._take_over()
        if writer is None:
            return 0
        if self._parked:
            await self._mend(writer)
        records = await self._read(self._position)
        known = self._known(records)
        if not known:
            return 0
        batch = Batch(
            start=self._position,
            end=known[-1].position,
            ended_at=known[-1].recorded_at,
            behind=len(records) >= self._batch_size,
        )
        await Folding(self._states, self._catalogue, self._parked, batch).apply(known)
        if batch.behind and len(known) == len(records):
            self._ahead = asyncio.ensure_future(self._read_log(batch.end))
        self._counts = counts = await writer.write(batch)
        self._position = batch.end
        for letter in batch.dead_letters:
            log.error("Parked event %d of %s: %s", letter.position, letter.stream_id, letter.error)
        await self._hot.mirror(batch, counts)
        return len(known)

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
        found = await self._store.document(kind, id) if kind in RENDERINGS else None
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
        records = await self._reader.read_log(after_position=position, limit=self._batch_size)
        if self._until is not None and records and records[-1].position > self._until:
            return [record for record in records if record.position <= self._until]
        return records

    async def _take_over(self) -> ReadModelWriter | None:
        writer = await self._lease.enter_async_context(self._store.run_alone())
        if writer is None:
            await self._lease.aclose()
            return None
        self._position = (await writer.checkpoint()).position
        self._parked = await writer.parked()
        await self._hot.begin(self._position, 0)
        self._writer = writer
        return writer

    async def _let_go(self) -> None:
        self._states.clear()
        self._writer, self._counts = None, None
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None
        await self._lease.aclose()

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


async def _first_of(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
