"""Commits commands in groups: each is decided on what the ones before it leave, whether that is committed yet or not.

A group is open while commands are decided into it, then in flight while it is appended, and then concluded: its
commands are answered. One group is in flight at a time, and the next is decided meanwhile. Every command succeeds or is
refused on its own. Refusals and no-ops are recorded with their answers, so that a command id answers the same for ever.

On a conflict with another process only the commands that it concerns are decided again, in their order: those in
conflict, and those of the open group that stood on what they would have left. A command that has lost often is decided
with the log to itself, so that it cannot lose again.
"""

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from commands.decider import Decider
from commands.deciding import Deciding
from commands.envelope import Answer, Envelope
from commands.groups import Group, Pending
from commands.landing import RETRIES, Landing, PresenceSink
from commands.preparing import Preparer
from commands.under_way import UnderWay
from domain.errors import LogError
from domain.log import AppendOutcome, EventLog


class Committer:
    """One writer to a tenant's log. Not safe for concurrent use: the bus calls it from one task."""

    def __init__(
        self,
        log: EventLog,
        decider: Decider,
        presence: PresenceSink,
        preparer: Preparer,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        retries: Sequence[float] = RETRIES,
    ) -> None:
        self._decider = decider
        self._waiting = UnderWay()
        self._deciding = Deciding(log, decider, preparer, clock, self._waiting, self.conclude)
        self._landing = Landing(log, decider, presence, self._waiting, self._deciding, retries)

    async def commit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Commit commands without a bus: answers in the order of the envelopes, durable when this returns.

        Raises LogError if the log could not be read or written: then whether anything was appended is
        unknown, and the same command ids may be sent again without harm.
        """
        settled: dict[int, Answer | LogError] = {}
        for index, envelope in enumerate(envelopes):
            self.again.append(Pending(envelope, partial(settled.__setitem__, index)))
        while self.again or self.open:
            await self.decide_all(self.again)
            group = self.close()
            await self.conclude(group, await self.land(group, self.send(group)))
        results = [settled[index] for index in range(len(envelopes))]
        for result in results:
            if isinstance(result, LogError):
                raise result
        return [result for result in results if isinstance(result, Answer)]

    # --- the open group ---------------------------------------------------------------------------------

    @property
    def open(self) -> Group:
        return self._deciding.open

    @property
    def again(self) -> deque[Pending]:
        """Commands to decide before any other."""
        return self._waiting.again

    @property
    def is_quiet(self) -> bool:
        """Nothing is decided that is not concluded."""
        return not self._waiting.by_id

    async def decide_all(self, queue: deque[Pending], at_most: int | None = None) -> bool:
        """Decide commands from the front of a queue; False if the first must wait until all before it is concluded."""
        return await self._deciding.decide_all(queue, at_most)

    async def prefetch(self, envelopes: Sequence[Envelope]) -> bool:
        """Load what commands that are to come will need and is not there. The only call that may run beside others."""
        return await self._deciding.prefetch(envelopes)

    async def catch_up(self) -> None:
        """See what other processes have written since the last time."""
        with contextlib.suppress(LogError):  # whoever needs the log will say so
            await self._decider.catch_up()

    def abandon(self, error: LogError) -> None:
        """Answer all that is decided or to be decided again with an error; nothing of it is known any more."""
        self._waiting.abandon(self._deciding.close().unrecorded, error)

    # --- the group in flight ----------------------------------------------------------------------------

    @property
    def lost(self) -> int:
        """How many commands were lost to other processes, and decided again."""
        return self._landing.lost

    def close(self) -> Group:
        """Take the open group, to append it; the next one is open."""
        return self._deciding.close()

    def send(self, group: Group) -> Awaitable[list[AppendOutcome]]:
        """Append a group: it may be under way when this returns, and is to be landed."""
        return self._landing.send(group)

    async def land(self, group: Group, flight: Awaitable[list[AppendOutcome]]) -> list[AppendOutcome] | LogError:
        """What became of a group that was sent; known in the end, or why it is not."""
        return await self._landing.land(group, flight)

    async def conclude(self, group: Group, outcomes: list[AppendOutcome] | LogError) -> None:
        """Answer a group's commands; what was lost, or stood on it, is decided again into the open group."""
        await self._landing.conclude(group, outcomes)
