"""The signal within one process; another process may learn of new events by its poll alone."""

import asyncio
from collections.abc import Callable
from weakref import WeakSet


class Listener:
    """One who waits. Wakes that come while it is busy count once, whoever else has heard them."""

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, timeout: float) -> None:
        """Until woken, or `timeout` seconds at most."""
        self._begin()
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


class ProcessSignal:
    """Wakes all who listen. `begin` is called whenever somebody begins to wait."""

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin
        self._listeners: WeakSet[Listener] = WeakSet()

    def wake(self) -> None:
        for listener in self._listeners:
            listener.wake()

    def listener(self) -> Listener:
        """For one who waits; another needs another."""
        listener = Listener(self._begin)
        self._listeners.add(listener)
        return listener
