"""Commands whose callers did not wait for the answer, as far as this process knows of them."""

import asyncio
from collections import OrderedDict
from uuid import UUID

from commands.envelope import Answer

MOST = 10_000


class PendingAnswers:
    """Those under way, and the last answers that the log does not keep: conflicts and failures."""

    def __init__(self) -> None:
        self._under_way: dict[UUID, asyncio.Task[Answer]] = {}
        self._not_recorded: OrderedDict[UUID, Answer] = OrderedDict()

    def add(self, command_id: UUID, task: "asyncio.Task[Answer]") -> None:
        self._under_way[command_id] = task
        self._not_recorded.pop(command_id, None)
        task.add_done_callback(lambda done: self._ended(command_id, done))

    def is_under_way(self, command_id: UUID) -> bool:
        return command_id in self._under_way

    def not_recorded(self, command_id: UUID) -> Answer | None:
        return self._not_recorded.get(command_id)

    async def all(self) -> None:
        """Until none is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way.values()))
            await asyncio.sleep(0)

    def _ended(self, command_id: UUID, task: "asyncio.Task[Answer]") -> None:
        if self._under_way.get(command_id) is task:
            del self._under_way[command_id]
        if task.cancelled() or task.exception() is not None:
            return
        answer = task.result()
        if answer.outcome in ("conflict", "failed", "invalid"):
            self._not_recorded[command_id] = answer
            if len(self._not_recorded) > MOST:
                self._not_recorded.popitem(last=False)
