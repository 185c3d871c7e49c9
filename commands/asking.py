"""What a process leaves for the one whose turn it is to write, and the answers to that."""

import time
from collections import deque
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from commands import answers, transfer
from commands.groups import Pending
from domain.log import AlreadyRecorded

LOOK_SECONDS = 0.004
"""How often to look for answers."""
AGAIN_SECONDS = 0.1
"""What is not answered by then is left once more, and then after twice as long, and so on: nobody may have seen it."""
PATIENCE_SECONDS = 0.5
"""Where nothing is answered for so long, whoever had the turn is not there: all is decided here."""
LONGEST_SECONDS = 5.0
"""What is not answered by then is decided here, whatever else is answered."""


class Turns(Protocol):
    """Turns of the processes that write to the same streams. No call raises."""

    @property
    def is_held(self) -> bool:
        """Whether the turn that was taken is still ours."""
        ...

    async def take(self) -> bool:
        """Wait for the turn, for a while; whether it is ours."""
        ...

    async def give(self) -> None:
        """Let the next one have it."""
        ...

    async def ask(self, submissions: Mapping[UUID, bytes]) -> Mapping[UUID, AlreadyRecorded]:
        """Leave commands for whoever has the turn; nobody may ever see them. Gives those that were recorded before."""
        ...

    async def asked(self) -> list[bytes]:
        """What others have left since the last time."""
        ...

    async def answered(self, command_ids: Sequence[UUID]) -> Mapping[UUID, AlreadyRecorded]:
        """Those of the commands that are recorded by now."""
        ...


class NoTurns:
    """For a process that is alone."""

    is_held = True

    async def take(self) -> bool:
        return True

    async def give(self) -> None: ...

    async def ask(self, submissions: Mapping[UUID, bytes]) -> Mapping[UUID, AlreadyRecorded]:
        return {}

    async def asked(self) -> list[bytes]:
        return []

    async def answered(self, command_ids: Sequence[UUID]) -> Mapping[UUID, AlreadyRecorded]:
        return {}


@dataclass(slots=True)
class _Left:
    pending: Pending
    submission: bytes
    since: float
    again: float
    """When to leave it once more."""


class Asking:
    """The commands of this process that are left for another one. Nothing is lost by it: ids see to the rest."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._left: dict[UUID, _Left] = {}
        self._looked_at = 0.0
        self._answered_at = 0.0

    def __len__(self) -> int:
        return len(self._left)

    async def leave(self, queue: deque[Pending]) -> None:
        """Take out of a queue what may be decided elsewhere, and ask for it; and again for what was asked long ago."""
        now = time.monotonic()
        submissions: dict[UUID, bytes] = {}
        for _ in range(len(queue)):
            pending = queue.popleft()
            command_id = pending.envelope.command_id
            first = self._left.get(command_id)
            if first is not None:
                first.pending.repeats.append(pending)
                continue
            submission = None if pending.ours or pending.single else _packed(pending)
            if submission is None:
                queue.append(pending)
            else:
                self._left[command_id] = _Left(pending, submission, now, now + AGAIN_SECONDS)
                submissions[command_id] = submission
        new = set(submissions)
        for command_id, left in self._left.items():
            if now > left.again:
                left.again = now + 2 * (now - left.since)
                submissions[command_id] = left.submission
        if submissions:
            self._settle(await self._turns.ask(submissions), repeated=new)

    async def look(self) -> bool:
        """Answer what has been decided elsewhere; whether there was anything."""
        now = time.monotonic()
        if not self._left or now - self._looked_at < LOOK_SECONDS:
            return False
        found = await self._turns.answered(list(self._left))
        self._looked_at = time.monotonic()
        self._settle(found)
        return bool(found)

    def _settle(self, found: Mapping[UUID, AlreadyRecorded], repeated: Container[UUID] = ()) -> None:
        for command_id, recorded in found.items():
            pending = self._left.pop(command_id).pending
            pending.settled(answers.of_recorded(pending.envelope, recorded, repeated=command_id in repeated))
            for again in pending.repeats:
                again.settled(answers.of_recorded(again.envelope, recorded))
            self._answered_at = time.monotonic()

    def overdue(self) -> list[Pending]:
        """What nobody has answered in time: to be decided here."""
        now = time.monotonic()
        patience = PATIENCE_SECONDS if now - self._answered_at > PATIENCE_SECONDS else LONGEST_SECONDS
        return self._take_back([one for one, left in self._left.items() if now - left.since > patience])

    def take_back(self) -> list[Pending]:
        """All that is not answered yet."""
        return self._take_back(list(self._left))

    def _take_back(self, command_ids: Sequence[UUID]) -> list[Pending]:
        taken = [self._left.pop(command_id).pending for command_id in command_ids]
        for pending in taken:
            pending.ours = True
        return taken


def _packed(pending: Pending) -> bytes | None:
    try:
        return transfer.to_bytes(pending.envelope)
    except Exception:  # whoever decides it here says what is wrong with it
        return None
