"""What the decisions of the system give, refuse, and leave alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import system
from domain.aggregate import Event
from domain.errors import Refusal
from domain.system import (
    SYSTEM,
    ComponentHealthReported,
    LogImport,
    LogImportBegun,
    LogImportEnded,
    MaintenanceCancelled,
    MaintenanceScheduled,
    System,
    SystemConfigured,
)
from domain.values import iso
from tests.support.decider import given

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def configured(**fields: Any) -> SystemConfigured:
    return SystemConfigured(at=AT, **fields)


def window(**fields: Any) -> MaintenanceScheduled:
    named: dict[str, Any] = {
        "window_id": "m1",
        "start": AT,
        "end": LATER,
        "kind": "upgrade",
        "description": "new disks",
    }
    return MaintenanceScheduled(at=AT, **(named | fields))


def fold(*events: Event) -> System:
    state = SYSTEM.fold(events)
    assert state is not None
    return state


LIMITED = configured(max_concurrent_workflows=10)


def test_configuration_is_recorded_when_it_changes() -> None:
    given(SYSTEM).when(lambda s: system.configure(s, LIMITED)).then(LIMITED)
    given(SYSTEM, LIMITED).when(lambda s: system.configure(s, LIMITED)).then()
    given(SYSTEM).when(lambda s: system.configure(s, configured())).then()


def test_what_is_not_set_stays_and_a_limit_is_lifted() -> None:
    lift = configured(unset=("max_concurrent_workflows",))
    both = configured(max_concurrent_workflows=10, default_timeout=60, environment="prod")
    given(SYSTEM, both).when(lambda s: system.configure(s, lift)).then(lift)
    given(SYSTEM, both, lift).when(lambda s: system.configure(s, lift)).then()
    given(SYSTEM).when(lambda s: system.configure(s, lift)).then()
    state = fold(both, lift)
    assert (state.max_concurrent_workflows, state.default_timeout, state.environment) == (None, 60.0, "prod")


@pytest.mark.parametrize("name", ["components", "maintenance", "imports", "created_at", "system_id", "nonsense"])
def test_only_limits_are_lifted(name: str) -> None:
    """Else an event would be recorded after which the system's state can't be read any more."""
    try:
        event = configured(environment="prod", unset=(name,))
    except ValueError:
        return
    outcome = given(SYSTEM, configured(version="1")).when(lambda s: system.configure(s, event))
    assert outcome.refusal is not None


def test_health_of_a_component_is_recorded_when_it_changes() -> None:
    event = ComponentHealthReported(at=AT, component="database", health="warning")
    given(SYSTEM).when(lambda s: system.report_component(s, "database", "warning", AT)).then(event)
    given(SYSTEM, event).when(lambda s: system.report_component(s, "database", "warning", AT)).then()


@pytest.mark.parametrize(
    ("reported", "overall"),
    [
        ([], "healthy"),
        (["healthy", "warning"], "healthy"),
        (["warning", "degraded"], "degraded"),
        (["degraded", "unhealthy", "healthy"], "unhealthy"),
    ],
)
def test_overall_health_is_the_worst_where_a_warning_alone_is_healthy(reported: list[str], overall: str) -> None:
    state = fold(configured(version="1"))
    for number, health in enumerate(reported):
        event = ComponentHealthReported.model_validate({"at": AT, "component": f"c{number}", "health": health})
        state = system.evolve(state, event)
    assert state.overall_health == overall


def test_maintenance_is_scheduled_once() -> None:
    given(SYSTEM).when(lambda s: system.schedule_maintenance(s, window())).then(window())
    given(SYSTEM, window()).when(lambda s: system.schedule_maintenance(s, window())).then()
    given(SYSTEM, window()).when(lambda s: system.schedule_maintenance(s, window(window_id="m2"))).then(
        window(window_id="m2")
    )


def test_a_window_with_other_times_or_words_is_refused() -> None:
    other = window(blocks_starts=True)
    given(SYSTEM, window()).when(lambda s: system.schedule_maintenance(s, other)).refused(
        "maintenance_exists", window_id="m1"
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (AT, AT),
        (LATER, LATER),
        (LATER, AT),
        (AT - timedelta(hours=2), AT),
        (AT - timedelta(hours=2), AT - timedelta(hours=1)),
    ],
)
def test_maintenance_that_ends_before_it_starts_or_before_now_is_refused(start: datetime, end: datetime) -> None:
    given(SYSTEM).when(lambda s: system.schedule_maintenance(s, window(start=start, end=end))).refused(
        "maintenance_times", window_id="m1", start=iso(start), end=iso(end)
    )


def test_maintenance_is_cancelled_once() -> None:
    event = MaintenanceCancelled(at=AT, window_id="m1")
    given(SYSTEM, window()).when(lambda s: system.cancel_maintenance(s, "m1", AT)).then(event)
    given(SYSTEM, window(), event).when(lambda s: system.cancel_maintenance(s, "m1", AT)).then()
    given(SYSTEM).when(lambda s: system.cancel_maintenance(s, "m1", AT)).then()


def starts_at(at: datetime) -> list[Event]:
    state = fold(window(window_id="m0"), window(blocks_starts=True))
    system.require_no_maintenance(state, "Workflow w1", at)
    return []


@pytest.mark.parametrize("at", [AT, LATER - timedelta(microseconds=1)])
def test_a_window_that_blocks_starts_refuses_them_from_its_start_to_before_its_end(at: datetime) -> None:
    given(SYSTEM).when(lambda _: starts_at(at)).refused("maintenance", window_id="m1", until=iso(LATER))


@pytest.mark.parametrize("at", [AT - timedelta(microseconds=1), LATER])
def test_outside_of_the_window_things_start(at: datetime) -> None:
    given(SYSTEM).when(lambda _: starts_at(at)).then()
    system.require_no_maintenance(None, "Workflow w1", at)


def test_the_limit_of_workflows_refuses_the_one_above_it() -> None:
    state = fold(LIMITED)
    system.require_room_for_workflow(state, 9)
    system.require_room_for_workflow(fold(configured(version="1")), 1_000_000)
    system.require_room_for_workflow(None, 1_000_000)
    with pytest.raises(Refusal) as caught:
        system.require_room_for_workflow(state, 10)
    assert (caught.value.reason, caught.value.facts) == ("too_many_workflows", {"active_workflows": 10, "limit": 10})


def test_an_import_is_told_with_its_real_times() -> None:
    begun = LogImportBegun(at=AT, file_name="log.xes", sha256="ab", imported_at=LATER)
    ended = LogImportEnded(at=AT, sha256="ab", imported_at=LATER, counts={"traces": 3})
    assert fold(begun).imports == (LogImport("log.xes", "ab", LATER),)
    assert fold(begun, ended).imports == (LogImport("log.xes", "ab", LATER, LATER, {"traces": 3}),)
    again = (begun.model_copy(update={"sha256": "cd"}), ended.model_copy(update={"sha256": "cd"}))
    assert [one.sha256 for one in fold(begun, ended, *again).imports] == ["ab", "cd"]
