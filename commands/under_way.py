"""Commands that are decided and not concluded, and those that are to be decided before any other."""

from collections import deque
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from commands.envelope import Answer
from commands.groups import Pending
from commands.work import Loaded
from domain.errors import LogError


class UnderWay:
    """What those who decide and those who conclude share."""

    def __init__(self) -> None:
        self.ahead: dict[str, Loaded[Any]] = {}
        """What commands leave that are decided and not concluded."""
        self.by_id: dict[UUID, Pending] = {}
        self.again: deque[Pending] = deque()
        """Commands to decide before any other."""

    def settle(self, pending: Pending, result: Answer | LogError) -> None:
        """Answer a command, once; those of the same id that came meanwhile are decided now."""
        self.leave(pending)
        if pending.repeats:
            self.again.extend(pending.repeats)
            pending.repeats.clear()
        _tell(pending, result)

    def leave(self, pending: Pending) -> None:
        """It is not under way any more. One that was abandoned may have come again, and that one still is."""
        if self.by_id.get(pending.envelope.command_id) is pending:
            del self.by_id[pending.envelope.command_id]

    def abandon(self, others: Iterable[Pending], error: LogError) -> None:
        """Answer all with an error; nothing of it is known any more."""
        waiting = [*self.by_id.values(), *others, *self.again]
        self.ahead.clear()
        for pending in waiting:
            for one in (*pending.repeats, pending):
                _tell(one, error)
            pending.repeats.clear()
        self.by_id.clear()
        self.again.clear()


def _tell(pending: Pending, result: Answer | LogError) -> None:
    if not pending.told:
        pending.told = True
        pending.settled(result)
