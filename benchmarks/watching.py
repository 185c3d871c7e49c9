"""Watching long work: how much memory it holds as it goes on."""

import time
from collections.abc import Awaitable
from typing import TypeVar

from infrastructure.machine import memory_vitals

T = TypeVar("T")


class Memory:
    """A progress that notes what the process holds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._noted: list[tuple[float, float]] = []

    def begin(self, phase: str, total: int | None) -> None: ...

    def advance(self, count: int) -> None:
        self._done += count
        self._noted.append((self._done / self._total, (memory_vitals().own_bytes or 0) / 1e6))

    def end(self) -> None:
        self.advance(0)

    async def timed(self, work: Awaitable[T]) -> tuple[T, float]:
        """What the work gives, and the seconds that it took."""
        begun = time.perf_counter()
        return await work, time.perf_counter() - begun

    @property
    def quarters(self) -> tuple[list[float], list[float]]:
        """The last one and the second one."""
        return [held for part, held in self._noted if part > 0.75], [
            held for part, held in self._noted if 0.25 < part <= 0.5
        ]
