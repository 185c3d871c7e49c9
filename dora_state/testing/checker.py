"""Proves from what clients were told, and from the log, that nothing was lost, invented, doubled or put out of order.

The log is read once, from its beginning; memory is that of the states of all aggregates, of digests for each event and
each version, and of the ids of events and commands.
"""

from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from domain.errors import CorruptLog
from domain.folding import FOLDER
from domain.log import RecordedEvent
from dora_state.testing.claims import Claims
from dora_state.testing.contents import content
from dora_state.testing.history import Asked, Began, Followed, Read, Record, Told
from dora_state.testing.invariants import broken
from dora_state.testing.moves import forbidden
from dora_state.testing.onlookers import Followers, read
from dora_state.testing.promises import PROMISES, Fault
from dora_state.testing.recorded import Recorded
from dora_state.testing.rollbacks import Pasts
from projections.documents import RENDERINGS
from projections.documents.values import decode

__all__ = ["PROMISES", "Checker", "Counts", "Fault"]


@dataclass(slots=True)
class Counts:
    """What was looked at."""

    events: int = 0
    commands: int = 0
    recorded: Counter[str] = field(default_factory=Counter)
    """Commands in the log by their type, but for those of others."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of the commands of the histories, by what is known last; `unknown` where nothing was told."""
    followed: int = 0
    reads: int = 0
    own_reads: int = 0
    """Those that were to include a position."""


class Checker:
    """One log and all histories over it. `others`: actors who write no history, such as a worker.

    Followers must have come to the end of the log, or to `followed_to` where they were let go before it, and to the end
    of a command.
    """

    def __init__(self, *, others: Container[str] = (), followed_to: int | None = None) -> None:
        self._recorded = Recorded(others)
        self._followed_to = followed_to
        self.counts = Counts()

    async def check(self, events: AsyncIterator[RecordedEvent], history: Iterable[Record]) -> list[Fault]:
        """All that is not as promised; `history` is read once, after the log."""
        found = [fault async for fault in self._log(events)]
        return found + list(self._histories(history))

    async def _log(self, events: AsyncIterator[RecordedEvent]) -> AsyncIterator[Fault]:
        states: dict[str, Any] = {}
        pasts = Pasts()
        touched: dict[str, RecordedEvent] = {}
        async for event in events:
            self.counts.events += 1
            for fault in self._recorded.add(event):
                yield fault
            for says in forbidden(states, event):
                yield Fault("moves", f"At position {event.position}, {says}")
            try:
                before = states.get(event.stream_id)
                said, after = FOLDER.step(event, before)
            except CorruptLog as error:
                yield Fault("invariants", error.message)
                continue
            for says in pasts.forbidden(event.stream_id, said, before, after):
                yield Fault("moves", f"At position {event.position}, {says}")
            states[event.stream_id] = after
            touched[event.stream_id] = event
            if event.following == 0:
                for last in touched.values():
                    pasts.keep(last.stream_id, last.version, states[last.stream_id])
                    self._keep_content(states[last.stream_id], last)
                for says in broken(states, touched):
                    yield Fault("invariants", f"After position {event.position}, {says}")
                touched = {}
        for fault in self._recorded.end():
            yield fault
        for command_id, command in self._recorded.commands.items():
            if command_id not in self._recorded.of_others and command.type is not None:
                self.counts.recorded[command.type] += 1

    def _keep_content(self, state: object, last: RecordedEvent) -> None:
        """Of what a command leaves of a stream; `last` is the last event there."""
        kind = last.stream_id.partition("-")[0]
        body = RENDERINGS[kind].render(state, last.version, last.position, last.recorded_at)
        self._recorded.contents[last.stream_id, last.version] = content(kind, decode(body))

    def _histories(self, history: Iterable[Record]) -> Iterator[Fault]:
        log, claims, followers = self._recorded, Claims(), Followers(self._recorded)
        for record in history:
            match record:
                case Asked():
                    claims.ask(record)
                case Told():
                    claims.tell(record)
                case Began():
                    yield from followers.began(record)
                case Followed():
                    self.counts.followed += 1
                    yield from followers.got(record)
                case Read():
                    self.counts.reads += 1
                    self.counts.own_reads += record.min_position > 0
                    yield from read(record, log)
        yield from followers.ended(log.length if self._followed_to is None else self._followed_to)
        self.counts.commands = len(claims)
        yield from claims.check(log, self.counts.outcomes)
