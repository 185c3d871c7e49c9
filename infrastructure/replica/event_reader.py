"""The log as the replica shows it, where that is all that was asked for; else as the primary does.

A replica holds the beginning of what its primary holds. So an answer up to a position, a time or a version that the
replica has come to is the same from both, and going on with the primary in the midst of a stream misses nothing.
What there is now is short to say, and the primary says it: so no answer lacks anything, and what is long comes from the
replica. Where the primary is away, the replica tells what it has.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from domain.errors import LogUnavailable
from domain.log import (
    NOW,
    AlreadyRecorded,
    Cut,
    EventReader,
    FoldRequest,
    Head,
    LogFilter,
    Moved,
    RecordedEvent,
    Stretch,
)
from domain.snapshots import Stamp
from infrastructure.event_store.reading import PAGE
from infrastructure.replica.standby import Replica

T = TypeVar("T")
Includes = Callable[[], Coroutine[Any, Any, bool]]


class ReplicaEventReader:
    """The port EventReader. Where the log ends, and whether a command id is known, the primary says."""

    def __init__(self, primary: EventReader, replica: Replica) -> None:
        self._primary = primary
        self._replica = replica

    async def head(self) -> Head:
        return await self._now(lambda reader: reader.head())

    async def find_command(self, command_id: UUID) -> AlreadyRecorded | None:
        return await self._now(lambda reader: reader.find_command(command_id))

    async def position_at(self, at: datetime) -> int:
        return await self._either(lambda reader: reader.position_at(at), lambda: self._replica.has_time(at))

    async def whole_command(self, position: int) -> Head:
        return await self._either(lambda reader: reader.whole_command(position), self._has(position))

    async def stream_version(self, stream_id: str) -> int:
        return await self._now(lambda reader: reader.stream_version(stream_id))

    async def stream_versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        return await self._now(lambda reader: reader.stream_versions(stream_ids))

    async def stream_began(self, stream_id: str) -> datetime | None:
        return await self._now(lambda reader: reader.stream_began(stream_id))

    async def archived_streams(self, stream_ids: Sequence[str]) -> set[str]:
        return await self._now(lambda reader: reader.archived_streams(stream_ids))

    async def moved_after(self, position: int, *, at_most: int) -> tuple[int, dict[str, int]]:
        return await self._now(lambda reader: reader.moved_after(position, at_most=at_most))

    async def streams_after(self, stream_id: str, limit: int) -> list[str]:
        return await self._now(lambda reader: reader.streams_after(stream_id, limit))

    async def moved_between(self, after: int, until: int, stream_id: str, limit: int) -> list[Moved]:
        return await self._either(lambda reader: reader.moved_between(after, until, stream_id, limit), self._has(until))

    async def positions_of(self, stream_ids: Sequence[str], *, after: int, until: int) -> Sequence[int]:
        return await self._either(
            lambda reader: reader.positions_of(stream_ids, after=after, until=until), self._has(until)
        )

    async def read_commands(self, positions: Sequence[int]) -> list[RecordedEvent]:
        last = max(positions, default=0)
        return await self._either(lambda reader: reader.read_commands(positions), self._has(last))

    async def read_streams(
        self,
        stream_ids: Sequence[str],
        *,
        after: Mapping[str, int] | None = None,
        up_to_position: int | None = None,
    ) -> dict[str, list[RecordedEvent]]:
        return await self._either(
            lambda reader: reader.read_streams(stream_ids, after=after, up_to_position=up_to_position),
            self._has(up_to_position),
        )

    async def read_folds(self, requests: Sequence[FoldRequest], *, up_to_position: int | None = None) -> list[Stretch]:
        return await self._either(
            lambda reader: reader.read_folds(requests, up_to_position=up_to_position), self._has(up_to_position)
        )

    async def read_log(
        self, *, after_position: int, limit: int, only: LogFilter | None = None, until_position: int | None = None
    ) -> list[RecordedEvent]:
        def read(reader: EventReader) -> Coroutine[Any, Any, list[RecordedEvent]]:
            return reader.read_log(after_position=after_position, limit=limit, only=only, until_position=until_position)

        return await self._either(read, self._has(until_position))

    async def read_stream(
        self,
        stream_id: str,
        *,
        after_version: int = 0,
        cut: Cut = NOW,
        backwards: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        if await self._shows(stream_id, cut):
            try:
                more = True
                while more and (limit is None or limit > 0):
                    size = PAGE if limit is None else min(PAGE, limit)
                    page = await self._replica.patience.wait(
                        self._page(stream_id, after_version, cut, backwards=backwards, limit=size)
                    )
                    for event in page:
                        yield event
                    more = len(page) == size
                    limit = None if limit is None else limit - len(page)
                    if page and backwards:
                        cut = replace(cut, version=page[-1].version - 1)
                    elif page:
                        after_version = page[-1].version
                return
            except (LogUnavailable, TimeoutError) as error:
                self._replica.failed(error)
        rest = self._primary.read_stream(
            stream_id, after_version=after_version, cut=cut, backwards=backwards, limit=limit
        )
        async for event in rest:
            yield event

    async def read_stretches(
        self, stream_id: str, *, stamp: Stamp | None = None, after_version: int = 0, cut: Cut = NOW
    ) -> AsyncGenerator[Stretch]:
        if await self._shows(stream_id, cut):
            stretches = self._replica.reader.read_stretches(
                stream_id, stamp=stamp, after_version=after_version, cut=cut
            )
            try:
                while (stretch := await self._replica.patience.wait(_next(stretches))) is not None:
                    yield stretch
                    if stretch.last is not None:
                        stamp, after_version = None, stretch.last.version
                return
            except (LogUnavailable, TimeoutError) as error:
                self._replica.failed(error)
            finally:
                with suppress(RuntimeError):  # one that hangs can't be closed, and ends by itself
                    await stretches.aclose()
        rest = self._primary.read_stretches(stream_id, stamp=stamp, after_version=after_version, cut=cut)
        async with aclosing(rest):
            async for stretch in rest:
                yield stretch

    async def _page(
        self, stream_id: str, after_version: int, cut: Cut, *, backwards: bool, limit: int
    ) -> list[RecordedEvent]:
        stream = self._replica.reader.read_stream(
            stream_id, after_version=after_version, cut=cut, backwards=backwards, limit=limit
        )
        return [event async for event in stream]

    async def _shows(self, stream_id: str, cut: Cut) -> bool:
        """Whether the replica has come to a cut."""
        replica = self._replica
        if not replica.usable:
            return False
        try:
            includes = await replica.patience.wait(self._includes(stream_id, cut))
        except (LogUnavailable, TimeoutError) as error:
            replica.failed(error)
            return False
        replica.asked += includes
        return includes

    async def _includes(self, stream_id: str, cut: Cut) -> bool:
        if cut.position is not None:
            return await self._replica.has_position(cut.position)
        if cut.at is not None:
            return await self._replica.has_time(cut.at)
        version = cut.version
        if version is None and self._replica.primary_away:
            return True
        if version is None:
            try:
                version = await self._primary.stream_version(stream_id)
            except LogUnavailable:
                return True
        return await self._replica.has_version(stream_id, version)

    def _has(self, position: int | None) -> Includes:
        async def has() -> bool:
            return position is not None and await self._replica.has_position(position)

        return has

    async def _now(self, ask: Callable[[EventReader], Coroutine[Any, Any, T]]) -> T:
        """Raises LogUnavailable where neither can be asked."""
        if self._replica.primary_away and self._replica.usable:
            return await ask(self._replica.reader)
        try:
            return await ask(self._primary)
        except LogUnavailable:
            if not self._replica.usable:
                raise
            return await ask(self._replica.reader)

    async def _either(self, ask: Callable[[EventReader], Coroutine[Any, Any, T]], includes: Includes) -> T:
        if self._replica.usable:
            try:
                if await self._replica.patience.wait(includes()):
                    self._replica.asked += 1
                    return await self._replica.patience.wait(ask(self._replica.reader))
            except (LogUnavailable, TimeoutError) as error:
                self._replica.failed(error)
        return await ask(self._primary)


async def _next(stretches: AsyncGenerator[Stretch]) -> Stretch | None:
    """None at the end."""
    return await anext(stretches, None)
