"""Waiting for a server that may hang: the driver, told to stop, waits on until it hears from it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Patience:
    """What takes longer than so many seconds is left behind, and goes its way until the server is heard of again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left: set[asyncio.Task[Any]] = set()

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises TimeoutError."""
        task = asyncio.create_task(work, name="asking a replica")
        try:
            await asyncio.wait({task}, timeout=self._seconds)
        finally:
            if not task.done():
                self._leave(task)
        if task.done():
            return task.result()
        raise TimeoutError(f"it did not answer within {self._seconds:g} seconds")

    async def close(self) -> None:
        """Told once more, the driver gives up."""
        for task in self._left:
            task.cancel()
        if self._left:
            await asyncio.wait(self._left, timeout=1)

    def _leave(self, task: "asyncio.Task[Any]") -> None:
        self._left.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more
