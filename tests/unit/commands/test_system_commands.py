"""What the commands on the system do."""

from datetime import timedelta
from typing import Any

from commands.messages import importing
from commands.messages import system as systems
from tests.support.command_world import World


def window(world: World, seconds: float = 60, **more: Any) -> systems.ScheduleMaintenance:
    start = world.clock()
    return systems.ScheduleMaintenance(
        window_id="m", start=start, end=start + timedelta(seconds=seconds), description="database", **more
    )


def test_the_system_is_configured_field_by_field_and_limits_are_lifted() -> None:
    world = World()
    configure = systems.ConfigureSystem(environment="production", max_concurrent_workflows=100, retry_attempts=3)

    world.accept(configure)
    world.unchanged(configure)
    world.accept(systems.ConfigureSystem(default_timeout=300.0, unset=("max_concurrent_workflows",)))
    system = world.system()
    assert (system.environment, system.max_concurrent_workflows, system.retry_attempts, system.default_timeout) == (
        "production",
        None,
        3,
        300.0,
    )
    world.unchanged(systems.ConfigureSystem())


def test_a_warning_alone_leaves_the_whole_healthy() -> None:
    world = World()
    for health, overall in (("warning", "healthy"), ("degraded", "degraded"), ("unhealthy", "unhealthy")):
        report = systems.ReportComponentHealth(component=health, health=health)  # type: ignore[arg-type]  # one of them
        world.accept(report)
        world.unchanged(report)
        assert world.system().overall_health == overall


def test_a_maintenance_window_is_scheduled_once_and_may_be_cancelled() -> None:
    world = World()
    scheduled, cancel = window(world), systems.CancelMaintenance(window_id="m")
    world.unchanged(cancel)

    world.accept(scheduled)
    world.unchanged(scheduled)
    world.refuse(window(world, blocks_starts=True), "maintenance_exists")
    world.accept(cancel)
    world.unchanged(cancel)
    assert world.system().maintenance == {}


def test_a_maintenance_window_ends_in_the_future_and_after_its_start() -> None:
    world = World()
    world.refuse(window(world, -1), "maintenance_times")
    ended = window(world, 10)
    world.clock.pass_(10)
    world.refuse(ended, "maintenance_times")


def test_the_system_tells_which_log_was_imported_and_what_became_of_it() -> None:
    world = World()
    now = world.clock()
    world.given(
        importing.BeginImport(file_name="bank.xes", sha256="ab", imported_at=now),
        importing.EndImport(sha256="ab", imported_at=now, counts={"events": 7}),
    )
    (imported,) = world.system().imports
    assert (imported.file_name, imported.sha256, imported.counts) == ("bank.xes", "ab", {"events": 7})
