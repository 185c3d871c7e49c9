"""The consumer: commands from the queue into the bus, many at once and in their order, and their answers back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from commands.envelope import Answer, Problem
from dora_state.queue.patience import FINAL, OUTAGES, PATIENCE, Patience
from dora_state.queue.settling import Settling
from dora_state.resting import rest, unless
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import Taken, TakenCommands, shown
from infrastructure.queue_figures import ConsumerFigures

PREFETCH = 200
"""Messages in hand at most: as many go into the bus at once, and wait there for a group."""
WAIT_SECONDS = 2.0
"""How long one wait for a message is; who waits is woken by the message."""
BEAT_SECONDS = 3.0
Submit = Callable[[Mapping[str, Any]], Awaitable[Answer]]
logger = logging.getLogger(__name__)


class QueueConsumer:
    """One round after the other: what waits is taken, decided in its order, and answered.

    An outage holds up the queue, so that order outlasts it; a message that fails while others do not is tried again
    beside them, and is a dead letter in the end. What a consumer has in hand when it dies comes again.
    """

    def __init__(
        self,
        queue: TakenCommands,
        submit: Submit,
        patience: Patience = PATIENCE,
        figures: ConsumerFigures | None = None,
    ) -> None:
        self.figures = figures or ConsumerFigures()
        self._queue = queue
        self._submit = submit
        self._patience = patience
        self._settling = Settling(queue)
        self._aside: dict[bytes, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; what is in hand is finished then. Waits out an outage of the broker, told once."""
        beating = asyncio.create_task(self._beat(), name="heartbeat of the queue")
        pauses, counted, away = self._patience.broker(), False, False
        try:
            while not stop.is_set():
                if beating.done():
                    beating.result()
                try:
                    if not counted:
                        await self._take_stock()
                        counted, pauses = True, self._patience.broker()
                    if away:
                        logger.warning("The broker is back; commands are taken again.")
                        away = False
                    await self._round(stop)
                except BrokerUnavailable as error:
                    if not away:
                        logger.warning("No command is taken until the broker is back: %s", error.message)
                    counted, away = False, True
                    await rest(stop, next(pauses))
            await asyncio.gather(*self._aside.values())
        finally:
            left = (beating, *self._aside.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _beat(self) -> None:
        """Tells that we live, sends back what the dead had taken, and looks how the queue is."""
        while True:
            try:
                await self._queue.beat()
                self.figures.queue = await self._queue.figures()
                if self.figures.queue.delayed:
                    await self._bury_later()
            except BrokerUnavailable:
                self.figures.queue = None
            await asyncio.sleep(BEAT_SECONDS)

    async def _bury_later(self) -> None:
        for one in await self._queue.later(PREFETCH):
            answer = _failed(one, "unreadable", one.fault or "")
            self._tell_of_dead(one, answer)
            await self._queue.bury_later(one, answer)

    async def _take_stock(self) -> None:
        """What is in hand and nobody is at goes back to the queue: a call whose answer was lost took it, or a consumer
        of this process that has ended."""
        await self._settling.flush()
        await self._queue.give_back(await self._queue.ids() - self._aside.keys())

    async def _round(self, stop: asyncio.Event) -> None:
        await self._settling.flush()
        room = PREFETCH - len(self._aside)
        if room == 0:
            await rest(stop, WAIT_SECONDS)
            return
        taken = await self._queue.take(room)
        if not taken:
            await unless(stop, self._queue.wait(WAIT_SECONDS))
            return
        unreadable = [one for one in taken if one.fault is not None]
        for one in unreadable:
            await self._bury(one, _failed(one, "unreadable", one.fault or ""), 0)
        await self._carry_out([one for one in taken if one.fault is None], stop)

    async def _carry_out(self, waiting: Sequence[Taken], stop: asyncio.Event) -> None:
        """In their order, also over an outage, as long as that does not take too long."""
        pauses, told = self._patience.outage(), False
        while waiting:
            answers = await asyncio.gather(*map(self._try, waiting))
            tried = list(zip(waiting, answers, strict=True))
            done = [(one, answer) for one, answer in tried if _is_final(answer)]
            failed = [(one, answer) for one, answer in tried if not _is_final(answer)]
            await self._answered(done)
            pause = next(pauses, None)
            if not failed or done or pause is None or not all(_is_outage(answer) for _, answer in failed):
                self._set_aside(failed, stop)
                return
            if not told:
                told = True
                self._tell(failed[0][1])
            await rest(stop, pause)
            waiting = [one for one, _ in failed]
            if stop.is_set():
                await self._queue.give_back([one.id for one in waiting])
                return
            self.figures.retries += len(waiting)

    def _set_aside(self, failed: Sequence[tuple[Taken, Answer]], stop: asyncio.Event) -> None:
        for one, answer in failed:
            task = asyncio.create_task(self._beside(one, answer, stop), name=f"queued {shown(one.id)}")
            self._aside[one.id] = task
            task.add_done_callback(partial(self._no_longer, one.id))

    def _no_longer(self, id: bytes, _: "asyncio.Task[None]") -> None:
        self._aside.pop(id, None)

    async def _beside(self, one: Taken, answer: Answer, stop: asyncio.Event) -> None:
        try:
            await self._try_again(one, answer, stop)
        except Exception as error:  # as in `_try`
            logger.error("A command of the queue met a fault, and comes again", exc_info=error)
            self._settling.leave(one)

    async def _try_again(self, one: Taken, answer: Answer, stop: asyncio.Event) -> None:
        """A try counts unless all others failed too: an outage makes no dead letters."""
        attempts, pauses = 1, self._patience.attempts()
        while attempts < self._patience.most_attempts:
            before = self.figures.answered
            await rest(stop, next(pauses))
            if stop.is_set():
                await self._settling.give_back(one)
                return
            self.figures.retries += 1
            answer = await self._try(one)
            if _is_final(answer):
                await self._answered([(one, answer)])
                return
            if not _is_outage(answer) or self.figures.answered > before:
                attempts += 1
        await self._bury(one, answer, attempts)

    async def _try(self, one: Taken) -> Answer:
        try:
            return await self._submit(one.submission)
        except Exception as error:  # a fault of ours in one command is no reason to stop all others
            logger.error("A command of the queue met a fault", exc_info=error)
            return _failed(
                one, "fault", f"Something unexpected happened ({type(error).__name__}); see the worker's log."
            )

    async def _answered(self, done: Sequence[tuple[Taken, Answer]]) -> None:
        self.figures.outcomes.update(answer.outcome for _, answer in done)
        await self._settling.settle(done)

    async def _bury(self, one: Taken, answer: Answer, attempts: int) -> None:
        self._tell_of_dead(one, answer)
        await self._settling.bury(one, answer, attempts)

    def _tell_of_dead(self, one: Taken, answer: Answer) -> None:
        self.figures.buried += 1
        told = answer.problem.message if answer.problem is not None else answer.outcome
        why = told.encode(errors="backslashreplace").decode()  # half a letter can't be written
        logger.warning(
            "A message of the queue is a dead letter now (`dora-state queue show %s`): %s", shown(one.id), why
        )

    def _tell(self, answer: Answer) -> None:
        if answer.problem is not None:
            logger.warning("The queue waits until its commands can be taken: %s", answer.problem.message)


def _is_final(answer: Answer) -> bool:
    return answer.outcome != "failed" or (answer.problem is not None and answer.problem.code in FINAL)


def _is_outage(answer: Answer) -> bool:
    return answer.problem is not None and answer.problem.code in OUTAGES


def _failed(one: Taken, code: str, message: str) -> Answer:
    name = one.submission.get("type")
    told = name if isinstance(name, str) else None
    return Answer(one.command_id, told, "failed", problem=Problem(code, message))
