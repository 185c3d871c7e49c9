"""How a process shares the streams of a tenant with others that write to them.

Processes that write to the same streams take turns, or each would mostly work for nothing: whoever lost a command to
another tries to get the turn. Who has it sees what the others wrote and decides as fast as if it were alone; the others
leave their commands for it and wait for the answers (asking.py), so that nobody waits for a turn. All of this is a
courtesy: what is right is for the append to say, and what is not answered in time is decided here.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from uuid import UUID

from commands import transfer
from commands.asking import LOOK_SECONDS, Asking, Turns
from commands.committer import Committer
from commands.envelope import Answer, Envelope
from commands.groups import Pending
from domain.errors import LogError

IDLE_SECONDS = 0.01
"""Whoever has had nothing to do for so long gives its turn away."""
HEAR_SECONDS = 0.002
"""How often whoever has the turn looks for what others ask."""
GRACE_SECONDS = 0.003
"""How long the turn is waited for before others are asked."""
CONTENDED_SECONDS = 1.0
"""How long after the last sign of another writer on the same streams turns are taken."""
MOST_REMEMBERED = 100_000
"""Ids of commands that others asked for."""
logger = logging.getLogger(__name__)


class Sharing:
    """Says when the commands in the queue of a bus are to be decided here, and has others decide them else.

    Not safe for concurrent use: the bus calls it from one task. `wake` is called when there may be something to do.
    """

    def __init__(self, turns: Turns, committer: Committer, wake: Callable[[], None]) -> None:
        self._turns = turns
        self._committer = committer
        self._wake = wake
        self._asking = Asking(turns)
        self._contended_until = 0.0
        self._lost = 0
        self._taking: asyncio.Task[bool] | None = None
        self._taking_since: float
        self.has_turn = False
        """This process decides for all."""
        self._worked_at: float
        self._hearing: asyncio.Task[list[Envelope]] | None = None
        self._heard_at = 0.0
        self._heard: set[UUID] = set()
        """What was taken in during this turn, since it may be asked for more than once."""
        self._leaving = False

    def __len__(self) -> int:
        """How many commands others were asked to decide and have not answered."""
        return len(self._asking)

    def is_held_up(self, has_work: bool) -> bool:
        """Others write to the same streams, or have something of ours to answer, and we do not have the turn."""
        if self.has_turn:
            return False
        if self._asking or self._taking is not None:
            return True
        return has_work and time.monotonic() < self._contended_until

    def rest_seconds(self, has_work: bool) -> float | None:
        """How long to rest at most, where nothing happens; None: for ever."""
        return HEAR_SECONDS if self.has_turn else LOOK_SECONDS if self.is_held_up(has_work) else None

    def contended(self) -> None:
        """There is another writer on the same streams: turns are taken for a while from now on."""
        self._contended_until = time.monotonic() + CONTENDED_SECONDS

    def group_concluded(self) -> None:
        """Look whether commands were lost to other processes."""
        if self._committer.lost > self._lost:
            self._lost = self._committer.lost
            self.contended()

    async def may_decide(self, queue: deque[Pending], room: int) -> bool:
        """Whether what is in the queue now is to be decided here. What others ask is added to it, `room` at most."""
        if self.has_turn:
            await self._hear(queue, room)
            return True
        if not self.is_held_up(bool(queue or self._committer.again)):
            return True
        return await self._share(queue)

    def leave(self) -> None:
        """From now on nothing is taken in; the turn ends soon."""
        self._leaving = True

    async def close(self) -> None:
        if self.has_turn:
            await self._end_turn()
        left = [task for task in (self._taking, self._hearing) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # --- without the turn ---------------------------------------------------------------------------------

    async def _share(self, queue: deque[Pending]) -> bool:
        """Whoever has the turn is asked. Whether what is left in the queue is to be decided now."""
        if self._taking is None:
            self._taking, self._taking_since = asyncio.create_task(self._turns.take()), time.monotonic()
            self._taking.add_done_callback(lambda _: self._wake())
            return False
        if self._taking.done():
            if not self._committer.is_quiet:
                return False
            taking, self._taking = self._taking, None
            if taking.result():
                await self._begin_turn()
                return True
        if time.monotonic() - self._taking_since < GRACE_SECONDS:
            return False
        await self._asking.leave(self._committer.again)
        await self._asking.leave(queue)
        if await self._asking.look():
            self.contended()
        self._committer.again.extend(self._asking.overdue())
        return True

    async def _begin_turn(self) -> None:
        self.has_turn, self._worked_at = True, time.monotonic()
        self._committer.again.extend(self._asking.take_back())
        await self._committer.catch_up()
        self.contended()

    # --- with the turn ------------------------------------------------------------------------------------

    async def _hear(self, queue: deque[Pending], room: int) -> None:
        """Take in what others ask, and end the turn when there is nothing more to do."""
        now = time.monotonic()
        if not self._turns.is_held:
            self._lose_turn()
            return
        if self._hearing is not None and self._hearing.done():
            hearing, self._hearing = self._hearing, None
            self._take_in(hearing.result(), queue, room)
        if queue or self._committer.again or not self._committer.is_quiet:
            self._worked_at = now
        is_over = now - self._worked_at > IDLE_SECONDS or now > self._contended_until
        # Whoever leaves has others do the rest, if there are any.
        is_over = is_over or (self._leaving and bool(self._heard))
        if is_over and self._hearing is None:
            await self._end_turn()
        elif self._hearing is None and now - self._heard_at > HEAR_SECONDS and not self._leaving:
            self._heard_at = now
            self._hearing = asyncio.create_task(self._asked())
            self._hearing.add_done_callback(lambda _: self._wake())

    def _take_in(self, heard: list[Envelope], queue: deque[Pending], room: int) -> None:
        if heard:
            self.contended()
        if len(self._heard) > MOST_REMEMBERED:
            self._heard.clear()
        if self._leaving:
            return  # they are decided elsewhere then
        for envelope in heard:
            if envelope.command_id not in self._heard and room > 0:
                room -= 1
                self._heard.add(envelope.command_id)
                queue.append(Pending(envelope, _nobody, ours=True))

    async def _asked(self) -> list[Envelope]:
        """What others ask, with all that it needs in memory. They find the answers in the log."""
        envelopes = []
        for submission in await self._turns.asked():
            try:
                envelopes.append(transfer.from_bytes(submission))
            except ValueError as error:
                logger.debug("Another process asked for something unknown here: %s", error)
        await self._committer.prefetch(envelopes)
        return envelopes

    async def _end_turn(self) -> None:
        self._lose_turn()
        await self._turns.give()

    def _lose_turn(self) -> None:
        self.has_turn = False
        self._heard.clear()


def _nobody(_: Answer | LogError) -> None:
    """Whoever asked looks into the log."""
