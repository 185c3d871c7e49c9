"""Single flight: who asks the same at the same time shares one answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Abandoned(Exception):
    """Whoever flew was cancelled; somebody else has to."""


class _Flight(Generic[T]):
    """`landed` has the answer, for those who fly along."""

    def __init__(self) -> None:
        self.begun = False
        self.passengers = 0
        self.landed: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        self.begun = True

    def land(self, answer: T) -> None:
        self.landed.set_result(answer)

    def fail(self, error: BaseException) -> None:
        if self.passengers:
            self.landed.set_exception(_Abandoned() if isinstance(error, asyncio.CancelledError) else error)
        else:
            self.landed.cancel()  # an error that nobody takes would be complained of


class Flights(Generic[T]):
    """Work in progress that asks others, by what it is for: of each one piece runs at most, and one waits for its end.

    Who comes when a flight has begun takes the next one, as what it brings may be older than the question: an answer
    includes all that was there when it was asked for. When the one who does the work is cancelled, another of those
    who wait does it.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, or the same work of another who asked before it began."""
        while True:
            flight = self._last.get(key)
            if flight is None or flight.begun:
                return await self._fly(key, work, flight)
            flight.passengers += 1
            try:
                return await asyncio.shield(flight.landed)
            except _Abandoned:
                continue
            finally:
                flight.passengers -= 1

    async def _fly(self, key: Hashable, work: Callable[[], Awaitable[T]], before: _Flight[T] | None) -> T:
        flight: _Flight[T] = _Flight()
        self._last[key] = flight
        try:
            if before is not None:
                await asyncio.wait({before.landed})
            # Whoever asks in the same turn of the loop gets on: what it may know was there before this turn began.
            asyncio.get_running_loop().call_soon(flight.begin)
            answer = await work()
        except BaseException as error:
            self._forget(key, flight)
            flight.fail(error)
            raise
        self._forget(key, flight)
        flight.land(answer)
        return answer

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._last.get(key) is flight:
            del self._last[key]
