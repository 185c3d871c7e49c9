"""The command bus: many submitters, one committer, groups without a timer.

While one group is being committed, arriving commands gather; the next group carries them all. A lone
command does not wait for company. The queue is bounded: a full one answers "try later" at once.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from commands.committer import Committer
from commands.envelope import Answer, Envelope
from domain.errors import DoraStateError, LogError, LogUnavailable

DEFAULT_QUEUE_SIZE = 10_000
DEFAULT_GROUP_SIZE = 500


class Busy(DoraStateError):
    """Too many commands are waiting; try again in a moment."""

    code = "busy"


class BusClosed(DoraStateError):
    """The bus is shutting down and takes no more commands; submit to another process."""

    code = "closed"


@dataclass(slots=True)
class _Waiting:
    envelope: Envelope
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class CommandBus:
    """Use as an async context manager; leaving it answers everything that was accepted."""

    def __init__(
        self,
        committer: Committer,
        *,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        group_size: int = DEFAULT_GROUP_SIZE,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_commit` is called after each group, off the write path: it must only set a signal."""
        self._committer = committer
        self._on_commit = on_commit
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue(queue_size + 1)
        self._queue_size = queue_size
        self._group_size = group_size
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="command bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        await self._queue.put(None)
        if self._task is not None:
            await self._task

    async def submit(self, envelope: Envelope) -> Answer:
        """Answered once the commit is durable. A submitter that goes away cancels nothing.

        Raises Busy if too many are waiting, BusClosed while shutting down, LogError if the log could not
        take the command: submit the same command id again then.
        """
        if self._closing:
            raise BusClosed()
        if self._queue.qsize() >= self._queue_size:
            raise Busy(f"{self._queue_size} commands are waiting already; try again in a moment.")
        waiting = _Waiting(envelope)
        self._queue.put_nowait(waiting)
        return await asyncio.shield(waiting.answer)

    async def _run(self) -> None:
        while (first := await self._queue.get()) is not None:
            group, closing = self._gather(first)
            await self._commit(group)
            if closing:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        group = [first]
        while len(group) < self._group_size and not self._queue.empty():
            following = self._queue.get_nowait()
            if following is None:
                return group, True
            group.append(following)
        return group, False

    async def _commit(self, group: list[_Waiting]) -> None:
        """One of each command id; a second one of the same group gets the first one's answer."""
        firsts: dict[object, _Waiting] = {}
        repeats: list[_Waiting] = []
        for waiting in group:
            if firsts.setdefault(waiting.envelope.command_id, waiting) is not waiting:
                repeats.append(waiting)
        await self._commit_distinct(list(firsts.values()))
        for waiting in repeats:
            await self._commit_distinct([waiting])
        self._on_commit()

    async def _commit_distinct(self, group: list[_Waiting]) -> None:
        try:
            answers = await self._committer.commit([waiting.envelope for waiting in group])
        except LogError as error:
            _fail(group, error)
        except Exception as error:  # the bus outlives whatever one group runs into
            _fail(group, LogUnavailable(f"The commands could not be committed ({error}); submit them again."))
        else:
            for waiting, answer in zip(group, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)


def _fail(group: list[_Waiting], error: LogError) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
            # A submitter that has gone away must not leave "exception was never retrieved" behind.
            with contextlib.suppress(asyncio.CancelledError, LogError):
                waiting.answer.exception()
