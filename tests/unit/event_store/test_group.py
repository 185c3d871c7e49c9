"""What the rows of append mean for each command of a group."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.errors import AppendRejected
from domain.log import (
    MAX_EVENT_BYTES,
    AlreadyRecorded,
    Appended,
    AppendOutcome,
    CommandAppend,
    Conflicted,
    LockedOut,
)
from infrastructure.event_store.arrays import Int4Array, Int8Array
from infrastructure.event_store.group import MAX_STREAM_ID_LENGTH, Group, outcomes
from tests.support.log import command, event

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def writes(*streams: str, at: datetime | None = None) -> CommandAppend:
    """One event in each stream, at its version 1."""
    return command(dict.fromkeys(streams, 1), at=at)


def made_of(*commands: CommandAppend) -> Group:
    group = Group()
    for one in commands:
        group.add(one)
    return group


def told(commands: Sequence[CommandAppend], *rows: tuple[Any, ...]) -> list[AppendOutcome]:
    unique = {one.command_id: one for one in commands}
    return outcomes(commands, made_of(*unique.values()), rows)


def appended(first: int, last: int) -> tuple[Any, ...]:
    return (None, "appended", AT, first, last, None, None, None, None)


def test_of_those_appended_each_has_its_positions_and_is_a_microsecond_later() -> None:
    group = [writes("a-1", "a-2"), writes(), writes("a-3")]
    assert told(group, appended(7, 9)) == [
        Appended(AT, 7, 8),
        Appended(AT + timedelta(microseconds=1), None, None),
        Appended(AT + timedelta(microseconds=2), 9, 9),
    ]


def test_where_nothing_has_events_nothing_has_a_position() -> None:
    assert told([writes()], (None, "appended", AT, None, None, None, None, None, None)) == [Appended(AT, None, None)]


def test_what_stands_against_a_command_is_told_of_that_one_alone() -> None:
    since = AT - timedelta(hours=1)
    group = [writes("a-1"), writes("a-2"), writes("a-3"), writes("a-4"), writes("a-5")]
    assert told(
        group,
        (1, "already recorded", since, 3, 4, b"before", None, None, None),
        (2, "conflict", None, None, None, None, "a-2", 1, 5),
        (3, "locked", None, None, None, b'{"holder": "ann", "since": "2026-03-01T11:00:00+00:00"}', "a-3", None, None),
        (4, "locked", None, None, None, None, None, None, None),
        appended(10, 10),
    ) == [
        AlreadyRecorded(b"before", since, 3, 4),
        Conflicted("a-2", 1, 5),
        LockedOut("a-3", "ann", since),
        LockedOut(None),
        Appended(AT + timedelta(microseconds=4), 10, 10),
    ]


def test_an_import_says_when() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert told([writes("a-1", at=moment)], appended(1, 1)) == [Appended(moment, 1, 1)]


def test_an_id_that_comes_again_gets_the_first_ones_answer() -> None:
    first = writes("a-1")
    other = writes("a-2")
    assert told([first, other, first], appended(1, 2)) == [
        Appended(AT, 1, 1),
        Appended(AT + timedelta(microseconds=1), 2, 2),
        AlreadyRecorded(b"done", AT, 1, 1),
    ]
    conflict = (1, "conflict", None, None, None, None, "a-1", 1, 5)
    assert told([first, first], conflict) == [Conflicted("a-1", 1, 5)] * 2


@pytest.mark.parametrize("stream_id", ["", "a", "-1", "a-", "a-\x1f", "a\x7f-1", "a-\ud800", f"a-{'x' * 511}"])
def test_what_is_no_id_of_a_stream_begins_none(stream_id: str) -> None:
    with pytest.raises(AppendRejected, match="is no id of a stream") as refused:
        made_of(command({stream_id: 0}))
    assert refused.value.facts["stream_id"] == stream_id


def test_an_id_as_long_as_may_be_and_dashes_within_are_fine() -> None:
    longest = "a-" + "x" * (MAX_STREAM_ID_LENGTH - 2)
    assert list(made_of(command({longest: 0, "a-b-c": 0})).streams) == [longest, "a-b-c"]


def test_of_what_is_there_already_an_id_is_not_looked_at_again() -> None:
    """The log answers that it has no such stream."""
    assert list(made_of(command({"no stream": 1})).streams) == ["no stream"]


def test_an_event_has_a_type_a_claim_and_no_more_bytes_than_it_may_have() -> None:
    def with_event(**said: Any) -> CommandAppend:
        return CommandAppend(uuid4(), {"a-1": 0}, (replace(event("a-1"), **said),), b"")

    made_of(with_event(data=b"x" * (MAX_EVENT_BYTES - 1), metadata=b"y"))
    with pytest.raises(AppendRejected, match=f"has {MAX_EVENT_BYTES + 1:,} bytes") as refused:
        made_of(with_event(data=b"x" * MAX_EVENT_BYTES, metadata=b"y"))
    assert refused.value.facts == {"stream_id": "a-1", "type": "thing_happened", "bytes": MAX_EVENT_BYTES + 1}
    for name in ("", "a\nb"):
        nameless = with_event(type=name)
        with pytest.raises(AppendRejected, match="is no type of an event") as refused:
            made_of(nameless)
        assert refused.value.facts == {"command_id": nameless.command_id, "type": name}
    astray = with_event(stream_id="a-2")
    with pytest.raises(AppendRejected, match="without an expected version") as refused:
        made_of(astray)
    assert refused.value.facts == {"stream_id": "a-2", "command_id": astray.command_id}


@pytest.mark.parametrize("import_id", [None, uuid4()])
def test_an_import_says_when_of_each_and_nobody_else_does(import_id: UUID | None) -> None:
    mixed = [writes("a-1"), writes("a-2", at=AT)]
    says = r"^An import says recorded_at for each command, and nobody else does[.]$"
    for group in (mixed, [mixed[0 if import_id else 1]]):
        with pytest.raises(AppendRejected, match=says):
            made_of(*group).packed(import_id)
        with pytest.raises(AppendRejected, match=says):
            made_of(*group).arguments(import_id)


def test_a_version_beyond_all_numbers_is_refused() -> None:
    for expected in (2**63, -(2**63) - 1):
        with pytest.raises(AppendRejected, match="out of range"):
            made_of(writes("a-1"), command({"a-1": expected})).packed(None)


def test_tokens_are_said_where_there_are_some_each_with_its_command() -> None:
    group = made_of(writes("a-1"), replace(writes("a-2"), tokens=(7, 8)))
    commands, tokens = (array for array in group.arguments(None)[-2:])
    assert isinstance(commands, Int4Array)
    assert isinstance(tokens, Int8Array)
    assert (commands.bytes, tokens.bytes) == (Int4Array([2, 2]).bytes, Int8Array([7, 8]).bytes)
    assert group.packed(None)[-2:] == [commands.bytes, tokens.bytes]
    for none in (made_of(writes("a-1")).arguments(None), made_of(writes("a-1")).packed(None)):
        assert list(none[-2:]) == [None, None]
