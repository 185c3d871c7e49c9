"""Stored bytes become events of today's shape, or say why they can't."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.aggregate import Event
from domain.all_events import AGGREGATES, CATALOGUE
from domain.catalogue import EventCatalogue, UnknownEvent
from domain.errors import CorruptLog, LogError
from domain.task import TaskPhaseCompleted
from domain.values import Id
from domain.workflow import WorkflowAmended

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden_events.json").read_text())

STORED_NAMES = {
    "AgentCapacityChanged": 1,
    "AgentConfigurationUpdated": 1,
    "AgentDeregistered": 1,
    "AgentHealthReported": 1,
    "AgentRegistered": 1,
    "AgentReturned": 1,
    "AgentSlotFreed": 1,
    "AgentSlotTaken": 1,
    "AgentTaskEstimated": 1,
    "AgentTaskStarted": 1,
    "AgentWentOffline": 1,
    "ComponentHealthReported": 1,
    "LogImportBegun": 1,
    "LogImportEnded": 1,
    "MaintenanceCancelled": 1,
    "MaintenanceScheduled": 1,
    "PoolCreated": 1,
    "PoolPoliciesChanged": 1,
    "PoolResized": 1,
    "ReservationExpired": 1,
    "ReservationReleased": 1,
    "ResourcesReserved": 1,
    "SystemConfigured": 1,
    "TaskAssigned": 1,
    "TaskCancelled": 1,
    "TaskCompleted": 1,
    "TaskCreated": 1,
    "TaskFailed": 1,
    "TaskOutputsRecorded": 1,
    "TaskPhaseCompleted": 1,
    "TaskProgressed": 1,
    "TaskRequirementMet": 1,
    "TaskRetried": 1,
    "TaskRolledBack": 1,
    "TaskScheduled": 1,
    "TaskStarted": 1,
    "TaskTimedOut": 1,
    "TaskUnassigned": 1,
    "WorkflowAmended": 1,
    "WorkflowCancelled": 1,
    "WorkflowCompleted": 1,
    "WorkflowCreated": 1,
    "WorkflowDependencySatisfied": 1,
    "WorkflowFailed": 1,
    "WorkflowPaused": 1,
    "WorkflowResumed": 1,
    "WorkflowRetried": 1,
    "WorkflowRolledBack": 1,
    "WorkflowScheduled": 1,
    "WorkflowStarted": 1,
    "WorkflowTaskAdded": 1,
    "WorkflowTaskChanged": 1,
}
"""What logs out there hold. A name may be added here; none may be changed or removed."""

CATEGORIES = {"workflow", "task", "agent", "pool", "system"}


def test_stored_names_and_schema_versions_are_those_that_logs_hold() -> None:
    assert {name: event.schema_version for name, event in CATALOGUE.types.items()} == STORED_NAMES
    assert {aggregate.category for aggregate in AGGREGATES.values()} == CATEGORIES
    assert AGGREGATES["workflow"].stream_id("wf-1") == "workflow-wf-1"


def test_no_two_events_share_a_stored_name() -> None:
    events = [event for aggregate in AGGREGATES.values() for event in aggregate.events]
    assert len(CATALOGUE.types) == len(events) == len(set(events))
    assert all("type" in vars(event) for event in events), "each event names its stored type itself"


@pytest.mark.parametrize("stored", GOLDEN, ids=lambda stored: str(stored["type"]))
def test_bytes_that_were_stored_once_decode_for_ever(stored: Mapping[str, Any]) -> None:
    data = stored["data"].encode()
    event = CATALOGUE.decode(stored["type"], stored["schema_version"], data)
    assert type(event) is CATALOGUE.types[stored["type"]]
    told = json.loads(CATALOGUE.encode(event))
    for name, value in json.loads(data).items():
        if stored["schema_version"] == type(event).schema_version:
            assert told[name] == value, name


def test_golden_bytes_show_every_type_with_every_field() -> None:
    """A field that is added later gets golden bytes of its own, beside the old ones."""
    shown: dict[str, set[str]] = {}
    for stored in GOLDEN:
        shown.setdefault(stored["type"], set()).update(json.loads(stored["data"]))
    assert shown == {name: set(event.model_fields) for name, event in CATALOGUE.types.items()}


def test_an_event_is_encoded_without_what_is_not_set_and_with_nulls_that_were_told() -> None:
    event = WorkflowAmended(at=AT, context={"gone": None, "deep": {"gone": None}})
    stored = b'{"at":"2024-01-17T10:00:00Z","context":{"gone":null,"deep":{"gone":null}}}'
    assert CATALOGUE.encode(event) == stored
    assert CATALOGUE.decode("WorkflowAmended", 1, stored) == event


class Moved(Event):
    """Version 1 had `place`, version 2 `to`, version 3 tells `to` as a list."""

    type = "Moved"
    schema_version = 3
    to: tuple[Id, ...]


def rename(payload: dict[str, Any]) -> dict[str, Any]:
    return {("to" if name == "place" else name): value for name, value in payload.items()}


def enlist(payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"to": [payload["to"]]}


LIFTS = {("Moved", 1): rename, ("Moved", 2): enlist}
MOVES = EventCatalogue([Moved], LIFTS)
OLD_AND_NEW = [
    (1, b'{"at":"2024-01-17T10:00:00Z","place":"vault"}'),
    (2, b'{"at":"2024-01-17T10:00:00Z","to":"vault"}'),
    (3, b'{"at":"2024-01-17T10:00:00Z","to":["vault"]}'),
]


@pytest.mark.parametrize(("version", "data"), OLD_AND_NEW)
def test_an_old_payload_is_lifted_step_by_step_to_todays_shape(version: int, data: bytes) -> None:
    assert MOVES.decode("Moved", version, data) == Moved(at=AT, to=("vault",))


def test_a_decoder_gives_what_decoding_gives() -> None:
    moves = EventCatalogue([Moved], LIFTS)
    for version, data in OLD_AND_NEW:
        assert moves.decoders["Moved", version](data) == Moved(at=AT, to=("vault",))
    for kind in (("Unheard", 1), ("Moved", 4)):
        with pytest.raises(UnknownEvent) as caught:
            moves.decoders[kind](b'{"at":"2024-01-17T10:00:00Z"}')
        assert (caught.value.facts["event_type"], caught.value.facts["schema_version"]) == kind


def test_a_schema_version_that_nothing_lifts_is_named() -> None:
    broken = EventCatalogue([Moved], {("Moved", 1): rename})
    with pytest.raises(CorruptLog, match="No upcaster lifts Moved from schema version 2") as caught:
        broken.decode("Moved", 1, b'{"at":"2024-01-17T10:00:00Z","place":"vault"}')
    assert caught.value.facts == {"event_type": "Moved", "schema_version": 2}


@pytest.mark.parametrize(("name", "version"), [("Unheard", 1), ("TaskStarted", 2), ("taskstarted", 1), ("", 1)])
def test_an_unknown_type_and_a_newer_schema_version_need_another_release(name: str, version: int) -> None:
    with pytest.raises(UnknownEvent) as caught:
        CATALOGUE.decode(name, version, b'{"at":"2024-01-17T10:00:00Z"}')
    assert caught.value.code == "unknown_event"
    assert caught.value.facts == {"event_type": name, "schema_version": version}
    assert isinstance(caught.value, LogError)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x00", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 10_000),
        b'{"at":"2024-01-17T10:00:00Z"}',
        b'{"at":"2024-01-17T10:00:00Z","phase":"a"',
        b'{"at":"2024-01-17T10:00:00","phase":"a"}',
        b'{"at":"2024-01-17T10:00:00Z","phase":1}',
        b'{"at":"2024-01-17T10:00:00Z","phase":"a","more":1}',
    ],
)
def test_bytes_that_do_not_fit_their_type_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptLog) as caught:
        CATALOGUE.decode(TaskPhaseCompleted.type, 1, data)
    assert caught.value.code == "corrupt_log"
    assert caught.value.facts == {"event_type": "TaskPhaseCompleted", "detail": str(caught.value.__cause__)}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"7", b'"text"', b"null", b'{"at":"2024-01-17T10:00:00Z"}', b"\xff"]
)
def test_old_bytes_that_do_not_fit_their_type_are_corrupt_too(data: bytes) -> None:
    for version in (1, 2):
        with pytest.raises(CorruptLog):
            MOVES.decode("Moved", version, data)


def test_a_number_is_not_rounded_on_the_way_through_an_upcaster() -> None:
    class Counted(Event):
        type = "Counted"
        schema_version = 2
        count: int

    catalogue = EventCatalogue([Counted], {("Counted", 1): lambda payload: payload})
    data = b'{"at":"2024-01-17T10:00:00Z","count":9007199254740993}'
    assert catalogue.decode("Counted", 1, data) == Counted(at=AT, count=9007199254740993)


@pytest.mark.parametrize("category", sorted(CATEGORIES - {"system"}))
def test_a_stream_that_does_not_begin_with_its_first_event_is_corrupt(category: str) -> None:
    aggregate = AGGREGATES[category]
    first = {"workflow": "WorkflowCreated", "task": "TaskCreated", "agent": "AgentRegistered", "pool": "PoolCreated"}
    for stored in GOLDEN:
        event = CATALOGUE.decode(stored["type"], stored["schema_version"], stored["data"].encode())
        if event.type != first[category]:
            with pytest.raises(CorruptLog) as caught:
                aggregate.fold([event])
            assert caught.value.facts == {"event_type": event.type}


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_an_event_of_another_aggregate_is_corrupt(category: str) -> None:
    aggregate = AGGREGATES[category]
    events = [CATALOGUE.decode(stored["type"], 1, stored["data"].encode()) for stored in GOLDEN]
    begun = aggregate.fold([next(event for event in events if isinstance(event, aggregate.events[0]))])
    for event in events:
        if not isinstance(event, aggregate.events):
            with pytest.raises(CorruptLog) as caught:
                aggregate.evolve(begun, event)
            assert caught.value.facts == {"event_type": event.type}
