"""Runs a projection: of any number of processes one does, batch by batch after its checkpoint, and the others wait."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from typing import Any, Generic, TypeVar

from domain.errors import Archived, DoraStateError, LogUnavailable, without_advice
from domain.log import EventReader
from projections.errors import (
    CheckpointMoved,
    CheckpointNotInLog,
    NotProjectedYet,
    ProjectionChanged,
    ReadModelsUnavailable,
)
from projections.ports import Checkpoint, ProjectionStore, ProjectionWriter, Signal
from projections.projection import Projection
from projections.running_figures import RunningFigures
from projections.signal import ProcessSignal

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often the log is looked at without being told."""
LONGEST_PAUSE = 5.0
GROWS = 8
"""A batch grows to so many times its usual size while the projection is far behind."""
BUSY = 500
LONGEST_BREATH = 0.5
"""Events of a batch from which on there is a breath after it, and its seconds at most."""
W = TypeVar("W", bound=ProjectionWriter)


class Runner(ABC, Generic[W]):
    """The part that all projections share; what one batch is, each says by itself.

    Without a signal, the log is looked at every `poll_seconds`. `batch_size` is how many events are applied at once
    when far behind. `until` is the position to end at: that of a command's last event.
    """

    def __init__(
        self,
        projection: Projection,
        reader: EventReader,
        store: ProjectionStore[W],
        *,
        signal: Signal | None = None,
        poll_seconds: float = POLL_SECONDS,
        batch_size: int = 4_000,
        until: int | None = None,
    ) -> None:
        self.projection = projection
        self._reader = reader
        self._store = store
        self._appended = (signal or ProcessSignal()).listener()
        self._poll_seconds = poll_seconds
        self._batch_size = batch_size
        self._largest = GROWS * batch_size
        self._until = until
        self._lease = AsyncExitStack()
        self._writer: W | None = None
        self._position = 0
        self._recorded_at: datetime | None = None
        self.figures = RunningFigures()
        self._alone = asyncio.Lock()

    @abstractmethod
    async def _apply(self, writer: W) -> int:
        """Write one batch and its checkpoint, and note position and time; gives how many events it had."""

    async def _begin(self, writer: W, checkpoint: Checkpoint) -> None:
        """The projection is ours from this checkpoint on."""

    async def _rest(self, writer: W) -> None:
        """There was nothing to apply."""

    async def _forget(self) -> None:
        """What is in memory may be ahead of what was written."""

    async def run_once(self) -> int:
        """Apply one batch; gives how many events it had, 0 also if another runs this projection.

        Raises ProjectionHalted at an event that this release does not know, or a checkpoint that it can't go on from.
        """
        async with self._alone:
            try:
                return await self._run_once()
            except BaseException as error:
                if isinstance(error, DoraStateError):
                    self.figures.failures[error.code] += 1
                # The writer may have lost its connection.
                await self._let_go()
                raise

    async def run(self, stop: asyncio.Event) -> None:
        """Keep up with the log until told to stop. Waits out an outage; raises ProjectionHalted."""
        pause = 0.0
        try:
            while not stop.is_set():
                begun = time.monotonic()
                try:
                    applied = await self.run_once()
                except CheckpointMoved as moved:
                    log.info("%s", moved)
                    continue
                except (ReadModelsUnavailable, LogUnavailable) as error:
                    pause = min(max(2 * pause, 0.1), LONGEST_PAUSE)
                    log.warning(
                        "The projection %s goes on in %.1f s: %s", self.projection.name, pause, without_advice(error)
                    )
                    await _first_of(stop.wait(), asyncio.sleep(pause))
                    continue
                pause = 0.0
                if not applied:
                    await _first_of(stop.wait(), self._appended.wait(self._poll_seconds))
                elif (breath := self._breath(applied, time.monotonic() - begun)) > 0:
                    await _first_of(stop.wait(), asyncio.sleep(breath))
        finally:
            await self.release()

    def _breath(self, applied: int, took: float) -> float:
        """Where so much comes, leave time to those from whom it comes, and do more at once: that costs less for each.

        None where little comes, nor for who is so far behind that the batches are as large as they get.
        """
        return min(2 * took, LONGEST_BREATH) if BUSY <= applied < self._largest else 0.0

    async def catch_up(self, position: int, timeout: float | None = None) -> None:
        """Until the projection includes the event at `position`, whoever applies it.

        Raises NotProjectedYet when that takes longer than `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while (await self.reached()) < position:
                    with suppress(CheckpointMoved):
                        if await self.run_once():
                            continue
                    if (await self.reached()) < position:
                        await asyncio.sleep(0.01)
        except TimeoutError:
            reached = (await self._store.checkpoint()).position
            raise NotProjectedYet(
                f"The read models are at position {reached} and {position} was asked for; try again.",
                position=reached,
                asked=position,
            ) from None

    async def checkpoint(self) -> Checkpoint:
        """Where the projection is, whoever runs it."""
        return await self._store.checkpoint()

    async def require_version(self) -> None:
        """Raises ProjectionChanged where another version of the projection wrote what is there."""
        self._require_version(await self.checkpoint())

    async def reached(self) -> int:
        """The last position that the projection includes."""
        if self._writer is not None:
            return self._position
        return (await self._store.checkpoint()).position

    async def release(self) -> None:
        """Let another run it."""
        async with self._alone:
            await self._let_go()

    async def _run_once(self) -> int:
        writer = self._writer or await self._take_over()
        if writer is None:
            return 0
        begun = time.monotonic()
        applied = await self._apply(writer)
        if applied:
            lag = time.time() - self._recorded_at.timestamp() if self._recorded_at is not None else 0.0
            self.figures.applied(applied, time.monotonic() - begun, self._position, lag)
        else:
            await writer.require_same()
            await self._rest(writer)
        return applied

    async def _take_over(self) -> W | None:
        writer = await self._lease.enter_async_context(self._store.run_alone())
        if writer is None:
            await self._lease.aclose()
            return None
        checkpoint = await writer.checkpoint()
        self._require_version(checkpoint)
        await require_in_log(self._reader, self.projection, checkpoint)
        self._position = checkpoint.position
        await self._begin(writer, checkpoint)
        self._writer = writer
        return writer

    async def _let_go(self) -> None:
        self._writer = None
        await self._forget()
        await self._lease.aclose()

    def _require_version(self, checkpoint: Checkpoint) -> None:
        """What nobody has written yet is of any version."""
        name, ours, theirs = self.projection.name, self.projection.version, checkpoint.version
        if checkpoint.position == 0 or theirs == ours:
            return
        advice = (
            f"build it anew with `dora-state rebuild {name}`, beside those that run"
            if theirs < ours
            else "leave it to the workers of the later release"
        )
        raise ProjectionChanged(
            f"The projection {name} is of version {theirs} and this release has version {ours}: {advice}.",
            projection=name,
            version=theirs,
            ours=ours,
        )


async def require_in_log(reader: EventReader, projection: Projection, checkpoint: Checkpoint) -> None:
    """Raises CheckpointNotInLog where the log never was, or is no longer, where the checkpoint says."""
    if checkpoint.position == 0:
        return
    try:
        there = await reader.whole_command(checkpoint.position)
    except Archived:  # it was there
        return
    if (there.position, there.recorded_at) != (checkpoint.position, checkpoint.recorded_at):
        head = (await reader.head()).position
        raise CheckpointNotInLog(
            f"The projection {projection.name} is at position {checkpoint.position} of another log than this one, which"
            f" ends at {head} (was the database restored from an older backup?): build it anew with `dora-state rebuild"
            f" {projection.name}`.",
            projection=projection.name,
            position=checkpoint.position,
            head=head,
        )


async def _first_of(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
