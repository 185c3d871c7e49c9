"""The log as it is read: its order is held to what is promised, and what it has is kept to hold histories against."""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from domain.log import RecordedEvent
from domain.system import LogImportBegun, LogImportEnded
from dora_state.testing.contents import recorded_content
from dora_state.testing.promises import Fault


@dataclass(slots=True)
class RecordedCommand:
    """What the log has of a command."""

    type: str | None
    actor: str | None
    first: int
    last: int = 0
    versions: dict[str, int] = field(default_factory=dict)


class Recorded:
    """Memory is that of all versions' contents and of all ids. `others` are actors who write no history."""

    def __init__(self, others: Container[str]) -> None:
        self._others = others
        self._last: RecordedEvent | None = None
        self._positions: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._ends = array("q")
        self._ids: list[bytes] = []
        self._known: set[bytes] = set()
        """The same, to be found."""
        self._event_contents: list[str | None] = []
        """None where it is none."""
        self._said: dict[str, Any] = {}
        """Metadata of the command that is read."""
        self._importing = False
        self.commands: dict[str, RecordedCommand] = {}
        self.of_others: set[str] = set()
        """Ids of commands that these gave."""
        self.contents: dict[tuple[str, int], str] = {}
        """Of the document of a stream at a version, where a command ended with it."""

    # --- as it is read ------------------------------------------------------------------------------------

    def add(self, event: RecordedEvent) -> Iterator[Fault]:
        """The next event of the log; what is wrong with its place."""
        last, self._last = self._last, event
        position = event.position
        before = 0 if last is None else last.position
        if position != before + 1:
            yield Fault("positions", f"Position {before} is followed by {position}.")
        versions = self._positions[event.stream_id]
        if event.version != len(versions) + 1:
            yield Fault("versions", f"{event.stream_id} has version {event.version} after {len(versions)}.")
        versions.append(position)
        if event.following == 0:
            self._ends.append(position)
        yield from self._of_time(event, last)
        yield from self._of_id(event)
        self._event_contents.append(_content(event))
        yield from self._of_command(event, last)

    def end(self) -> Iterator[Fault]:
        """There are no more."""
        if self._last is not None and self._last.following:
            yield Fault("divided", f"The log ends at position {self._last.position}, within a command.")

    def _of_time(self, event: RecordedEvent, last: RecordedEvent | None) -> Iterator[Fault]:
        """An import is the beginning of a log, and says its times itself: they may stand still."""
        if last is None:
            self._importing = event.type == LogImportBegun.type
            return
        says = f"Position {event.position} was recorded at {event.recorded_at}"
        if event.recorded_at < last.recorded_at:
            yield Fault("times", f"{says}, before {last.recorded_at}.")
        elif last.following and event.recorded_at > last.recorded_at:
            yield Fault("times", f"{says}, and its command at {last.recorded_at}.")
        elif not last.following and event.recorded_at == last.recorded_at and not self._importing:
            yield Fault("times", f"{says}, as the command before it.")
        if event.type == LogImportEnded.type:
            self._importing = False

    def _of_id(self, event: RecordedEvent) -> Iterator[Fault]:
        id = event.event_id.bytes
        if id in self._known:
            before = self._ids.index(id) + 1
            yield Fault("twice", f"Event {event.event_id} is at position {before} and again at {event.position}.")
        self._ids.append(id)
        self._known.add(id)

    def _of_command(self, event: RecordedEvent, last: RecordedEvent | None) -> Iterator[Fault]:
        begins = last is None or last.following == 0
        if not begins and last is not None and event.following != last.following - 1:
            yield Fault("divided", f"Position {event.position} says {event.following} follow, after {last.following}.")
        metadata = _object(event.metadata)
        metadata.pop("step", None)  # which command of a transaction it is of
        command_id, type, actor = (_text(metadata, name) for name in ("command_id", "command_type", "actor"))
        if command_id is None:
            yield Fault("invented", f"The metadata of position {event.position} names no command.")
            return
        if type is None or actor is None:
            yield Fault("invented", f"The metadata of position {event.position} names no type of command or no actor.")
        if not begins and metadata != self._said:
            yield Fault(
                "divided", f"Position {event.position} has other metadata than what it follows, of one command."
            )
        self._said = metadata
        if actor is not None and actor in self._others:
            self.of_others.add(command_id)
        known = self.commands.get(command_id)
        if begins and known is not None:
            yield Fault("twice", f"Command {command_id} is at position {known.first} and again at {event.position}.")
        if not begins and (known is None or known.last != event.position - 1):
            yield Fault("divided", f"Position {event.position} is of another command than those it follows.")
        if known is None:
            known = self.commands[command_id] = RecordedCommand(type, actor, event.position)
        known.last = event.position
        known.versions[event.stream_id] = event.version

    # --- what it has --------------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        return len(self._ids)

    def is_event(self, position: int, event_id: str, content: str) -> bool:
        """`content`: what it says; empty where that is not known."""
        return (
            0 < position <= len(self._ids)
            and self._ids[position - 1].hex() == event_id.replace("-", "")
            and content in ("", self._event_contents[position - 1])
        )

    def version_at(self, stream_id: str, position: int) -> int:
        return bisect_right(self._positions.get(stream_id, _NOTHING), position)

    def last_version(self, stream_id: str) -> int:
        return len(self._positions.get(stream_id, _NOTHING))

    def is_end(self, position: int) -> bool:
        """Of a command."""
        place = bisect_left(self._ends, position)
        return place < len(self._ends) and self._ends[place] == position

    def span(self, versions: Mapping[str, int]) -> range:
        """The positions at which all of these streams were at these versions; none where they never were together."""
        begin, end = 0, self.length + 1
        for stream_id, version in versions.items():
            positions = self._positions.get(stream_id, _NOTHING)
            if not 0 <= version <= len(positions):
                return range(0)
            begin = max(begin, positions[version - 1] if version else 0)
            end = min(end, positions[version] if version < len(positions) else end)
        return range(begin, end)

    def was(self, versions: Mapping[str, int], since: int, until: int) -> bool:
        """Whether all of these streams were at these versions at one moment between two commands, at one of these
        positions.
        """
        span = self.span(versions)
        span = range(max(span.start, since), min(span.stop, until + 1))
        if 0 in span:
            return True
        place = bisect_left(self._ends, span.start)
        return place < len(self._ends) and self._ends[place] in span

    def has_been(self, versions: Mapping[str, int], since: int, until: int) -> bool:
        """Whether all of these streams were at these versions from one position to another."""
        span = self.span(versions)
        return span.start <= since <= until < span.stop


def _text(metadata: Mapping[str, Any], name: str) -> str | None:
    said = metadata.get(name)
    return said if isinstance(said, str) else None


def _content(event: RecordedEvent) -> str | None:
    """None where it is none."""
    try:
        return recorded_content(event)
    except ValueError:
        return None


def _object(data: bytes) -> dict[str, Any]:
    """Of JSON; an empty one for whatever is none."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


_NOTHING: "array[int]" = array("q")
