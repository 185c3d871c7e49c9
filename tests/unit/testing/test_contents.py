"""What an event says is the same for who got it and for the log, and is another for each thing that it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from domain.log import RecordedEvent
from dora_state.following import state_change
from dora_state.testing.contents import event_content, recorded_content

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
EVENT = RecordedEvent(7, UUID(int=7), "task-t-1", 2, "TaskProgressed", 1, b'{"percentage":5}', b'{"actor":"a"}', AT, 1)


def test_who_got_an_event_and_the_log_say_the_same() -> None:
    assert event_content(state_change(EVENT)) == recorded_content(EVENT)


def test_a_moment_is_the_same_in_any_zone() -> None:
    elsewhere = replace(EVENT, recorded_at=AT.astimezone(timezone(timedelta(hours=2))))
    assert event_content(state_change(elsewhere)) == recorded_content(EVENT)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"stream_id": "agent-t-1"},
        {"stream_id": "task-t-2"},
        {"version": 3},
        {"type": "TaskCompleted"},
        {"recorded_at": AT + timedelta(microseconds=1)},
        {"following": 0},
        {"data": b'{"percentage":6}'},
        {"metadata": b'{"actor":"b"}'},
    ],
)
def test_whatever_an_event_says_makes_another_content(otherwise: dict[str, object]) -> None:
    other = replace(EVENT, **otherwise)  # type: ignore[arg-type]  # as the names are only known here
    assert recorded_content(other) != recorded_content(EVENT)
    assert event_content(state_change(other)) == recorded_content(other)


def test_an_event_has_the_same_content_wherever_it_lies_and_whatever_its_id_is() -> None:
    assert recorded_content(replace(EVENT, position=9, event_id=UUID(int=9))) == recorded_content(EVENT)
