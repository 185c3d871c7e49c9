"""What became of messages, told to the broker; what it can't take now is told as soon as it is back."""

import asyncio
from collections import deque
from collections.abc import Sequence

from commands.envelope import Answer
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import Taken, TakenCommands


class Settling:
    """Everything here may be told twice, so what may have failed is told again.

    Many may call at once: one of them tells what all have left here, and the others wait for it.
    """

    def __init__(self, queue: TakenCommands) -> None:
        self._queue = queue
        self._answered: list[tuple[Taken, Answer]] = []
        self._dead: deque[tuple[Taken, Answer, int]] = deque()
        self._back: list[bytes] = []
        self._turn = asyncio.Lock()
        self._failures = 0
        self._failed_because = ""

    async def settle(self, done: Sequence[tuple[Taken, Answer]]) -> None:
        self._answered.extend(done)
        await self._try()

    async def bury(self, one: Taken, answer: Answer, attempts: int) -> None:
        self._dead.append((one, answer, attempts))
        await self._try()

    async def give_back(self, one: Taken) -> None:
        self.leave(one)
        await self._try()

    def leave(self, one: Taken) -> None:
        """It goes back when something is told next."""
        self._back.append(one.id)

    async def _try(self) -> None:
        try:
            await self.flush()
        except BrokerUnavailable:
            return  # whoever takes the next message meets it too, and tells

    async def flush(self) -> None:
        """Raises BrokerUnavailable; nothing is forgotten then. Who waited for one that failed does not try again."""
        failures = self._failures
        async with self._turn:
            if self._failures > failures:
                raise BrokerUnavailable(self._failed_because)
            try:
                await self._tell()
            except BrokerUnavailable as error:
                self._failures, self._failed_because = self._failures + 1, error.message
                raise

    async def _tell(self) -> None:
        if answered := tuple(self._answered):
            await self._queue.settle(answered)
            del self._answered[: len(answered)]
        while self._dead:
            await self._queue.bury(*self._dead[0])
            self._dead.popleft()
        if back := tuple(self._back):
            await self._queue.give_back(back)
            del self._back[: len(back)]
