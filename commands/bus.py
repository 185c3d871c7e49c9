"""The command bus: many submitters, one committer, groups without a timer.

While one group is in flight, arriving commands are decided into the next one, which goes as soon as the one before
has landed. A lone command does not wait for company. The queue is bounded: a full one answers "try later" at once.

Processes that write to the same streams take turns: whoever lost a command to another waits for its turn before it
decides again, sees what the others wrote, and works off its queue for a short while, as fast as if it were alone.
Without turns each would mostly work for nothing. They are a courtesy: what is right is for the append to say.
"""

from __future__ import annotations  # those of a function made in a function would be evaluated at each call

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self

from commands.committer import Committer
from commands.envelope import Answer, Envelope
from commands.groups import Group, Pending
from domain.errors import DoraStateError, LogError, LogUnavailable
from domain.log import Appended, AppendOutcome

DEFAULT_QUEUE_SIZE = 10_000
DEFAULT_GROUP_SIZE = 500
TURN_SECONDS = 0.02
"""How long a turn lasts while others may be waiting for theirs."""
MANY = 16
"""So many waiting commands are worth two appends."""
CONTENDED_SECONDS = 1.0
"""How long after the last sign of another writer on the same streams turns are taken."""
logger = logging.getLogger(__name__)


class Busy(DoraStateError):
    """Too many commands are waiting; try again in a moment."""

    code = "busy"


class BusClosed(DoraStateError):
    """The bus is shutting down and takes no more commands; submit to another process."""

    code = "closed"


class Turns(Protocol):
    """Turns of the processes that write to the same streams. Both calls return without a turn where none can be had."""

    async def take(self) -> None:
        """Wait for the turn."""
        ...

    async def give(self) -> None:
        """Let the next one have it."""
        ...


class NoTurns:
    """For a process that is alone."""

    async def take(self) -> None: ...

    async def give(self) -> None: ...


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
        self._turn_ends: float | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="command bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._awake.set()
        if self._task is not None:
            await self._task

    async def submit(self, envelope: Envelope) -> Answer:
        """Answered once the commit is durable. A submitter that goes away cancels nothing.

        Raises Busy if too many are waiting, BusClosed while shutting down, LogError if the log could not
        take the command: submit the same command id again then.
        """
        if self._closing:
            raise BusClosed()
        if len(self._queue) >= self._queue_size:
            raise Busy(f"{self._queue_size} commands are waiting already; try again in a moment.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def settle(result: Answer | LogError) -> None:
            if answer.done():
                return  # the submitter went away
            if isinstance(result, Answer):
                answer.set_result(result)
            else:
                answer.set_exception(result)

        self._queue.append(Pending(envelope, settle))
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
                    await self._awake.wait()
            elif self._committer.open:
                continue
            elif self._turn_ends is not None:
                if not self._is_turn_over():
                    await asyncio.sleep(0)  # those just answered may have more to submit
                if self._is_turn_over() or not self._has_work():
                    await self._end_turn()
            elif not self._has_work():
                if self._closing:
                    return
                await self._awake.wait()

    def _has_work(self) -> bool:
        return bool(self._queue or self._committer.again)

    async def _decide(self) -> None:
        """Decide what waits into the open group, if it is our turn or turns are not taken."""
        if not self._has_work():
            return
        if self._turn_ends is None and time.monotonic() < self._contended_until:
            if not self._committer.is_quiet:
                return
            await self._begin_turn()
        if not self._is_turn_over():
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

    def _wake(self, _: object) -> None:
        self._awake.set()

    # --- turns ------------------------------------------------------------------------------------------

    async def _begin_turn(self) -> None:
        await self._turns.take()
        self._turn_ends = time.monotonic() + TURN_SECONDS
        if await self._committer.catch_up():
            self._contended_until = self._turn_ends + CONTENDED_SECONDS

    def _is_turn_over(self) -> bool:
        return self._turn_ends is not None and time.monotonic() >= self._turn_ends

    async def _end_turn(self) -> None:
        self._turn_ends = None
        await self._turns.give()
