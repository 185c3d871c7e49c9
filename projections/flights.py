"""Single flight: who asks the same at the same time shares one answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, work: Callable[[], Awaitable[T]], before: "_Flight[T] | None") -> None:
        self.begun = False
        self.passengers = 0
        self.task = asyncio.create_task(self._run(work, before))

    async def _run(self, work: Callable[[], Awaitable[T]], before: "_Flight[T] | None") -> T:
        if before is not None:
            await asyncio.wait({before.task})
        self.begun = True
        return await work()


class Flights(Generic[T]):
    """Work in progress, by what it is for: of each at most one piece runs, and one waits to run after it.

    Who comes when a flight has begun takes the next one, as what it brings may be older than the question: an answer
    includes all that was there when it was asked for. `fresh=False` is for those who don't mind. A flight does not
    belong to the one who began it: it goes on when that one is cancelled, and ends early only when nobody waits for
    it any more.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, work: Callable[[], Awaitable[T]], *, fresh: bool = True) -> T:
        """What `work` gives, or the same work of another who asked before it began."""
        flight = self._last.get(key)
        if flight is None or (fresh and flight.begun):
            flight = self._last[key] = self._new(key, work, flight)
        flight.passengers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.passengers -= 1
            if not flight.passengers and not flight.task.done():
                flight.task.cancel()
                self._forget(key, flight)

    def _new(self, key: Hashable, work: Callable[[], Awaitable[T]], before: "_Flight[T] | None") -> "_Flight[T]":
        flight = _Flight(work, before)
        flight.task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: Hashable, flight: "_Flight[T]") -> None:
        if self._last.get(key) is flight:
            del self._last[key]
