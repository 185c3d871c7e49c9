"""The log as it grows, read once for all streams of this process.

A stream first reads for itself what it has missed, and then hears of what comes by its subscription. Events of one
command are handed over together. A stream that does not keep up is let go: it knows where it was, and comes again.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Self

from domain.errors import DoraStateError
from domain.log import EventReader, RecordedEvent, may_go_on
from dora_state.http.wanted import Key, Told, Wanted, keys_of
from projections.following import follow
from projections.ports import Signal

MOST_WAITING = 1_048_576
"""Bytes that wait for one stream at most, unless one command alone has more."""
NEAR = 2_000
"""Events that a stream may still have to read when it subscribes: what comes meanwhile waits for it."""
PAGE = 500
READING_AT_ONCE = 2
"""Streams that read what they have missed at one time; others wait for their turn."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
LOOK_SECONDS = 0.01
REST_SECONDS = 0.03
"""After a look at the log: what comes meanwhile is read at once, and the write side keeps its pace."""
TOO_SLOW = "too_slow"
LEAVING = "leaving"
logger = logging.getLogger(__name__)


class Subscription:
    """What waits for one stream. `ended` says why there will be no more, `caught_up` how many events it had missed."""

    __slots__ = ("_arrived", "_pieces", "_size", "caught_up", "ended", "wanted")

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.ended: str | None = None
        self.caught_up = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._arrived = asyncio.Event()

    def put(self, piece: bytes) -> None:
        """`piece` is of whole commands."""
        if self.ended is not None:
            return
        if self._pieces and self._size + len(piece) > MOST_WAITING:
            self.end(TOO_SLOW)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        self._arrived.set()

    def end(self, why: str) -> None:
        """What waits is still handed over."""
        self.ended = self.ended or why
        self._arrived.set()

    def cut(self, why: str) -> None:
        """Nothing that waits is handed over any more."""
        self._pieces.clear()
        self._size = 0
        self.end(why)

    async def take(self, seconds: float) -> bytes | None:
        """All that waits, nothing after so many seconds without, None once it has ended."""
        if not self._pieces and self.ended is None:
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return b""
        self._arrived.clear()
        if not self._pieces:
            return None
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self.ended is not None:
            self._arrived.set()
        return taken


class Feed:
    """Use as an async context manager. It reads the log only while there are subscriptions."""

    def __init__(self, reader: EventReader, signal: Signal) -> None:
        self._reader = reader
        self._signal = signal
        self._subscriptions: dict[Key, set[Subscription]] = defaultdict(set)
        self._streams: set[Subscription] = set()
        self._turns = asyncio.Semaphore(READING_AT_ONCE)
        self._position: int | None = None
        """Up to where all has been told; None while nobody reads."""
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._leaving = False

    @property
    def streams(self) -> int:
        return len(self._streams)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="event feed")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def leave(self) -> None:
        """All streams end with a word."""
        self._leaving = True
        for one in list(self._streams):
            one.end(LEAVING)

    @property
    def position(self) -> int:
        """Up to where streams that have nothing waiting know all."""
        return self._position or 0

    def enter(self, subscription: Subscription) -> None:
        """It hears of nothing before `missed` has come to its end."""
        self._streams.add(subscription)
        if self._leaving:
            subscription.end(LEAVING)

    def close(self, subscription: Subscription) -> None:
        self._streams.discard(subscription)
        for key in subscription.wanted.keys:
            self._subscriptions[key].discard(subscription)
            if not self._subscriptions[key]:
                del self._subscriptions[key]

    async def missed(self, subscription: Subscription, after: int) -> AsyncIterator[bytes]:
        """What was recorded after a position and before now, in pieces of whole commands; the subscription hears of
        what follows. While the log can't be read, it waits.
        """
        until: int | None = None
        while subscription.ended is None and after != until:
            try:
                async with self._turns:
                    if until is None:
                        until = await self._subscribed(subscription, after)
                    found, after = await self._page(subscription.wanted, after, until)
            except DoraStateError as error:
                await _wait_for_the_log(error, SHORTEST_PAUSE)
                continue
            if found:
                subscription.caught_up += len(found)
                yield b"".join(found)

    async def _subscribed(self, subscription: Subscription, after: int) -> int | None:
        """Where a stream that has come near the log's end hears of all that follows; None while it has not."""
        reached = await self._reached()
        while reached < after:  # it has heard of events elsewhere that are about to come here
            await asyncio.sleep(LOOK_SECONDS)
            reached = await self._reached()
        if reached - after > NEAR:
            return None
        for key in subscription.wanted.keys:
            self._subscriptions[key].add(subscription)
        return reached

    async def _page(self, wanted: Wanted, after: int, until: int | None) -> tuple[list[bytes], int]:
        """Some of what is wanted, and up to where was looked."""
        end = await self._reached() if until is None else until
        if after >= end:
            return [], end
        events = await self._reader.read_log(
            after_position=after, limit=PAGE, only=wanted.log_filter, until_position=end
        )
        found = [told.message for told in map(Told, events) if wanted.wants(told)]
        return found, events[-1].position if may_go_on(events, PAGE) else end

    # --- the one reader -----------------------------------------------------------------------------------

    async def _reached(self) -> int:
        """Up to where all has been told. Raises LogError."""
        if self._position is None:
            head = (await self._reader.head()).position
            if self._position is None:
                self._position = head
                self._wanted.set()
        return self._position

    async def _run(self) -> None:
        pause = SHORTEST_PAUSE
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
                pause = SHORTEST_PAUSE
            except DoraStateError as error:
                await _wait_for_the_log(error, pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _follow(self) -> None:
        """Until there is no stream any more."""
        assert self._position is not None
        async with aclosing(follow(self._reader, self._signal, after_position=self._position)) as batches:
            async for batch in batches:
                self._tell(batch)
                if not self._streams:
                    self._wanted.clear()
                    self._position = None
                    return
                await asyncio.sleep(REST_SECONDS)

    def _tell(self, batch: Sequence[RecordedEvent]) -> None:
        found: dict[Subscription, list[bytes]] = {}
        facets = {facet for facet, _ in self._subscriptions}
        for told in map(Told, batch):
            for key in keys_of(told, facets):
                for subscription in self._subscriptions.get(key, ()):
                    if subscription.wanted.wants(told):
                        found.setdefault(subscription, []).append(told.message)
        self._position = batch[-1].position
        for subscription, messages in found.items():
            subscription.put(b"".join(messages))


async def _wait_for_the_log(error: DoraStateError, seconds: float) -> None:
    logger.debug("The log can't be followed for %.1f s: %s", seconds, error.message)
    await asyncio.sleep(seconds)
