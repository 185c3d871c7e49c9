"""A group of commands in the form that the SQL function `append` takes, and its rows as outcomes."""

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from domain.errors import AppendRejected
from domain.log import (
    MAX_EVENT_BYTES,
    AlreadyRecorded,
    Appended,
    AppendOutcome,
    CommandAppend,
    Conflicted,
    Identifier,
    LockedOut,
)
from infrastructure.event_store.arrays import (
    ByteaArray,
    Int4Array,
    Int8Array,
    Packed,
    TextArray,
    TimestamptzArray,
    UuidArray,
)

MAX_STREAM_ID_LENGTH = 512
_STREAM_ID = re.compile(r"[^-\x00-\x1f\x7f-\x9f\ud800-\udfff]+-[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_TYPE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

# As append says: (command, outcome, recorded_at, first and last position, answer, stream_id, expected, actual).
OutcomeRow = tuple[Any, ...]
_NEVER = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=4096)
def _is_type(name: str) -> bool:
    return bool(_TYPE.fullmatch(name))


@dataclass(slots=True)
class Group:
    """The arrays of one call. Streams, claims and events refer to each other by place, from 1."""

    command_ids: list[UUID] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    command_lasts: list[int] = field(default_factory=list)
    recorded_at: list[datetime | None] = field(default_factory=list)
    streams: dict[str, int] = field(default_factory=dict)
    claim_commands: list[int] = field(default_factory=list)
    claim_streams: list[int] = field(default_factory=list)
    claim_expected: list[int] = field(default_factory=list)
    claim_counts: list[int] = field(default_factory=list)
    event_claims: list[int] = field(default_factory=list)
    event_ids: list[Identifier] = field(default_factory=list)
    event_types: list[str] = field(default_factory=list)
    event_schema_versions: list[int] = field(default_factory=list)
    event_data: list[bytes] = field(default_factory=list)
    event_metadata: list[bytes] = field(default_factory=list)
    token_commands: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def add(self, command: CommandAppend) -> None:
        """Add a command whose id is not in the group. Raises AppendRejected when it is not well-formed."""
        self.command_ids.append(command.command_id)
        self.answers.append(command.answer)
        self.recorded_at.append(command.recorded_at)
        claims = {stream_id: self._claim(stream_id, expected) for stream_id, expected in command.expected.items()}
        for event in command.events:
            claim = claims.get(event.stream_id)
            if claim is None:
                raise AppendRejected(
                    f"Command {command.command_id} writes {event.stream_id!r} without an expected version: name one.",
                    command_id=command.command_id,
                    stream_id=event.stream_id,
                )
            if not _is_type(event.type):
                raise AppendRejected(
                    f"{event.type!r} is no type of an event: use text without control characters.",
                    command_id=command.command_id,
                    type=event.type,
                )
            size = len(event.data) + len(event.metadata)
            if size > MAX_EVENT_BYTES:
                raise AppendRejected(
                    f"An event {event.type} of {event.stream_id} has {size:,} bytes, and the log takes "
                    f"{MAX_EVENT_BYTES:,} at most: keep the large part elsewhere, and record where.",
                    stream_id=event.stream_id,
                    type=event.type,
                    bytes=size,
                )
            self.claim_counts[claim - 1] += 1
            self.event_claims.append(claim)
            self.event_ids.append(event.event_id)
            self.event_types.append(event.type)
            self.event_schema_versions.append(event.schema_version)
            self.event_data.append(event.data)
            self.event_metadata.append(event.metadata)
        self.command_lasts.append(len(self.event_ids))
        for token in command.tokens:
            self.token_commands.append(len(self.command_ids))
            self.tokens.append(token)

    def _claim(self, stream_id: str, expected: int) -> int:
        if stream_id not in self.streams:
            # One that is expected to exist was looked at when it was made.
            if expected <= 0 and (len(stream_id) > MAX_STREAM_ID_LENGTH or not _STREAM_ID.fullmatch(stream_id)):
                raise AppendRejected(
                    f"{stream_id[:80]!r} is no id of a stream: use category-id, at most {MAX_STREAM_ID_LENGTH}"
                    " characters, no control characters.",
                    stream_id=stream_id,
                )
            self.streams[stream_id] = len(self.streams) + 1
        self.claim_commands.append(len(self.command_ids))
        self.claim_streams.append(self.streams[stream_id])
        self.claim_expected.append(expected)
        self.claim_counts.append(0)
        return len(self.claim_commands)

    def packed(self, import_id: UUID | None) -> list[bytes | None]:
        """The arguments of the query `append` in binary form. Raises AppendRejected as `arguments` does."""
        with _within_range():
            packed = [None if values is None else array.pack(values) for array, values in self._arrays(import_id)]
            tokens = [array.pack(values) if values else None for array, values in self._tokens()]
        return [*packed, None if import_id is None else import_id.bytes, *tokens]

    def arguments(self, import_id: UUID | None) -> tuple[object, ...]:
        """The arguments of the query `append`. Raises AppendRejected when recorded_at and the mode disagree."""
        with _within_range():
            packed = [None if values is None else array(values) for array, values in self._arrays(import_id)]
            tokens = [array(values) if values else None for array, values in self._tokens()]
        return (*packed, import_id, *tokens)

    def _tokens(self) -> tuple[tuple[type[Packed], Sequence[int]], ...]:
        return (Int4Array, self.token_commands), (Int8Array, self.tokens)

    def _arrays(self, import_id: UUID | None) -> tuple[tuple[type[Packed], Sequence[Any] | None], ...]:
        times = [at for at in self.recorded_at if at is not None]
        if (import_id is None and times) or (import_id is not None and len(times) < len(self.recorded_at)):
            raise AppendRejected("An import says recorded_at for each command, and nobody else does.")
        return (
            (UuidArray, self.command_ids),
            (ByteaArray, self.answers),
            (Int4Array, self.command_lasts),
            (TimestamptzArray, None if import_id is None else times),
            (TextArray, [*self.streams]),
            (Int4Array, self.claim_commands),
            (Int4Array, self.claim_streams),
            (Int8Array, self.claim_expected),
            (Int4Array, self.claim_counts),
            (Int4Array, self.event_claims),
            (UuidArray, self.event_ids),
            (TextArray, self.event_types),
            (Int4Array, self.event_schema_versions),
            (ByteaArray, self.event_data),
            (ByteaArray, self.event_metadata),
        )


@contextmanager
def _within_range() -> Iterator[None]:
    try:
        yield
    except (struct.error, OverflowError) as error:
        raise AppendRejected("A version or a length is out of range; nothing was appended.") from error


def outcomes(commands: Sequence[CommandAppend], group: Group, rows: Sequence[OutcomeRow]) -> list[AppendOutcome]:
    """One outcome for each command, in order; a command id that comes again gets the first one's answer."""
    others: dict[int, AppendOutcome] = {}
    first_at, position = _NEVER, 0
    for place, outcome, recorded_at, first, last, answer, stream_id, expected, actual in rows:
        if outcome == "appended":
            first_at, position = recorded_at, (first or 1) - 1
        elif outcome == "locked":
            others[place - 1] = _locked_out(stream_id, answer)
        elif answer is not None:
            others[place - 1] = AlreadyRecorded(answer, recorded_at, first, last)
        else:
            others[place - 1] = Conflicted(stream_id, expected, actual)
    by_place: list[AppendOutcome] = []
    before = 0
    for place, (last, said_at) in enumerate(zip(group.command_lasts, group.recorded_at, strict=True)):
        other = others.get(place)
        if other is not None:
            by_place.append(other)
        else:
            at = said_at or first_at + place * _MICROSECOND
            events = last - before
            by_place.append(Appended(at, position + 1 if events else None, position + events if events else None))
            position += events
        before = last
    if len(by_place) == len(commands):
        return by_place
    return _of_repeats(commands, group, by_place)


def _locked_out(stream_id: str | None, held: bytes | None) -> LockedOut:
    if held is None:  # a token that counts no more
        return LockedOut(None)
    told = orjson.loads(held)
    return LockedOut(stream_id, told["holder"], datetime.fromisoformat(told["since"]))


def _of_repeats(
    commands: Sequence[CommandAppend], group: Group, by_place: Sequence[AppendOutcome]
) -> list[AppendOutcome]:
    first_places = {command_id: place for place, command_id in enumerate(group.command_ids)}
    seen: set[UUID] = set()
    result: list[AppendOutcome] = []
    for command in commands:
        place = first_places[command.command_id]
        outcome = by_place[place]
        if command.command_id in seen and isinstance(outcome, Appended):
            outcome = AlreadyRecorded(
                group.answers[place], outcome.recorded_at, outcome.first_position, outcome.last_position
            )
        seen.add(command.command_id)
        result.append(outcome)
    return result
