"""The system's counts and rates as they were at a position: from counts that were kept, and the fold since then."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.folding import Folder
from domain.log import EventReader
from domain.pool import Pool
from projections.documents import status
from projections.documents.system import Figures
from projections.ports import Counts, ReadModelStore

STREAMS_AT_ONCE = 500
EVENTS_AT_ONCE = 2_000
LENT = ("cpu", "memory", "storage")


class PastFigures:
    """Counts what was; the read models must have come to the position that is asked for."""

    def __init__(self, reader: EventReader, store: ReadModelStore, folder: Folder) -> None:
        self._reader = reader
        self._store = store
        self._folder = folder

    async def at(self, position: int, moment: datetime, today: datetime) -> Figures:
        """`position` ends a command; `moment` is when that was, or later, with nothing recorded between."""
        return Figures(
            position=position,
            applied_at=moment,
            counts=await self._counts(position),
            rates=await self._store.rates_at(position, moment, today),
            utilization=await self._utilization(position),
        )

    async def _counts(self, position: int) -> Counts:
        """What was counted last, and by what the streams differ that have moved since."""
        begin, kept = await self._store.kept_counts(position)
        counts = Counter(kept)
        moved: dict[str, None] = {}
        reached = begin
        while reached < position:
            page = await self._reader.read_log(after_position=reached, limit=EVENTS_AT_ONCE)
            moved |= {event.stream_id: None for event in page if event.position <= position}
            reached = page[-1].position if page else position
        known = [stream_id for stream_id in moved if stream_id.partition("-")[0] in self._folder.aggregates]
        for first in range(0, len(known), STREAMS_AT_ONCE):
            some = known[first : first + STREAMS_AT_ONCE]
            counts.subtract(await self._states(some, begin))
            counts.update(await self._states(some, position))
        return {what: count for what, count in counts.items() if count}

    async def _states(self, stream_ids: Sequence[str], position: int) -> Counter[tuple[str, str]]:
        return Counter(
            (stream_id.partition("-")[0], status(state))
            for stream_id, state in (await self._folded(stream_ids, position)).items()
        )

    async def _folded(self, stream_ids: Sequence[str], position: int) -> dict[str, Any]:
        """The states that there were."""
        requests = [self._folder.request(stream_id) for stream_id in stream_ids]
        stretches = await self._reader.read_folds(requests, up_to_position=position)
        folded = {
            stream_id: self._folder.go_on(stream_id, stretch).state
            for stream_id, stretch in zip(stream_ids, stretches, strict=True)
        }
        return {stream_id: state for stream_id, state in folded.items() if state is not None}

    async def _utilization(self, position: int) -> dict[str, tuple[Decimal, Decimal]]:
        sums = {kind: [Decimal(0), Decimal(0)] for kind in LENT}
        mark: str | None = None
        while page := await self._store.ids("pools", mark_id=mark, limit=STREAMS_AT_ONCE):
            for pool in (await self._folded([f"pool-{id}" for id in page], position)).values():
                assert isinstance(pool, Pool)
                for kind, (allocated, total) in sums.items():
                    sums[kind] = [allocated + pool.allocated[kind], total + pool.total.get(kind, Decimal(0))]  # type: ignore[index, call-overload]  # the kinds of LENT are some of a pool's
            mark = page[-1]
        return {kind: (allocated, total) for kind, (allocated, total) in sums.items()}
