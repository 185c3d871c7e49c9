"""The signal within one process; another process may learn of new events by its poll alone."""

import asyncio


class ProcessSignal:
    """Wakes whoever waits. Wakes that come while nobody waits count once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, timeout: float) -> None:
        """Until woken, or `timeout` seconds at most."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()
