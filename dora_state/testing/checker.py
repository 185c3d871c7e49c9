"""Proves from what clients were told, and from the log, that nothing was lost, invented, doubled or put out of order.

The log is read once, from its beginning; memory is that of a digest for each version, and of the ids of its events and
commands.
"""

from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
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
from projections.documents import RENDERINGS
from projections.documents.values import decode

__all__ = ["PROMISES", "Checker", "Counts", "Fault"]


@dataclass(slots=True)
class Counts:
    """What was looked at."""

    events: int = 0
    commands: int = 0
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
        touched: dict[str, RecordedEvent] = {}
        async for event in events:
            self.counts.events += 1
            for fault in self._recorded.add(event):
                yield fault
            for says in forbidden(states, event):
                yield Fault("moves", f"At position {event.position}, {says}")
            try:
                states[event.stream_id] = FOLDER.step(event, states.get(event.stream_id))[1]
            except CorruptLog as error:
                yield Fault("invariants", error.message)
                continue
            touched[event.stream_id] = event
            if event.following == 0:
                self._keep_contents(states, touched.values())
                for says in broken(states, touched):
                    yield Fault("invariants", f"After position {event.position}, {says}")
                touched = {}
        for fault in self._recorded.end():
            yield fault

    def _keep_contents(self, states: Mapping[str, Any], last: Iterable[RecordedEvent]) -> None:
        """Of what a command leaves; `last` are the last events of its streams."""
        for event in last:
            kind = event.stream_id.partition("-")[0]
            body = RENDERINGS[kind].render(states[event.stream_id], event.version, event.position, event.recorded_at)
            self._recorded.contents[event.stream_id, event.version] = content(kind, decode(body))

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
