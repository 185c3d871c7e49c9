"""The log in memory: a second adapter of the port, which the contract suite holds to the first one's promises.

It is no mock: versions, command ids, whole commands and cuts are checked as PostgreSQL checks them.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.errors import AppendRejected, InvalidInput, LogError
from domain.log import (
    BATCH_BYTES,
    NOW,
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
    place_of,
)
from domain.snapshots import Snapshot, Stamp

TICK = timedelta(microseconds=1)
STRETCH = 100


class MemoryEventLog:
    """One tenant's log. Set `outage` to have every call fail with it; `appends` counts the calls that wrote."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.events: list[RecordedEvent] = []
        self.commands: dict[UUID, AlreadyRecorded] = {}
        self.snapshots: dict[tuple[str, Stamp | None], list[Snapshot]] = {}
        self.outage: LogError | None = None
        self.appends = 0
        self._clock = clock
        self._last = datetime.min.replace(tzinfo=UTC)
        self._streams: dict[str, list[RecordedEvent]] = {}

    async def head(self) -> Head:
        self._reach()
        last = self.events[-1] if self.events else None
        return Head(last.position, last.recorded_at) if last else Head(0, None)

    async def position_at(self, at: datetime) -> int:
        self._reach()
        return sum(event.recorded_at <= at for event in self.events)

    async def whole_command(self, position: int) -> Head:
        self._reach()
        whole = [event for event in self.events[: max(position, 0)] if event.following == 0]
        return Head(whole[-1].position, whole[-1].recorded_at) if whole else Head(0, None)

    async def stream_versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        return {stream_id: version for stream_id in stream_ids if (version := await self.stream_version(stream_id))}

    async def stream_version(self, stream_id: str) -> int:
        self._reach()
        return self._version(stream_id)

    async def stream_began(self, stream_id: str) -> datetime | None:
        self._reach()
        return self._streams[stream_id][0].recorded_at if stream_id in self._streams else None

    async def archived_streams(self, stream_ids: Sequence[str]) -> set[str]:
        self._reach()
        return set()

    async def moved_after(self, position: int, *, at_most: int) -> tuple[int, dict[str, int]]:
        self._reach()
        first = max(position, len(self.events) - at_most, 0)
        return len(self.events), {event.stream_id: event.version for event in self.events[first:]}

    async def streams_after(self, stream_id: str, limit: int) -> list[str]:
        self._reach()
        return sorted((one for one in self._streams if one.encode() > stream_id.encode()), key=str.encode)[:limit]

    async def moved_between(self, after: int, until: int, stream_id: str, limit: int) -> list[Moved]:
        self._reach()
        versions: dict[str, list[int]] = {}
        for event in self.events[max(after, 0) : until]:
            versions.setdefault(event.stream_id, []).append(event.version)
        beyond = sorted((one for one in versions if one.encode() > stream_id.encode()), key=str.encode)
        return [Moved(one, versions[one][0], versions[one][-1]) for one in beyond[:limit]]

    async def read_stream(
        self,
        stream_id: str,
        *,
        after_version: int = 0,
        cut: Cut = NOW,
        backwards: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        self._reach()
        found = [event for event in self._up_to(stream_id, cut) if event.version > after_version]
        for event in (found[::-1] if backwards else found)[:limit]:
            yield event

    async def read_streams(
        self,
        stream_ids: Sequence[str],
        *,
        after: Mapping[str, int] | None = None,
        up_to_position: int | None = None,
    ) -> dict[str, list[RecordedEvent]]:
        self._reach()
        cut = Cut(position=up_to_position)
        versions = after or {}
        return {
            stream_id: [e for e in self._up_to(stream_id, cut) if e.version > versions.get(stream_id, 0)]
            for stream_id in stream_ids
        }

    async def read_stretches(
        self, stream_id: str, *, stamp: Stamp | None = None, after_version: int = 0, cut: Cut = NOW
    ) -> AsyncGenerator[Stretch]:
        self._reach()
        whole = self._stretch(stream_id, stamp, after_version, cut)
        if whole.last is None or not whole.events:
            yield whole
            return
        places = {event.version: place_of(event) for event in self._streams[stream_id]}
        before = whole.last.version - len(whole.events)
        for first in range(0, len(whole.events), STRETCH):
            events = whole.events[first : first + STRETCH]
            yield Stretch(None if first else whole.snapshot, events, places[before + first + len(events)])

    async def read_folds(self, requests: Sequence[FoldRequest], *, up_to_position: int | None = None) -> list[Stretch]:
        self._reach()
        return [
            self._stretch(one.stream_id, one.stamp, one.after_version, Cut(one.until_version, None, up_to_position))
            for one in requests
        ]

    def _stretch(self, stream_id: str, stamp: Stamp | None, after_version: int, cut: Cut) -> Stretch:
        recorded = [event for event in self._up_to(stream_id, cut) if event.version > after_version]
        versions = {event.version for event in recorded}
        below = [one for one in self.snapshots.get((stream_id, stamp), ()) if one.place.version in versions]
        snapshot = max(below, key=lambda one: one.place.version, default=None)
        if snapshot is not None:
            recorded = [event for event in recorded if event.version > snapshot.place.version]
        last = place_of(recorded[-1]) if recorded else snapshot.place if snapshot else None
        return Stretch(snapshot, [(event.type, event.schema_version, event.data) for event in recorded], last)

    async def read_log(
        self, *, after_position: int, limit: int, only: LogFilter | None = None, until_position: int | None = None
    ) -> list[RecordedEvent]:
        self._reach()
        if limit < 1:
            raise InvalidInput("A batch of the log has at least one event: give a limit of 1 or more.", limit=limit)
        batch: list[RecordedEvent] = []
        whole = size = 0
        for event in self.events[max(after_position, 0) : until_position]:
            if not _wanted(event, only):
                continue
            if (len(batch) >= limit or size >= BATCH_BYTES) and event.position > whole:
                break
            batch.append(event)
            whole = event.position + event.following
            size += len(event.data) + len(event.metadata)
        return batch

    async def positions_of(self, stream_ids: Sequence[str], *, after: int, until: int) -> Sequence[int]:
        self._reach()
        found = [event for stream_id in set(stream_ids) for event in self._up_to(stream_id, Cut(position=until))]
        return sorted(event.position for event in found if event.position > after)

    async def read_commands(self, positions: Sequence[int]) -> list[RecordedEvent]:
        self._reach()
        wanted = set(positions)
        commands: list[RecordedEvent] = []
        command: list[RecordedEvent] = []
        for event in self.events:
            command.append(event)
            if event.following == 0:
                commands += command if wanted & {one.position for one in command} else []
                command = []
        return commands

    async def find_command(self, command_id: UUID) -> AlreadyRecorded | None:
        self._reach()
        return self.commands.get(command_id)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator["MemoryEventLog"]:
        self._reach()
        yield self

    async def append(self, commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        self._reach()
        for command in commands:
            _require_well_formed(command)
        self.appends += 1
        failed: dict[UUID, Conflicted] = {}
        missing: dict[str, int] = {}
        outcomes: list[AppendOutcome] = []
        known_before = {command.command_id for command in commands if command.command_id in self.commands}
        seen: set[UUID] = set()
        for command in commands:
            outcome = self._append_one(command, failed, missing)
            first = command.command_id not in seen  # one that comes again in the group has no say
            seen.add(command.command_id)
            if first and (isinstance(outcome, Conflicted) or command.command_id in known_before):
                for stream_id in {event.stream_id for event in command.events}:
                    base = command.expected[stream_id]
                    missing[stream_id] = min(base, missing.get(stream_id, base))
            outcomes.append(outcome)
        return outcomes

    def _append_one(
        self, command: CommandAppend, failed: dict[UUID, Conflicted], missing: dict[str, int]
    ) -> AppendOutcome:
        """`missing`: by stream, the version on which a command before would have built, and did not.

        Whoever expects a later one was decided on what that command would have left; that another process has
        brought the stream to the same version meanwhile makes it no better.
        """
        known = self.commands.get(command.command_id)
        if known is not None:
            return known
        if command.command_id in failed:
            return failed[command.command_id]
        for stream_id, expected in command.expected.items():
            actual = self._version(stream_id)
            if expected != actual or expected > missing.get(stream_id, expected):
                conflict = Conflicted(stream_id, expected, actual)
                failed[command.command_id] = conflict
                return conflict
        self._last = recorded_at = max(self._clock(), self._last + TICK)
        first = len(self.events) + 1
        for place, event in enumerate(command.events, start=1):
            recorded = RecordedEvent(
                position=len(self.events) + 1,
                event_id=UUID(bytes=event.event_id.bytes),
                stream_id=event.stream_id,
                version=self._version(event.stream_id) + 1,
                type=event.type,
                schema_version=event.schema_version,
                data=event.data,
                metadata=event.metadata,
                recorded_at=recorded_at,
                following=len(command.events) - place,
            )
            self.put_as_it_is(recorded)
        positions = (first, len(self.events)) if command.events else (None, None)
        self.commands[command.command_id] = AlreadyRecorded(command.answer, recorded_at, *positions)
        return Appended(recorded_at, *positions)

    def put_as_it_is(self, event: RecordedEvent) -> None:
        """As an event of another log that goes on here: in order, and not checked."""
        self.events.append(event)
        self._streams.setdefault(event.stream_id, []).append(event)

    def _version(self, stream_id: str) -> int:
        return len(self._streams.get(stream_id, ()))

    def _up_to(self, stream_id: str, cut: Cut) -> Iterator[RecordedEvent]:
        for event in self._streams.get(stream_id, ()):
            if (
                (cut.version is None or event.version <= cut.version)
                and (cut.at is None or event.recorded_at <= cut.at)
                and (cut.position is None or event.position + event.following <= cut.position)
            ):
                yield event

    def _reach(self) -> None:
        if self.outage is not None:
            raise self.outage


def _wanted(event: RecordedEvent, only: LogFilter | None) -> bool:
    if only is None:
        return True
    category = event.stream_id.partition("-")[0]
    if only.correlation_id is not None and json.loads(event.metadata).get("correlation_id") != only.correlation_id:
        return False
    return (not only.categories or category in only.categories) and (not only.types or event.type in only.types)


def _require_well_formed(command: CommandAppend) -> None:
    if command.recorded_at is not None:
        raise AppendRejected("An import says recorded_at for each command, and nobody else does.")
    for stream_id in command.expected:
        category, dash, name = stream_id.partition("-")
        if not (category and dash and name) or not stream_id.isprintable():
            raise AppendRejected(f"{stream_id[:80]!r} is no id of a stream: use category-id.", stream_id=stream_id)
    for event in command.events:
        if event.stream_id not in command.expected:
            raise AppendRejected(
                f"Command {command.command_id} writes {event.stream_id!r} without an expected version: name one.",
                stream_id=event.stream_id,
            )
