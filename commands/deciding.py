"""Decides commands into the open group: each on what the ones before it leave, whether that is committed yet or not."""

import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice

from commands import answers
from commands.decider import Decider, Decision
from commands.envelope import Envelope
from commands.groups import Group, Pending
from commands.messages.agent import Heartbeat
from commands.preparing import Preparer
from commands.under_way import UnderWay
from commands.work import NotYetCommitted
from domain.errors import CorruptLog, LogError
from domain.log import AppendOutcome, Conflicted, EventLog

PATIENCE = 3
"""How often a command may lose against another process before it gets the log to itself."""

logger = logging.getLogger(__name__)


class Deciding:
    """The open group. `conclude` is for a command that was appended with the log to itself."""

    def __init__(
        self,
        log: EventLog,
        decider: Decider,
        preparer: Preparer,
        clock: Callable[[], datetime],
        waiting: UnderWay,
        conclude: Callable[[Group, list[AppendOutcome]], Awaitable[None]],
    ) -> None:
        self._log = log
        self._decider = decider
        self._preparer = preparer
        self._clock = clock
        self._waiting = waiting
        self._conclude = conclude
        self._is_cold = True
        """Something was not in memory of late: so it is worth looking ahead."""
        self.open = Group()

    def close(self) -> Group:
        """Take the open group, to append it; the next one is open."""
        group, self.open = self.open, Group()
        return group

    async def decide_all(self, queue: deque[Pending], at_most: int | None = None) -> bool:
        """Decide commands from the front of a queue; False if the first must wait until all before it is concluded."""
        await self._refresh_agents(queue)
        if self._is_cold and len(queue) > 1:
            self._is_cold = await self.prefetch([one.envelope for one in islice(queue, at_most)])
        misses = self._decider.misses
        while queue and not self.open.full and (at_most is None or len(self.open) < at_most):
            pending = queue.popleft()
            if not await self._decide(pending):
                queue.appendleft(pending)
                return False
        self._is_cold = self._is_cold or self._decider.misses > misses
        return True

    async def _decide(self, pending: Pending) -> bool:
        """Decide a command into the open group; False if it must wait until all before it is concluded."""
        envelope = pending.envelope
        first = self._waiting.by_id.get(envelope.command_id)
        if first is not None:
            first.repeats.append(pending)
            return True
        if pending.single and len(self.open):
            return False
        try:
            if pending.losses >= PATIENCE:
                return (not self._waiting.by_id) and await self._decide_alone(pending)
            decision = await self._decider.decide(envelope, self._clock(), self._waiting.ahead)
            if decision.unexpected is not None:
                again = await self._decide_expecting(pending)
                if again is None:
                    return True
                decision = again
            self._put(self.open, pending, decision)
        except NotYetCommitted:
            return False
        except CorruptLog as error:
            self._waiting.settle(pending, answers.of_error(envelope, error))
        except LogError as error:
            self._waiting.settle(pending, error)
        except Exception as error:  # a fault of ours must not take others down
            told = {"command_id": envelope.command_id, "correlation_id": envelope.correlation_id}
            if pending.losses < PATIENCE:
                # What is known of one stream may be older than what is known of another: decide on one moment.
                logger.debug(
                    "%s %s is decided again", envelope.command.type, envelope.command_id, exc_info=True, extra=told
                )
                pending.losses = PATIENCE
                return await self._decide(pending)
            logger.exception("%s %s could not be decided", envelope.command.type, envelope.command_id, extra=told)
            message = f"{envelope.command.type} could not be decided ({type(error).__name__}); please report this."
            self._waiting.settle(pending, answers.failed(envelope, "internal_error", message))
        return True

    def _put(self, group: Group, pending: Pending, decision: Decision) -> None:
        work = decision.work
        if work.telemetry is not None and decision.problem is None:
            group.telemetry.append(work.telemetry)
        if isinstance(decision.envelope.command, Heartbeat) and not work.events:
            if decision.problem is not None:
                self._waiting.settle(pending, answers.of_telemetry(decision.envelope, decision.problem))
            else:
                group.unrecorded.append(pending)
            return
        prepared = self._preparer.prepare(decision)
        group.add(pending, prepared)
        self._waiting.by_id[decision.envelope.command_id] = pending
        if prepared.left:
            self._waiting.ahead.update(prepared.left)

    async def _decide_expecting(self, pending: Pending) -> Decision | None:
        """The caller named a version: a known command id still gets its first answer, a stale cache is renewed.

        None if it is answered. Raises NotYetCommitted if what it stands on may still change.
        """
        envelope = pending.envelope
        if not self._waiting.ahead.keys().isdisjoint(envelope.expected):
            raise NotYetCommitted
        await self._decider.refresh(envelope.expected)
        decision = await self._decider.decide(envelope, self._clock(), self._waiting.ahead)
        unexpected = decision.unexpected
        if unexpected is None:
            return decision
        # Looked for after the versions were read: else it might have made them itself in between, by another process.
        known = await self._log.find_command(envelope.command_id)
        conflict = answers.conflict(envelope, *unexpected)
        self._waiting.settle(pending, answers.of_recorded(envelope, known) if known else conflict)
        return None

    async def _decide_alone(self, pending: Pending) -> bool:
        """Decide and append a command while nobody else appends. Raises LogError."""
        envelope, group = pending.envelope, Group()
        outcomes: list[AppendOutcome] = []
        try:
            async with self._log.alone() as log:
                decision = await self._decider.decide_afresh(envelope, self._clock(), log)
                unexpected = decision.unexpected
                if unexpected is not None:
                    known = await log.find_command(envelope.command_id)
                    conflict = answers.conflict(envelope, *unexpected)
                    self._waiting.settle(pending, answers.of_recorded(envelope, known) if known else conflict)
                    return True
                self._put(group, pending, decision)
                if group.members:
                    outcomes = await log.append(group.appends)
        except BaseException:
            self._waiting.ahead.clear()
            raise
        if any(isinstance(outcome, Conflicted) for outcome in outcomes):
            raise AssertionError(f"Lost with the log to itself: {outcomes}")
        await self._conclude(group, outcomes)
        return True

    async def _refresh_agents(self, queue: Iterable[Pending]) -> None:
        """A heartbeat appends nothing, so nothing else would tell that another process took the agent off."""
        beating = {one.envelope.command.stream_id for one in queue if isinstance(one.envelope.command, Heartbeat)}
        if beating:
            with contextlib.suppress(LogError):  # whoever needs the log will say so
                await self._decider.refresh(beating)

    async def prefetch(self, envelopes: Sequence[Envelope]) -> bool:
        """Load what commands that are to come will need and is not there. The only call that may run beside others."""
        try:
            return await self._decider.prefetch(envelopes, self._clock(), self._waiting.ahead)
        except LogError:
            return True  # whoever needs the log will say so
