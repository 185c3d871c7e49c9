"""The command bus: many submitters, one committer, groups without a timer.

While one group is in flight, arriving commands are decided into the next one, which goes as soon as the one before
has landed. A lone command does not wait for company. The queue is bounded: a full one answers "try later" at once.

Processes that write to the same streams take turns, or each would mostly work for nothing: whoever lost a command to
another tries to get the turn. Who has it sees what the others wrote and decides as fast as if it were alone; the others
leave their commands for it and wait for the answers (asking.py), so that nobody waits for a turn. All of this is a
courtesy: what is right is for the append to say, and what is not answered in time is decided here.
"""

from __future__ import annotations  # those of a function made in a function would be evaluated at each call

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self
from uuid import UUID

from commands import transfer
from commands.asking import LOOK_SECONDS, Asking, NoTurns, Turns
from commands.committer import Committer
from commands.envelope import Answer, Envelope
from commands.groups import Group, Pending
from domain.errors import DoraStateError, LogError, LogUnavailable
from domain.log import Appended, AppendOutcome

DEFAULT_QUEUE_SIZE = 10_000
DEFAULT_GROUP_SIZE = 500
IDLE_SECONDS = 0.01
"""Whoever has had nothing to do for so long gives its turn away."""
HEAR_SECONDS = 0.002
"""How often whoever has the turn looks for what others ask."""
GRACE_SECONDS = 0.003
"""How long the turn is waited for before others are asked."""
MANY = 16
"""So many waiting commands are worth two appends."""
MOST_REMEMBERED = 100_000
"""Ids of commands that others asked for."""
CONTENDED_SECONDS = 1.0
"""How long after the last sign of another writer on the same streams turns are taken."""
logger = logging.getLogger(__name__)


class Busy(DoraStateError):
    """Too many commands are waiting; try again in a moment."""

    code = "busy"


class BusClosed(DoraStateError):
    """The bus is shutting down and takes no more commands; submit to another process."""

    code = "closed"


class CommandBus:
    """Use as an async context manager; leaving it answers everything that was accepted."""

    def __init__(
        self,
        committer: Committer,
        *,
        turns: Turns | None = None,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        group_size: int = DEFAULT_GROUP_SIZE,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_commit` is called after each group, off the write path: it must only set a signal."""
        self._committer = committer
        self._turns: Turns = turns or NoTurns()
        self._on_commit = on_commit
        self._queue: deque[Pending] = deque()
        self._queue_size = queue_size
        self._group_size = group_size
        self._task: asyncio.Task[None] | None = None
        self._flight: asyncio.Future[list[AppendOutcome]] | None = None
        self._flying = Group()
        self._awake = asyncio.Event()
        self._closing = False
        self._lost = 0
        self._contended_until = 0.0
        self._asking = Asking(self._turns)
        self._taking: asyncio.Task[bool] | None = None
        self._taking_since = 0.0
        self._has_turn = False
        self._worked_at = 0.0
        self._hearing: asyncio.Task[list[Envelope]] | None = None
        self._heard_at = 0.0
        self._heard: set[UUID] = set()
        """What was taken in during this turn, since it may be asked for more than once."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="command bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._awake.set()
        if self._task is not None:
            await self._task
        left = [task for task in (self._taking, self._hearing) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def submit(self, envelope: Envelope) -> Answer:
        """Answered once the commit is durable. A submitter that goes away cancels nothing.

        Raises Busy if too many are waiting, BusClosed while shutting down, LogError if the log could not
        take the command: submit the same command id again then.
        """
        if self._closing:
            raise BusClosed()
        if self._waiting() >= self._queue_size:
            raise Busy(f"{self._queue_size} commands are waiting already; try again in a moment.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        self._queue.append(Pending(envelope, partial(_settle, answer)))
        self._awake.set()
        return await answer

    async def _run(self) -> None:
        while True:
            self._awake.clear()
            try:
                if self._flight is None or self._flight.done():
                    await self._land_and_send()
                await self._decide()
            except Exception as error:  # the bus outlives whatever one group runs into
                logger.exception("The command bus met a fault")
                self._committer.abandon(LogUnavailable(f"The commands could not be committed ({error}); try again."))
            if self._flight is not None:
                if not self._flight.done():
                    await self._rest()
            elif self._committer.open or (self._has_work() and (self._has_turn or not self._is_sharing())):
                continue
            elif self._closing and not self._has_work() and not self._asking:
                if self._has_turn:
                    await self._end_turn()
                return
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Until something happens, or it is time to look around."""
        seconds = HEAR_SECONDS if self._has_turn else LOOK_SECONDS if self._is_sharing() else None
        if seconds is None:
            await self._awake.wait()
            return
        alarm = asyncio.get_running_loop().call_later(seconds, self._awake.set)
        await self._awake.wait()
        alarm.cancel()

    def _waiting(self) -> int:
        return len(self._queue) + len(self._committer.again) + len(self._asking)

    def _has_work(self) -> bool:
        return bool(self._queue or self._committer.again)

    async def _decide(self) -> None:
        """Decide what waits into the open group, if it is for us to do."""
        if self._has_turn:
            await self._hear()
        elif self._is_sharing() and not await self._share():
            return
        if not self._has_work():
            return
        at_most = self._room()
        if await self._committer.decide_all(self._committer.again, at_most):
            await self._committer.decide_all(self._queue, at_most)

    def _room(self) -> int:
        """How many commands the open group may have for now.

        Where nothing is in flight and many wait, half of them go ahead and the others are decided meanwhile; else all
        would go together, be answered together, and come back together, and nobody would ever decide while the log
        appends.
        """
        waiting = len(self._queue) + len(self._committer.again) + len(self._committer.open)
        if self._flight is not None or waiting < MANY:
            return self._group_size
        return min(self._group_size, waiting // 2)

    async def _land_and_send(self) -> None:
        """The next group leaves before the one that has landed is answered, unless a loss changes what may leave."""
        landed, group = self._flight, self._flying
        self._flight = None
        if landed is None:
            self._send()
            return
        outcomes = await self._committer.land(group, landed)
        if not isinstance(outcomes, LogError) and all(type(one) is Appended for one in outcomes):
            self._send()
        await self._committer.conclude(group, outcomes)
        self._on_commit()
        if self._committer.lost > self._lost:
            self._lost = self._committer.lost
            self._contended_until = time.monotonic() + CONTENDED_SECONDS
        if self._flight is None:
            self._send()

    def _send(self) -> None:
        if self._committer.open:
            self._flying = self._committer.close()
            self._flight = asyncio.ensure_future(self._committer.send(self._flying))
            self._flight.add_done_callback(self._wake)

    def _wake(self, _: object = None) -> None:
        self._awake.set()

    # --- turns ------------------------------------------------------------------------------------------

    def _is_sharing(self) -> bool:
        """Others write to the same streams, or have something of ours to answer."""
        if self._asking or self._taking is not None:
            return True
        return self._has_work() and time.monotonic() < self._contended_until

    async def _share(self) -> bool:
        """Without the turn: whoever has it is asked. Whether what is left in the queue is to be decided now."""
        if self._taking is None:
            self._taking, self._taking_since = asyncio.create_task(self._turns.take()), time.monotonic()
            self._taking.add_done_callback(self._wake)
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
        await self._asking.leave(self._queue)
        if await self._asking.look():
            self._contended_until = time.monotonic() + CONTENDED_SECONDS
        self._committer.again.extend(self._asking.overdue())
        return True

    async def _begin_turn(self) -> None:
        self._has_turn = True
        self._committer.again.extend(self._asking.take_back())
        await self._committer.catch_up()
        self._worked_at = time.monotonic()
        self._contended_until = self._worked_at + CONTENDED_SECONDS

    async def _hear(self) -> None:
        """Take in what others ask, and end the turn when there is nothing more to do."""
        now = time.monotonic()
        if not self._turns.is_held:
            self._lose_turn()
            return
        if self._hearing is not None and self._hearing.done():
            hearing, self._hearing = self._hearing, None
            heard = hearing.result()
            if heard:
                self._contended_until = now + CONTENDED_SECONDS
            if len(self._heard) > MOST_REMEMBERED:
                self._heard.clear()
            for envelope in [] if self._closing else heard:  # they are decided elsewhere then
                if envelope.command_id not in self._heard and self._waiting() < self._queue_size:
                    self._heard.add(envelope.command_id)
                    self._queue.append(Pending(envelope, _nobody, ours=True))
        if self._has_work() or not self._committer.is_quiet:
            self._worked_at = now
        is_over = now - self._worked_at > IDLE_SECONDS or now > self._contended_until
        # Whoever leaves has others do the rest, if there are any.
        is_over = is_over or (self._closing and bool(self._heard))
        if is_over and self._hearing is None:
            await self._end_turn()
        elif self._hearing is None and now - self._heard_at > HEAR_SECONDS and not self._closing:
            self._heard_at = now
            self._hearing = asyncio.create_task(self._asked())
            self._hearing.add_done_callback(self._wake)

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
        self._has_turn = False
        self._heard.clear()


def _settle(answer: asyncio.Future[Answer], result: Answer | LogError) -> None:
    if answer.done():
        return  # the submitter went away
    if isinstance(result, Answer):
        answer.set_result(result)
    else:
        answer.set_exception(result)


def _nobody(_: Answer | LogError) -> None:
    """Whoever asked looks into the log."""
