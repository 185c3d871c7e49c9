"""The way to a document: in this process (L1), among the copies in Redis (L2), in the store (L3)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from projections.cache_ports import HotCopies, Meter, NearCopies
from projections.documents.frozen import frozen
from projections.documents.values import Document, decode
from projections.errors import NotProjectedYet, nothing_there
from projections.flights import Flights
from projections.ports import ReadModelStore, Signal

Consistency = Literal["cached", "projected", "live"]
CONSISTENCIES: tuple[Consistency, ...] = ("cached", "projected", "live")
"""From this process if it is known to be fresh; what the read models have; the fold of the log itself."""
SHORTEST_LOOK, LONGEST_LOOK = 0.005, 0.1
"""How often the read models are looked at by whoever waits for them and is not told that they moved."""
Complete = Callable[[Document], Awaitable[Document]]


@dataclass(frozen=True, slots=True)
class _Found:
    """`copied`: it is one of the copies in Redis, of which it is told when they change."""

    body: bytes
    copied: bool


class Reading:
    """One document at a time. Of those who ask for the same at the same time, one goes and asks for all."""

    def __init__(
        self, store: ReadModelStore, hot: HotCopies, near: NearCopies, meter: Meter, moved: Signal | None
    ) -> None:
        self._store = store
        self._hot = hot
        self._near = near
        self._meter = meter
        self._moved = moved
        self._asking: Flights[_Found] = Flights()
        self._filling: Flights[Document] = Flights()

    async def document(self, kind: str, id: str, min_position: int = 0) -> Document:
        """What the read models have, to be changed at will. Raises NotFound, NotProjectedYet."""
        return decode((await self._find(kind, id, min_position)).body)

    def peek(self, kind: str, id: str, min_position: int = 0) -> Document | None:
        """The document in this process, complete and frozen, if it is there and known to be fresh."""
        document = self._near.peek(kind, id)
        if document is not None and min_position and document["position"] < min_position:
            return None
        return document

    async def shared(self, kind: str, id: str, complete: Complete, min_position: int = 0) -> Document:
        """The document in this process, frozen; put there by the first who asks. Raises NotFound, NotProjectedYet.

        `complete` adds what belongs to this version of it.
        """
        found = self.peek(kind, id, min_position)
        if found is not None:
            return found
        key = (kind, id, min_position)
        return await self._filling.join(key, lambda: self._fill(kind, id, complete, min_position))

    async def reached(self) -> int:
        """The position up to which the read models are."""
        return (await self._store.checkpoint()).position

    async def require_position(self, position: int, patience: float = 0.0) -> None:
        """Wait so many seconds at most until the read models have come there. Raises NotProjectedYet."""
        deadline, pause = time.monotonic() + patience, SHORTEST_LOOK
        moved = self._moved.listener() if self._moved is not None else None
        while (reached := await self.reached()) < position:
            left = deadline - time.monotonic()
            if left <= 0:
                raise not_yet(reached, position)
            seconds = min(pause, left)
            await (asyncio.sleep(seconds) if moved is None else moved.wait(seconds))
            pause = min(2 * pause, LONGEST_LOOK)

    async def _fill(self, kind: str, id: str, complete: Complete, min_position: int) -> Document:
        ticket = self._near.ticket(kind, id)  # before anything is read: what changes from here on is heard of
        found = await self._find(kind, id, min_position)
        document = frozen(await complete(decode(found.body)))
        if ticket is not None and found.copied:
            self._near.put(kind, id, document, ticket)
        return document

    async def _find(self, kind: str, id: str, min_position: int) -> _Found:
        return await self._asking.join((kind, id, min_position), lambda: self._ask(kind, id, min_position))

    async def _ask(self, kind: str, id: str, min_position: int) -> _Found:
        began = time.perf_counter()
        glance = await self._hot.get(kind, id, min_position)
        asked = time.perf_counter()
        if glance.body is not None:
            self._meter.hit("l2", asked - began, len(glance.body))
            return _Found(glance.body, copied=True)
        self._meter.missed("l2", asked - began)
        if min_position:
            await self.require_position(min_position)
            asked = time.perf_counter()
        document = await self._store.document(kind, id, min_position, to_copy=glance.seen is not None)
        if document is None:
            self._meter.missed("l3", time.perf_counter() - asked)
            raise nothing_there(kind, id)
        self._meter.hit("l3", time.perf_counter() - asked, len(document.body))
        if glance.seen is not None:
            await self._hot.offer(document, glance)
        return _Found(document.body, copied=False)


def not_yet(reached: int, position: int) -> NotProjectedYet:
    return NotProjectedYet(
        f"The read models are at position {reached} and {position} was asked for; try again.",
        position=reached,
        asked=position,
    )
