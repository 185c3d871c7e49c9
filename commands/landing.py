"""Appends groups and concludes them: commands are answered, and what was lost to another process is decided again."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Protocol

from commands import answers
from commands.decider import Decider
from commands.deciding import Deciding
from commands.envelope import Answer
from commands.groups import Group, Pending
from commands.preparing import Prepared
from commands.under_way import UnderWay
from commands.work import Telemetry
from domain.errors import AppendRejected, LogError, LogUnavailable
from domain.log import AlreadyRecorded, Appended, AppendOutcome, EventLog, LockedOut

RETRIES = (0.0, 0.1, 0.3, 1.0)
"""Pauses, in seconds, before an append whose answer was lost is sent again."""

logger = logging.getLogger(__name__)


class PresenceSink(Protocol):
    """Takes telemetry of agents; the last word of each agent is what counts."""

    async def record(self, heartbeats: Sequence[Telemetry]) -> None: ...


class Landing:
    """The group in flight, until all of its commands are answered or decided again into the open one."""

    def __init__(
        self,
        log: EventLog,
        decider: Decider,
        presence: PresenceSink,
        waiting: UnderWay,
        deciding: Deciding,
        retries: Sequence[float],
    ) -> None:
        self._log = log
        self._decider = decider
        self._presence = presence
        self._waiting = waiting
        self._deciding = deciding
        self._retries = retries
        self.lost = 0
        """How many commands were lost to other processes, and decided again."""
        self.resent = 0
        """How many groups were sent again, as their answer was lost."""
        self.events = 0
        """How many events were appended."""

    def send(self, group: Group) -> Awaitable[list[AppendOutcome]]:
        """Append a group: it may be under way when this returns, and is to be landed."""
        if not group.members:
            return _nothing()
        try:
            return self._log.append(group.appends)
        except LogError as error:
            return _refused(error)

    async def land(self, group: Group, flight: Awaitable[list[AppendOutcome]]) -> list[AppendOutcome] | LogError:
        """What became of a group that was sent; known in the end, or why it is not.

        An append whose answer was lost is sent again: its command ids see to it that nothing is done twice.
        """
        pauses = iter(self._retries)
        while True:
            try:
                return await flight
            except LogUnavailable as unavailable:
                pause = next(pauses, None)
                if pause is None:
                    return unavailable
            except LogError as refused:
                return refused
            except Exception as fault:  # the writer outlives whatever one group runs into
                logger.exception("A group of %d commands could not be appended", len(group))
                return LogUnavailable(f"The commands could not be committed ({fault}); submit them again.")
            group.resent = True
            self.resent += 1
            await asyncio.sleep(pause)
            flight = self.send(group)

    async def conclude(self, group: Group, outcomes: list[AppendOutcome] | LogError) -> None:
        """Answer a group's commands; what was lost, or stood on it, is decided again into the open group."""
        if isinstance(outcomes, LogError):
            await self._conclude_failed(group, outcomes)
            return
        try:
            await self._conclude_members(group, outcomes)
        finally:  # heartbeats are in no log, so nothing else would ever answer them
            await self._conclude_heartbeats(group)

    async def _conclude_members(self, group: Group, outcomes: list[AppendOutcome]) -> None:
        lost: list[Pending] = []
        stale: set[str] = set()
        for (pending, prepared), outcome in zip(group.members, outcomes, strict=True):
            if isinstance(outcome, Appended):
                self.events += len(prepared.append.events)
                self._take_over(prepared)
                self._waiting.settle(pending, _answer(prepared, outcome))
            elif isinstance(outcome, AlreadyRecorded):
                # By whom? Another process may have decided the same a moment earlier: only the log knows what it left.
                stale |= prepared.append.expected.keys()
                resent = group.resent and outcome.answer == prepared.append.answer
                first = resent or pending.ours
                self._waiting.settle(pending, answers.of_recorded(pending.envelope, outcome, repeated=not first))
            elif isinstance(outcome, LockedOut):
                stale |= prepared.append.expected.keys()
                self._waiting.settle(pending, answers.locked_out(pending.envelope, outcome))
            else:
                stale |= prepared.append.expected.keys()
                self.lost += 1
                pending.losses += 1
                lost.append(pending)
        if stale:
            await self._decide_anew(lost, stale)

    async def _conclude_heartbeats(self, group: Group) -> None:
        try:
            if group.telemetry:
                await self._presence.record(group.telemetry)
        finally:
            for pending in group.unrecorded:
                self._waiting.settle(pending, answers.of_telemetry(pending.envelope, None))

    def _take_over(self, prepared: Prepared) -> None:
        """What a command left is committed."""
        if prepared.left:
            self._decider.remember(prepared.left)
            for stream_id, loaded in prepared.left.items():
                if self._waiting.ahead.get(stream_id) is loaded:
                    del self._waiting.ahead[stream_id]

    async def _decide_anew(self, lost: list[Pending], stale: set[str]) -> None:
        """Take the commands of the open group that stand on something stale out of it; all of them come again."""
        kept = Group()
        kept.unrecorded, kept.telemetry = self._deciding.open.unrecorded, self._deciding.open.telemetry
        self._waiting.ahead.clear()
        for pending, prepared in self._deciding.open.members:
            if stale.isdisjoint(prepared.append.expected):
                kept.add(pending, prepared)
                self._waiting.ahead.update(prepared.left)
            else:
                stale |= prepared.left.keys()
                lost.append(pending)
        self._deciding.open = kept
        for pending in lost:
            self._waiting.leave(pending)
        self._waiting.again.extendleft(reversed([pending for pending in lost if not pending.told]))
        try:
            await self._decider.refresh(stale)
        except LogError:
            self._decider.forget(stale)

    async def _conclude_failed(self, group: Group, error: LogError) -> None:
        """Nothing was appended, or nobody knows. What was refused for one command's sake harms no other."""
        pendings = [pending for pending, _ in group.members]
        lost: list[Pending] = []
        if isinstance(error, AppendRejected) and len(pendings) > 1:
            lost = pendings
            for pending in lost:
                pending.single = True
        else:
            for pending in pendings:
                self._waiting.settle(pending, error)
        for pending in group.unrecorded:
            self._waiting.settle(pending, error)
        await self._decide_anew(lost, {stream_id for one in group.appends for stream_id in one.expected})


def _answer(prepared: Prepared, where: Appended) -> Answer:
    return answers.of_appended(prepared.decision.envelope, prepared.versions, prepared.decision.problem, where)


async def _nothing() -> list[AppendOutcome]:
    return []


async def _refused(error: LogError) -> list[AppendOutcome]:
    raise error
