"""What the log promises, in lists and a dictionary: no pages, no locks, no months. It shares no code with any log.

It does not guess the time of a recording: it is told the outcomes of an append, holds them against what they may
be, and goes on with the times that they name.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from json import loads
from uuid import UUID

from domain.log import (
    AlreadyRecorded,
    Appended,
    AppendOutcome,
    CommandAppend,
    Conflicted,
    Cut,
    FoldRequest,
    Head,
    LogFilter,
    Moved,
    RecordedEvent,
    Stretch,
)
from domain.snapshots import Place, Snapshot, Stamp, TakenSnapshot

MICROSECOND = timedelta(microseconds=1)
CLOCK_BOUND = timedelta(seconds=60)


class LogModel:
    """Events in order, answers by command id, snapshots as they were taken."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.answers: dict[UUID, AlreadyRecorded] = {}
        self.snapshots: list[TakenSnapshot] = []

    def copy(self) -> "LogModel":
        other = copy(self)
        other.events, other.answers, other.snapshots = [*self.events], {**self.answers}, [*self.snapshots]
        return other

    # --- appends --------------------------------------------------------------------------------------------

    def too_late(self, clock: datetime) -> bool:
        """The log's end lies so far ahead of the clock that nothing may be appended."""
        return bool(self.events) and self.events[-1].recorded_at > clock + CLOCK_BOUND

    def append(
        self, group: Sequence[CommandAppend], told: Sequence[AppendOutcome], clock: datetime, importing: bool = False
    ) -> None:
        """Raises AssertionError where the outcomes are not what they must be."""
        assert len(told) == len(group)
        latest = max([clock, *(one.recorded_at for one in self.answers.values())]) + len(group) * MICROSECOND
        first: dict[UUID, AppendOutcome] = {}
        built: dict[str, int] = {}  # by stream: on which version one built that was not recorded just now
        for command, outcome in zip(group, told, strict=True):
            if command.command_id in first:
                before = first[command.command_id]
                again = self.answers[command.command_id] if isinstance(before, Appended) else before
                assert outcome == again, (command, outcome, again)
                continue
            first[command.command_id] = outcome
            known = self.answers.get(command.command_id)
            stands = known or self._conflict(command, built)
            if stands is None:
                assert isinstance(outcome, Appended), (command, outcome)
                self._check_time(command, outcome, clock, latest, importing)
                self._record(command, outcome)
                continue
            assert outcome == stands, (command, outcome, stands)
            if not (known and importing):
                for event in command.events:
                    base = command.expected[event.stream_id]
                    built[event.stream_id] = min(base, built.get(event.stream_id, base))

    def _conflict(self, command: CommandAppend, built: Mapping[str, int]) -> Conflicted | None:
        for stream_id, expected in command.expected.items():
            actual = self.version(stream_id)
            if expected != actual or expected > built.get(stream_id, expected):
                return Conflicted(stream_id, expected, actual)
        return None

    def _check_time(
        self, command: CommandAppend, outcome: Appended, clock: datetime, latest: datetime, importing: bool
    ) -> None:
        at = outcome.recorded_at
        if importing:
            assert at == command.recorded_at
        else:
            assert clock <= at <= latest, (clock, at, latest)
            assert not self.events or at > self.events[-1].recorded_at

    def _record(self, command: CommandAppend, outcome: Appended) -> None:
        first = len(self.events) + 1
        following = len(command.events)
        for event in command.events:
            following -= 1
            self.events.append(
                RecordedEvent(
                    len(self.events) + 1,
                    UUID(bytes=event.event_id.bytes),
                    event.stream_id,
                    self.version(event.stream_id) + 1,
                    event.type,
                    event.schema_version,
                    event.data,
                    event.metadata,
                    outcome.recorded_at,
                    following,
                )
            )
        places = (first, len(self.events)) if command.events else (None, None)
        assert (outcome.first_position, outcome.last_position) == places, (outcome, places)
        self.answers[command.command_id] = AlreadyRecorded(command.answer, outcome.recorded_at, *places)

    # --- streams --------------------------------------------------------------------------------------------

    def version(self, stream_id: str) -> int:
        return len(self.stream(stream_id))

    def stream(self, stream_id: str, cut: Cut | None = None, after: int = 0) -> list[RecordedEvent]:
        mine = [event for event in self.events if event.stream_id == stream_id and event.version > after]
        return mine if cut is None else [event for event in mine if within(event, cut)]

    def streams(self) -> list[str]:
        return by_bytes({event.stream_id for event in self.events})

    def fold(self, request: FoldRequest, cut: Cut) -> Stretch:
        """From the nearest snapshot on, if there is one within the cut and after the version asked for."""
        events = self.stream(request.stream_id, cut, request.after_version)
        versions = [event.version for event in events]
        nearest: Snapshot | None = None
        for one in self.snapshots:
            at = one.snapshot.place.version
            if (one.stream_id, one.stamp) == (request.stream_id, request.stamp) and at in versions:
                nearest = one.snapshot if nearest is None or at > nearest.place.version else nearest
        last = place(events[-1]) if events else None
        if nearest is not None:
            events = [event for event in events if event.version > nearest.place.version]
        return Stretch(nearest, [(event.type, event.schema_version, event.data) for event in events], last)

    # --- the log --------------------------------------------------------------------------------------------

    def head(self, position: int | None = None) -> Head:
        """The end of the last command that is whole at a position."""
        whole = [e for e in self.events if position is None or e.position + e.following <= position]
        return Head(whole[-1].position, whole[-1].recorded_at) if whole else Head(0, None)

    def position_at(self, at: datetime) -> int:
        return max([0, *(event.position for event in self.events if event.recorded_at <= at)])

    def batch(self, after: int, limit: int, only: LogFilter | None, until: int | None) -> list[RecordedEvent]:
        end = len(self.events) if until is None else until
        found = [e for e in self.events if after < e.position <= end and wanted(e, only or LogFilter())]
        last = found[:limit][-1:]
        return [e for n, e in enumerate(found) if n < limit or e.position <= last[0].position + last[0].following]

    def moved_after(self, position: int, at_most: int) -> tuple[int, dict[str, int]]:
        moved = self.events[max(position, len(self.events) - at_most) :]
        return len(self.events), {event.stream_id: event.version for event in moved}

    def moved_between(self, after: int, until: int, beyond: str, limit: int) -> list[Moved]:
        moved: dict[str, list[int]] = {}
        for event in self.events[after:until]:
            moved.setdefault(event.stream_id, []).append(event.version)
        ids = [stream_id for stream_id in by_bytes(moved) if stream_id.encode() > beyond.encode()]
        return [Moved(stream_id, min(moved[stream_id]), max(moved[stream_id])) for stream_id in ids[:limit]]

    def positions_of(self, stream_ids: Sequence[str], after: int, until: int) -> list[int]:
        cut = Cut(position=until)
        return [e.position for e in self.events if e.stream_id in stream_ids and e.position > after and within(e, cut)]

    def commands_at(self, positions: Sequence[int]) -> list[RecordedEvent]:
        ends = {self.events[position - 1].position + self.events[position - 1].following for position in positions}
        return [event for event in self.events if event.position + event.following in ends]


def within(event: RecordedEvent, cut: Cut) -> bool:
    return (
        (cut.version is None or event.version <= cut.version)
        and (cut.at is None or event.recorded_at <= cut.at)
        and (cut.position is None or event.position + event.following <= cut.position)
    )


def wanted(event: RecordedEvent, only: LogFilter) -> bool:
    return (
        (not only.categories or event.stream_id.split("-")[0] in only.categories)
        and (not only.types or event.type in only.types)
        and (only.correlation_id is None or loads(event.metadata).get("correlation_id") == only.correlation_id)
    )


def place(event: RecordedEvent) -> Place:
    return Place(event.version, event.position, event.following, event.recorded_at)


def by_bytes(stream_ids: Iterable[str]) -> list[str]:
    return sorted(stream_ids, key=lambda stream_id: stream_id.encode())


def taken(event: RecordedEvent, stamp: Stamp) -> TakenSnapshot:
    """A snapshot after an event; its state is nothing but where it is."""
    state = f'{{"after":{event.position}}}'.encode()
    return TakenSnapshot(event.stream_id, stamp, Snapshot(place(event), state))
