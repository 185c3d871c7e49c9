"""The states that the projector folds on: a bounded cache over the log."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from domain.aggregate import Aggregate
from domain.errors import CorruptLog
from domain.folding import Folder
from domain.log import Cut, EventReader

READ_AT_ONCE = 20_000
"""How many events of missing streams are read in one go; longer streams are read by pages."""


class States:
    """States by stream, each after the last event that the projector applied; least recently used go first.

    `capacity` is how many are kept from one batch to the next.
    """

    def __init__(
        self,
        reader: EventReader,
        folder: Folder,
        capacity: int,
    ) -> None:
        self._reader = reader
        self._folder = folder
        self._capacity = capacity
        self._states: OrderedDict[str, Any] = OrderedDict()

    def aggregate(self, stream_id: str) -> Aggregate[Any] | None:
        return self._folder.aggregates.get(stream_id.partition("-")[0])

    def get(self, stream_id: str) -> Any | None:
        return self._states.get(stream_id)

    def put(self, stream_id: str, state: Any) -> None:
        self._states[stream_id] = state

    def forget(self, stream_id: str) -> None:
        self._states.pop(stream_id, None)

    def clear(self) -> None:
        self._states.clear()

    def trim(self, touched: Sequence[str]) -> None:
        """Keep what was touched, and of the rest what there is room for."""
        for stream_id in touched:
            if stream_id in self._states:
                self._states.move_to_end(stream_id)
        while len(self._states) > self._capacity:
            self._states.popitem(last=False)

    async def load(self, versions: Mapping[str, int], upto: int) -> dict[str, Exception]:
        """Fold the streams that are missing, each up to its version (0: it has no event yet).

        `upto` is a position at which a stream that is not long has come to that version. Gives the errors of
        those that can't be folded.
        """
        missing = {s: v for s, v in versions.items() if v > 0 and s not in self._states and self.aggregate(s)}
        failed: dict[str, Exception] = {}
        group: list[str] = []
        size = 0
        for stream_id, version in missing.items():
            if version > READ_AT_ONCE:
                try:
                    await self.load_one(stream_id, version)
                except CorruptLog as error:
                    failed[stream_id] = error
                continue
            group.append(stream_id)
            size += version
            if size >= READ_AT_ONCE:
                await self._load_group(group, upto, failed)
                group, size = [], 0
        if group:
            await self._load_group(group, upto, failed)
        return failed

    async def _load_group(self, group: Sequence[str], upto: int, failed: dict[str, Exception]) -> None:
        # No version is named: up to the position there are no more, and what is asked for without one is read together.
        requests = [self._folder.request(stream_id) for stream_id in group]
        stretches = await self._reader.read_folds(requests, up_to_position=upto)
        for stream_id, stretch in zip(group, stretches, strict=True):
            try:
                self._states[stream_id] = self._folder.go_on(stream_id, stretch).state
            except CorruptLog as error:
                failed[stream_id] = error

    async def load_one(self, stream_id: str, version: int) -> None:
        """Fold a stream up to exactly a version, in the middle of a command if need be. Raises CorruptLog."""
        self._states[stream_id] = (await self._folder.at(self._reader, stream_id, Cut(version=version))).state
