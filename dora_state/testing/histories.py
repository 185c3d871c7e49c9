"""Logs, and the histories of clients that were told the truth about them, as hypothesis draws them.

The checker finds no fault in them, so what it finds in one that was forged is the forgery.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from hypothesis import strategies as st

from commands.handlers import HANDLERS
from commands.messages import Command
from commands.messages.agent import Heartbeat
from commands.work import Loaded, Needs, Work
from domain.all_events import CATALOGUE
from domain.errors import Refusal
from domain.log import RecordedEvent
from dora_state.testing.commands import any_command, busy_house
from dora_state.testing.contents import content, recorded_content
from dora_state.testing.history import Asked, Began, Followed, Read, Record, Told
from projections.documents import RENDERINGS
from projections.documents.values import decode

BEGINNING = datetime(2024, 1, 17, 10, tzinfo=UTC)
TICK = timedelta(microseconds=1)
"""From command to command at least, whatever the clock does."""
CLIENTS = st.sampled_from(["client-1", "client-2"])
HEARD = st.sampled_from(["told", "told", "told", "told twice", "asked again", "never told"])
"""What becomes of an answer on its way."""
NOTHING = Loaded[Any](0, None)


@dataclass
class Story:
    """A log, and what everybody wrote down who had to do with it."""

    events: list[RecordedEvent] = field(default_factory=list)
    history: list[Record] = field(default_factory=list)

    async def log(self) -> AsyncIterator[RecordedEvent]:
        """The events, as `Checker.check` takes them."""
        for event in self.events:
            yield event


@st.composite
def stories(draw: st.DrawFn, at_most: int = 20) -> Story:
    """A house at work, up to so many commands of any type, and then followers and readers of it all.

    Some answers come twice, late or never; some commands name the versions that they were decided on, or others and are
    told of a conflict. What looks into the past, as a rollback does, is left out.
    """
    teller = _Teller()
    for command in busy_house():
        teller.carry_out(command, draw(CLIENTS), "told")
    for _ in range(draw(st.integers(0, at_most))):
        teller.now += timedelta(seconds=draw(st.sampled_from([0, 1, 60, 600])))
        teller.carry_out(draw(any_command(teller.now)), draw(CLIENTS), draw(HEARD), draw(st.sampled_from([None, 0, 1])))
    teller.follow("follower-1", 0)
    teller.follow("follower-2", draw(st.sampled_from(teller.ends)))
    for _ in range(draw(st.integers(0, 3))):
        asked, shown = sorted([draw(st.sampled_from(teller.ends)), draw(st.sampled_from(teller.ends))])
        teller.read(asked, shown, told=draw(st.booleans()))
    return teller.story


class _Teller:
    """Decides commands by their handlers, and writes down what was asked, recorded and told."""

    def __init__(self) -> None:
        self.story = Story()
        self.now = BEGINNING
        self.ends = [0]
        """Where commands end in the log."""
        self._ids = 0
        self._there: dict[str, Loaded[Any]] = {}
        self._contents: dict[tuple[str, int], str] = {}

    def carry_out(self, command: Command, client: str, heard: str, wrong: int | None = None) -> None:
        """`wrong`: by how much the version is wrong that it names; None: it names none."""
        command_id = self._next_id()
        work = Work(lambda stream_id: self._there.get(stream_id, NOTHING), self.now, command_id)
        work.begin_again(active_workflows=0, end_of_log=self.ends[-1])
        if isinstance(command, Heartbeat):
            return
        try:
            HANDLERS[type(command)](work, command)
        except Needs:
            return
        except Refusal:
            outcome = "refused"
        else:
            outcome = "accepted" if work.events else "unchanged"
        named = {} if wrong is None else {command.stream_id: self._version(command.stream_id) + wrong}
        asked = Asked(client, str(command_id), command.type, named, actor=client)
        told = Told(client, str(command_id), "conflict" if wrong else outcome)
        if outcome == "accepted" and not wrong:
            self._record(command_id, command, work, client)
            versions = {stream_id: loaded.version for stream_id, loaded in work.left.items()}
            told = Told(client, str(command_id), outcome, versions, self.ends[-1])
        again: list[Record] = [asked, told] if heard == "asked again" else [told] if heard == "told twice" else []
        self.story.history += [asked, *([told] if heard.startswith("told") else []), *again]

    def follow(self, follower: str, after: int) -> None:
        self.story.history.append(Began(follower, after))
        self.story.history += [
            Followed(follower, event.position, str(event.event_id), recorded_content(event))
            for event in self.story.events[after:]
        ]

    def read(self, asked: int, shown: int, told: bool) -> None:
        """Everything as of a position; where the reader is not told which, it still knows what it asked for."""
        versions = dict.fromkeys(self._there, 0)
        versions |= {event.stream_id: event.version for event in self.story.events[:shown]}
        contents = {one: self._contents[one, version] for one, version in versions.items() if version}
        self.story.history.append(Read("reader", versions, shown if told else None, asked, contents))

    def _record(self, command_id: UUID, command: Command, work: Work, actor: str) -> None:
        metadata = orjson.dumps({"command_id": str(command_id), "command_type": command.type, "actor": actor})
        last = self.story.events[-1].recorded_at if self.story.events else BEGINNING - TICK
        at = max(self.now, last + TICK)
        for place, (key, event) in enumerate(work.events, start=1):
            self.story.events.append(
                RecordedEvent(
                    len(self.story.events) + 1,
                    self._next_id(),
                    key.stream_id,
                    sum(one.stream_id == key.stream_id for one in self.story.events) + 1,
                    event.type,
                    event.schema_version,
                    CATALOGUE.encode(event),
                    metadata,
                    at,
                    len(work.events) - place,
                )
            )
        self._there |= work.left
        places = {event.stream_id: event.position for event in self.story.events[self.ends[-1] :]}
        for stream_id, position in places.items():
            left, kind = work.left[stream_id], stream_id.partition("-")[0]
            body = RENDERINGS[kind].render(left.state, left.version, position, at)
            self._contents[stream_id, left.version] = content(kind, decode(body))
        self.ends.append(len(self.story.events))

    def _version(self, stream_id: str) -> int:
        return self._there.get(stream_id, NOTHING).version

    def _next_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)
