"""Proves from what clients were told, and from the log, that nothing was lost, invented, doubled or put out of order.

The log is read once, from its beginning; memory is that of its streams' versions and of its commands' ids.
"""

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from domain.errors import CorruptLog
from domain.folding import FOLDER
from domain.log import RecordedEvent
from dora_state.testing.history import FOR_GOOD, Asked, Followed, Read, Record, Told
from dora_state.testing.invariants import broken


@dataclass(frozen=True, slots=True)
class Fault:
    """What is not as promised: the name of the promise, and what is known, in a sentence."""

    promise: str
    says: str


PROMISES: Mapping[str, str] = {
    "lost": "A command that was acknowledged is in the log, as its answer says.",
    "twice": "A command is in the log once at most, and all answers to it are the same.",
    "invented": "Nothing of a command that was refused is in the log, and nothing that nobody asked for.",
    "positions": "Positions are contiguous from 1.",
    "versions": "Versions of each stream are contiguous from 1.",
    "times": "No event was recorded before the one in front of it.",
    "divided": "The events of a command stand together, and no read and no follower ends within them.",
    "expected": "A command that named versions was decided on these.",
    "followers": "Every follower saw every event once, in order.",
    "reads": "What was read was so at that moment.",
    "own_writes": "A read that asked for a position includes it.",
    "invariants": "What must hold between aggregates holds after every command.",
}


@dataclass(slots=True)
class Counts:
    """What was looked at."""

    events: int = 0
    commands: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of the commands of the histories, by what is known last; `unknown` where nothing was told."""
    followed: int = 0
    reads: int = 0


@dataclass(slots=True)
class _Command:
    """What the log has of a command."""

    first: int
    last: int
    versions: dict[str, int]
    before: dict[str, int]
    """The version of each stream that it wrote to, before it."""


class Checker:
    """One log and all histories over it. `others`: actors who write no history, such as a worker.

    Followers must have come to the end of the log, or to `followed_to` where they were let go before it.
    """

    def __init__(self, *, others: Container[str] = (), followed_to: int | None = None) -> None:
        self._others = others
        self._followed_to = followed_to
        self._of_others: set[str] = set()
        self._commands: dict[str, _Command] = {}
        self._positions: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._ends = array("q")
        self._ids: list[bytes] = []
        self.counts = Counts()

    async def check(self, events: AsyncIterator[RecordedEvent], history: Iterable[Record]) -> list[Fault]:
        """All that is not as promised; `history` is read once, after the log."""
        found = [fault async for fault in self._log(events)]
        return found + list(self._histories(history))

    # --- the log ------------------------------------------------------------------------------------------

    async def _log(self, events: AsyncIterator[RecordedEvent]) -> AsyncIterator[Fault]:
        last: RecordedEvent | None = None
        states: dict[str, Any] = {}
        touched: dict[str, None] = {}
        async for event in events:
            for fault in self._placed(event, last):
                yield fault
            last = event
            try:
                states[event.stream_id] = FOLDER.step(event, states.get(event.stream_id))[1]
            except CorruptLog as error:
                yield Fault("invariants", error.message)
                continue
            touched[event.stream_id] = None
            if event.following == 0:
                for says in broken(states, touched):
                    yield Fault("invariants", f"After position {event.position}, {says}")
                touched = {}
        if last is not None and last.following:
            yield Fault("divided", f"The log ends at position {last.position}, within a command.")

    def _placed(self, event: RecordedEvent, last: RecordedEvent | None) -> Iterator[Fault]:
        self.counts.events += 1
        position = event.position
        before = 0 if last is None else last.position
        if position != before + 1:
            yield Fault("positions", f"Position {before} is followed by {position}.")
        versions = self._positions[event.stream_id]
        if event.version != len(versions) + 1:
            yield Fault("versions", f"{event.stream_id} has version {event.version} after {len(versions)}.")
        versions.append(position)
        if last is not None and event.recorded_at < last.recorded_at:
            yield Fault("times", f"Position {position} was recorded at {event.recorded_at}, before {last.recorded_at}.")
        self._ids.append(event.event_id.bytes)
        yield from self._of_command(event, last)

    def _of_command(self, event: RecordedEvent, last: RecordedEvent | None) -> Iterator[Fault]:
        metadata = orjson.loads(event.metadata)
        command_id = str(metadata.get("command_id"))
        if metadata.get("actor") in self._others:
            self._of_others.add(command_id)
        begins = last is None or last.following == 0
        if not begins and last is not None and event.following != last.following - 1:
            yield Fault("divided", f"Position {event.position} says {event.following} follow, after {last.following}.")
        known = self._commands.get(command_id)
        if begins and known is not None:
            yield Fault("twice", f"Command {command_id} is at position {known.first} and again at {event.position}.")
        if not begins and (known is None or known.last != event.position - 1):
            yield Fault("divided", f"Position {event.position} is of another command than those it follows.")
        if known is None:
            known = self._commands[command_id] = _Command(event.position, event.position, {}, {})
        known.last = event.position
        known.before.setdefault(event.stream_id, event.version - 1)
        known.versions[event.stream_id] = event.version
        if event.following == 0:
            self._ends.append(event.position)

    # --- the histories ------------------------------------------------------------------------------------

    def _histories(self, history: Iterable[Record]) -> Iterator[Fault]:
        asked: dict[str, Asked] = {}
        told: dict[str, list[Told]] = defaultdict(list)
        followers: dict[str, int] = {}
        for record in history:
            match record:
                case Asked():
                    asked.setdefault(record.command_id, record)
                case Told():
                    told[record.command_id].append(record)
                case Followed():
                    yield from self._followed(record, followers)
                case Read():
                    self.counts.reads += 1
                    yield from self._read(record)
        yield from self._followers_ended(followers)
        self.counts.commands = len(asked)
        for command in asked.values():
            yield from self._answered(command, told.pop(command.command_id, []))
        for command_id in told:
            yield Fault("invented", f"Command {command_id} was answered, and nobody had asked.")
        for command_id in self._commands.keys() - asked.keys() - self._of_others:
            yield Fault("invented", f"Command {command_id} is in the log, and nobody had asked.")

    def _answered(self, command: Asked, told: list[Told]) -> Iterator[Fault]:
        command_id, there = command.command_id, self._commands.get(command.command_id)
        final = [one for one in told if one.outcome in FOR_GOOD]
        self.counts.outcomes[final[-1].outcome if final else told[-1].outcome if told else "unknown"] += 1
        if len({(one.outcome, one.position, tuple(sorted(one.versions.items()))) for one in final}) > 1:
            outcomes = ", ".join(f"{one.outcome} at {one.position}" for one in final)
            yield Fault("twice", f"Command {command_id} was answered in different ways: {outcomes}.")
        if there is None:
            if any(one.outcome == "accepted" for one in final):
                yield Fault("lost", f"Command {command_id} ({command.type}) was accepted and is not in the log.")
            return
        for one in final:
            if one.outcome != "accepted":
                yield Fault("invented", f"Command {command_id} was answered {one.outcome}, and is at {there.first}.")
            elif (one.position, dict(one.versions)) != (there.last, there.versions):
                says = f"Command {command_id} was told {one.position} and {dict(one.versions)}"
                yield Fault("lost", f"{says}, and the log has {there.last} and {there.versions}.")
        yield from self._expected(command, there)

    def _expected(self, command: Asked, there: _Command) -> Iterator[Fault]:
        for stream_id, version in command.expected.items():
            actual = there.before.get(stream_id, self._version_at(stream_id, there.first - 1))
            if actual != version:
                says = f"Command {command.command_id} expected {stream_id} at {version}"
                yield Fault("expected", f"{says}, and was recorded at {actual}.")

    def _followed(self, record: Followed, followers: dict[str, int]) -> Iterator[Fault]:
        self.counts.followed += 1
        before = followers.setdefault(record.follower, record.begun_after)
        if record.position != before + 1:
            yield Fault("followers", f"{record.follower} got position {record.position} after {before}.")
        followers[record.follower] = record.position
        known = self._ids[record.position - 1] if 0 < record.position <= len(self._ids) else None
        if known is None or known.hex() != record.event_id.replace("-", ""):
            yield Fault("followers", f"{record.follower} got another event at {record.position} than the log has.")

    def _followers_ended(self, followers: Mapping[str, int]) -> Iterator[Fault]:
        for follower, position in followers.items():
            end = len(self._ids) if self._followed_to is None else self._followed_to
            if position < end:
                yield Fault("followers", f"{follower} came to position {position} of {end}.")

    def _read(self, record: Read) -> Iterator[Fault]:
        if record.as_of is None:
            yield from self._read_streams(record)
            return
        if record.as_of and not self._is_end(record.as_of):
            yield Fault("divided", f"{record.reader} was shown position {record.as_of}, which is within a command.")
        if record.as_of < record.min_position:
            says = f"{record.reader} asked for position {record.min_position}"
            yield Fault("own_writes", f"{says} and was shown {record.as_of}.")
        for stream_id, version in record.versions.items():
            actual = self._version_at(stream_id, record.as_of)
            if version != actual:
                says = f"{record.reader} was shown {stream_id} at version {version} as of position {record.as_of}"
                yield Fault("reads", f"{says}, where it was at {actual}.")

    def _read_streams(self, record: Read) -> Iterator[Fault]:
        """Where the moment is not known, a version must have been there, and be no earlier than was asked for."""
        for stream_id, version in record.versions.items():
            if version > len(self._positions.get(stream_id, ())):
                yield Fault("reads", f"{record.reader} was shown {stream_id} at {version}, which never was.")
            least = self._version_at(stream_id, record.min_position)
            if version < least:
                says = f"{record.reader} asked for position {record.min_position}"
                yield Fault("own_writes", f"{says} and was shown {stream_id} at version {version}, not {least}.")

    def _version_at(self, stream_id: str, position: int) -> int:
        return bisect_right(self._positions.get(stream_id, _NOTHING), position)

    def _is_end(self, position: int) -> bool:
        place = bisect_right(self._ends, position)
        return place > 0 and self._ends[place - 1] == position


_NOTHING: "array[int]" = array("q")
