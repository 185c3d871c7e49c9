"""Decides the commands of an import one by one and appends them in groups.

While one group is being appended the next is decided. Only this process writes to a tenant that is
importing, so a decision stands on what the ones before it left, appended or not.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from commands.decider import Decider
from commands.envelope import Envelope
from commands.preparing import Prepared
from commands.work import Loaded
from domain.errors import LogError
from domain.log import AlreadyRecorded, Conflicted, LockedOut
from dora_state.platform import Platform
from infrastructure.event_store import PostgresEventLog

GROUP = 500
"""Commands in one append."""
YIELD_EVERY = 25
"""After so many decisions the append in flight gets a turn."""
SMALLEST_CACHE = 2 * GROUP * 4
"""What is not appended yet must be remembered: two groups, and a command touches four streams at most."""
NOT_THERE: Loaded[Any] = Loaded(0, None)


class Groups:
    """One append in flight at a time; what was added is durable after `finish`. An async context manager."""

    def __init__(self, platform: Platform, log: PostgresEventLog, position: int) -> None:
        """`position`: the log's last one."""
        self.refused: Counter[str] = Counter()
        """Commands that the domain did not accept, by the reason; the mapping asks for none of them."""
        self._preparer = platform.preparer
        cache_size = max(platform.settings.cache_size, SMALLEST_CACHE)
        self._decider = Decider(log, platform.queries, cache_size=cache_size)
        self._log = log
        self._position = position
        self._group: list[Prepared] = []
        self._in_flight: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._in_flight is not None:
            self._in_flight.cancel()
            await asyncio.gather(self._in_flight, return_exceptions=True)

    def know_as_new(self, stream_ids: Sequence[str]) -> None:
        """Streams that can't exist yet need not be looked for."""
        self._decider.remember(dict.fromkeys(stream_ids, NOT_THERE))

    async def add(self, envelope: Envelope, at: datetime) -> bool:
        """Decide a command as of a time, which never falls; false: refused. Raises LogError for a group before it."""
        decision = await self._decider.decide(envelope, at)
        prepared = self._preparer.prepare(decision, recorded_at=at)
        problem = prepared.decision.problem
        if problem is not None:
            self.refused[problem.code] += 1
            return False
        if decision.work.events:
            self._decider.remember(prepared.left)
            self._group.append(prepared)
        if len(self._group) >= GROUP:
            await self._send()
        elif len(self._group) % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        return True

    async def finish(self) -> None:
        """Raises LogError."""
        await self._send()
        await self._landed()

    async def _send(self) -> None:
        await self._landed()
        group, self._group = self._group, []
        if group:
            self._in_flight = asyncio.create_task(self._append(group))

    async def _landed(self) -> None:
        if self._in_flight is not None:
            in_flight, self._in_flight = self._in_flight, None
            await in_flight

    async def _append(self, group: list[Prepared]) -> None:
        for outcome in await self._log.append([one.append for one in group]):
            if isinstance(outcome, Conflicted):
                raise LogError(
                    f"{outcome.stream_id} is at version {outcome.actual} and the import expected {outcome.expected}; "
                    "something else writes to this tenant: stop it, and start the import anew.",
                    stream_id=outcome.stream_id,
                )
            if isinstance(outcome, LockedOut):
                raise LogError(
                    f"{outcome.stream_id} is locked by {outcome.holder}: let that end, and go on with the import then.",
                    stream_id=outcome.stream_id,
                )
            if isinstance(outcome, AlreadyRecorded) or outcome.first_position != self._position + 1:
                raise LogError(
                    f"Something else has written to this tenant after position {self._position}, while the import stood"
                    " on what was there before: stop it, and start the import anew.",
                    position=self._position,
                )
            self._position = outcome.last_position or self._position
