"""The command bus: many submitters, one committer, groups without a timer.

While one group is in flight, arriving commands are decided into the next one, which goes as soon as the one before
has landed. A lone command does not wait for company. The queue is bounded: a full one answers "try later" at once.
Where other processes write to the same streams, sharing.py says what is decided here and when.
"""

from __future__ import annotations  # those of a function made in a function would be evaluated at each call

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Self

from commands.asking import NoTurns, Turns
from commands.committer import Committer
from commands.envelope import Answer, Envelope
from commands.figures import BusFigures
from commands.groups import Group, Pending
from commands.sharing import Sharing
from commands.tracing import NOBODY_ASKS, CommandTracing, Span
from domain.errors import DoraStateError, LogError, LogUnavailable
from domain.log import Appended, AppendOutcome

DEFAULT_QUEUE_SIZE = 10_000
DEFAULT_GROUP_SIZE = 500
MANY = 16
"""So many waiting commands are worth two appends."""
FAULT_SECONDS = 0.05
"""Between a fault and the next try."""
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
        tracing: CommandTracing = NOBODY_ASKS,
    ) -> None:
        """`on_commit` is called after each group, off the write path: it must only set a signal."""
        self._committer = committer
        self._on_commit = on_commit
        self._tracing = tracing
        self._queue: deque[Pending] = deque()
        self.queue_size = queue_size
        self._group_size = group_size
        self._task: asyncio.Task[None]
        self._flight: asyncio.Future[list[AppendOutcome]] | None = None
        self._flying: Group
        self._sent_at: float
        self._spans: list[Span]
        """Of the commands in flight."""
        self.figures = BusFigures()
        self._awake = asyncio.Event()
        self._closing = False
        self.sharing = Sharing(turns or NoTurns(), committer, self._awake.set)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="command bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self.sharing.leave()
        self._awake.set()
        await self._task
        await self.sharing.close()

    async def submit(self, envelope: Envelope) -> Answer:
        """Answered once the commit is durable. A submitter that goes away cancels nothing.

        Raises Busy if too many are waiting, BusClosed while shutting down, LogError if the log could not
        take the command: submit the same command id again then.
        """
        if self._closing:
            raise BusClosed()
        if self.waiting >= self.queue_size:
            self.figures.busy += 1
            raise Busy(f"{self.queue_size} commands are waiting already; try again in a moment.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        span = self._tracing.begin(envelope)
        if span is not None:
            envelope = replace(envelope, traceparent=span.traceparent)
        settled = partial(self._settle, envelope.command.type, time.perf_counter(), span, answer)
        self._queue.append(Pending(envelope, settled, span=span))
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
                await asyncio.sleep(FAULT_SECONDS)  # what fails each time would let nobody else work
            if self._flight is not None:
                if not self._flight.done():
                    await self._rest()
            elif self._committer.open or (self._has_work() and not self.sharing.is_held_up(has_work=True)):
                continue
            elif self._closing and not self._has_work() and not self.sharing:
                return
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Until something happens, or it is time to look around."""
        seconds = self.sharing.rest_seconds(self._has_work())
        if seconds is None:
            await self._awake.wait()
            return
        alarm = asyncio.get_running_loop().call_later(seconds, self._awake.set)
        await self._awake.wait()
        alarm.cancel()

    @property
    def is_closing(self) -> bool:
        """It takes no more commands."""
        return self._closing

    @property
    def waiting(self) -> int:
        """Commands that are to be decided, here or by another process."""
        return len(self._queue) + len(self._committer.again) + len(self.sharing)

    def _has_work(self) -> bool:
        return bool(self._queue or self._committer.again)

    async def _decide(self) -> None:
        """Decide what waits into the open group, if it is for us to do."""
        may_decide = await self.sharing.may_decide(self._queue, self.queue_size - self.waiting)
        if not may_decide or not self._has_work():
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
        waiting = len(self._queue) + len(self._committer.again)
        if self._flight is not None or waiting < MANY:
            return self._group_size
        return min(self._group_size, waiting // 2)

    async def _land_and_send(self) -> None:
        """The next group leaves before the one that has landed is answered, unless a loss changes what may leave."""
        if self._flight is None:
            self._send()
            return
        landed, group = self._flight, self._flying
        self._flight = None
        outcomes = await self._committer.land(group, landed)
        if not isinstance(outcomes, LogError) and all(type(one) is Appended for one in outcomes):
            self._send()
        await self._committer.conclude(group, outcomes)
        self._on_commit()
        self.sharing.group_concluded()
        if self._flight is None:
            self._send()

    def _send(self) -> None:
        if self._committer.open:
            self._flying = self._committer.close()
            self.figures.groups.add(len(self._flying))
            self._spans = [pending.span for pending, _ in self._flying.members if pending.span is not None]
            for span in self._spans:
                span.sent(len(self._flying))
            self._sent_at = time.perf_counter()
            self._flight = asyncio.ensure_future(self._committer.send(self._flying))
            self._flight.add_done_callback(self._arrived)

    def _arrived(self, _: object) -> None:
        if self._flying.members:  # heartbeats alone are not appended
            self.figures.appends.add(time.perf_counter() - self._sent_at)
        for span in self._spans:
            span.landed()
        self._awake.set()

    def _settle(
        self, type: str, since: float, span: Span | None, answer: asyncio.Future[Answer], result: Answer | LogError
    ) -> None:
        told = result if isinstance(result, Answer) else None
        if span is not None:
            span.answered(told)
        self.figures.answered(type, told, time.perf_counter() - since)
        if answer.done():
            return  # the submitter went away
        if isinstance(result, Answer):
            answer.set_result(result)
        else:
            answer.set_exception(result)
