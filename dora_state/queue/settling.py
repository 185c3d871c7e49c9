"""What became of messages, told to the broker; what it can't take now is told as soon as it is back."""

from collections.abc import Sequence

from commands.envelope import Answer
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import Taken, TakenCommands


class Settling:
    """Everything here may be told twice, so what may have failed is told again."""

    def __init__(self, queue: TakenCommands) -> None:
        self._queue = queue
        self._answered: list[tuple[Taken, Answer]] = []
        self._dead: list[tuple[Taken, Answer, int]] = []
        self._back: list[str] = []

    async def settle(self, done: Sequence[tuple[Taken, Answer]]) -> None:
        self._answered.extend(done)
        await self._try()

    async def bury(self, one: Taken, answer: Answer, attempts: int) -> None:
        self._dead.append((one, answer, attempts))
        await self._try()

    async def give_back(self, one: Taken) -> None:
        self._back.append(one.id)
        await self._try()

    async def _try(self) -> None:
        try:
            await self.flush()
        except BrokerUnavailable:
            return  # whoever takes the next message meets it too, and tells

    async def flush(self) -> None:
        """Raises BrokerUnavailable; nothing is forgotten then."""
        if answered := tuple(self._answered):
            await self._queue.settle(answered)
            del self._answered[: len(answered)]
        for buried in tuple(self._dead):
            await self._queue.bury(*buried)
            self._dead.remove(buried)
        if back := tuple(self._back):
            await self._queue.give_back(back)
            del self._back[: len(back)]
