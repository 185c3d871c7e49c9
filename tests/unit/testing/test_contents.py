"""What an event says is the same for who got it and for the log, and is another for each thing that it says."""

import copy
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from domain.log import RecordedEvent
from dora_state.following import state_change
from dora_state.testing.contents import content, digest, event_content, recorded_content

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
EVENT = RecordedEvent(7, UUID(int=7), "task-t-1", 2, "TaskProgressed", 1, b'{"percentage":5}', b'{"actor":"a"}', AT, 1)


def test_who_got_an_event_and_the_log_say_the_same() -> None:
    assert event_content(state_change(EVENT)) == recorded_content(EVENT)


def test_a_moment_is_the_same_wherever_a_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    here = recorded_content(EVENT)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        there = recorded_content(EVENT)
    time.tzset()
    assert there == here


def test_a_digest_is_short_and_of_an_object_whatever_the_order_of_its_keys() -> None:
    assert len(digest({"a": 1})) == 16
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize(
    ("kind", "moment", "kept"),
    [
        ("agent", {"last_heartbeat": 2, "resource_usage": 2}, {"agent_id": 2}),
        ("agent", {"capacity": {"processing_rate": 2, "queue_size": 2, "slots": 1}}, {"capacity": {"slots": 2}}),
        ("task", {"audit_trail": [2], "audit_trail_omitted": 2}, {"task_id": 2}),
        (
            "task",
            {"execution_metrics": {"execution_time": 2, "retry_count": 1}},
            {"execution_metrics": {"retry_count": 2}},
        ),
        ("workflow", {}, {"last_heartbeat": 2}),
        ("pool", {}, {"audit_trail": 2}),
    ],
)
def test_what_is_joined_at_the_moment_of_asking_is_no_part_of_a_document(
    kind: str, moment: dict[str, object], kept: dict[str, object]
) -> None:
    document: dict[str, object] = {
        "last_heartbeat": 1,
        "resource_usage": 1,
        "audit_trail": [1],
        "audit_trail_omitted": 1,
        "agent_id": 1,
        "capacity": {"processing_rate": 1, "queue_size": 1, "slots": 1},
        "execution_metrics": {"execution_time": 1, "retry_count": 1},
    }
    before = copy.deepcopy(document)
    assert content(kind, document | moment) == content(kind, document) != content(kind, document | kept)
    assert document == before


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
