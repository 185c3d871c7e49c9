"""Takes the snapshots that are due, off the way of commands and of read models: evenly spaced, and all of them kept."""

import asyncio
import logging
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any

from domain.errors import CorruptLog
from domain.folding import FOLDER, NOT_BEGUN, Folded, Folder
from domain.log import EventReader, FoldRequest
from domain.snapshots import SPACING, Snapshot, TakenSnapshot
from projections.ports import SnapshotStore

WINDOW = 100_000
"""Positions that are looked through at once."""
TOGETHER = 20
"""Streams that are folded by one question."""
logger = logging.getLogger(__name__)


class Snapshotter:
    """Looks through the log once for the versions at which a snapshot is due, and folds to them.

    Its checkpoint belongs to the stamps of today: where a state or a fold has changed, the log is looked through again.
    """

    def __init__(
        self, reader: EventReader, store: SnapshotStore, folder: Folder = FOLDER, *, spacing: int = SPACING
    ) -> None:
        self._reader = reader
        self._store = store
        self._folder = folder
        self._spacing = spacing

    @cached_property
    def _name(self) -> str:
        """Of the checkpoint."""
        found = sorted((category, one.schema, one.fold_version) for category, one in self._folder.stamps.items())
        return f"snapshots {sha256(repr((found, self._spacing)).encode()).hexdigest()[:16]}"

    async def catch_up(self, stop: asyncio.Event | None = None, *, again: bool = False) -> int:
        """Take all that are due; gives how many were taken, 0 also where another process is at it.

        `again`: look through the whole log once more, for those that were deleted. When `stop` is set, the rest is
        left for the next time. Raises LogError, ReadModelsUnavailable.
        """
        taken = 0
        async with self._store.take_alone() as taker:
            if taker is None:
                return 0
            position = 0 if again else await taker.checkpoint(self._name)
            head = (await self._reader.head()).position
            while position < head and not (stop is not None and stop.is_set()):
                until = min(position + WINDOW, head)
                due = await taker.due(position, until, self._spacing, self._folder.stamps)
                snapshots = await self._take(due)
                await taker.put(snapshots, self._name, until)
                taken += len(snapshots)
                position = until
        return taken

    async def _take(self, due: Sequence[tuple[str, int]]) -> list[TakenSnapshot]:
        """Streams are folded together, each from one of its versions that are due to the next."""
        versions: dict[str, list[int]] = {}
        for stream_id, version in due:
            versions.setdefault(stream_id, []).append(version)
        taken: list[TakenSnapshot] = []
        streams = list(versions)
        for first in range(0, len(streams), TOGETHER):
            some = {stream_id: versions[stream_id] for stream_id in streams[first : first + TOGETHER]}
            taken += await self._fold(some)
        return taken

    async def _fold(self, versions: dict[str, list[int]]) -> list[TakenSnapshot]:
        taken: list[TakenSnapshot] = []
        reached: dict[str, Folded[Any]] = {}
        while versions:
            asked = [
                FoldRequest(stream_id, after_version=reached[stream_id].version, until_version=left[0])
                if stream_id in reached
                else self._folder.request(stream_id, left[0])
                for stream_id, left in versions.items()
            ]
            for request, stretch in zip(asked, await self._reader.read_folds(asked), strict=True):
                stream_id, base = request.stream_id, reached.get(request.stream_id, NOT_BEGUN)
                try:
                    folded = self._folder.go_on(stream_id, stretch, base.state, base.version)
                except CorruptLog as error:
                    logger.warning("No snapshot is taken: %s", error)
                    versions[stream_id] = []
                    continue
                if folded.place is not None:
                    reached[stream_id] = folded
                    codec = self._folder.codec(stream_id)
                    snapshot = Snapshot(folded.place, codec.to_bytes(folded.state))
                    taken.append(TakenSnapshot(stream_id, codec.stamp, snapshot))
            versions = {stream_id: left[1:] for stream_id, left in versions.items() if left[1:]}
        return taken
