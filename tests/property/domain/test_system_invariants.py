"""Whatever is decided in whatever order, the system is what was told last, and a limit is set or lifted."""

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from domain import system
from domain.aggregate import Event
from domain.errors import Refusal
from domain.system import (
    CONFIGURABLE,
    LIMITS,
    SYSTEM,
    ComponentHealth,
    Limit,
    MaintenanceCancelled,
    MaintenanceScheduled,
    System,
    SystemConfigured,
)
from tests.support.aggregate_machine import LIVES, AggregateMachine, times

windows = st.sampled_from(["m1", "m2", "m3"])
components = st.sampled_from(["database", "cache"])


class SystemMachine(AggregateMachine):
    aggregate = SYSTEM
    state: System

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, object] = {}
        self.health: dict[str, ComponentHealth] = {}
        self.windows: dict[str, MaintenanceScheduled] = {}

    @initialize(at=times)
    def begin(self, at: datetime) -> None:
        self.report_component(at, "database", "healthy")

    @rule(
        at=times,
        told=st.fixed_dictionaries(
            {},
            optional={
                "environment": st.sampled_from(["test", "production"]),
                "version": st.sampled_from(["1", "2"]),
                "max_concurrent_workflows": st.integers(1, 3),
                "max_workflow_duration": st.floats(1, 1e6),
                "default_timeout": st.floats(1, 1e6),
                "retry_attempts": st.integers(0, 3),
            },
        ),
        unset=st.lists(st.sampled_from(LIMITS), max_size=2, unique=True).map(tuple),
    )
    def configure(self, at: datetime, told: dict[str, Any], unset: tuple[Limit, ...]) -> None:
        event = SystemConfigured(at=at, unset=unset, **told)
        self.decide(lambda s: system.configure(s, event))
        self.told |= told | dict.fromkeys(unset)
        now = {name: getattr(self.state, name) for name in CONFIGURABLE}
        assert now == {**dict.fromkeys(CONFIGURABLE), "system_id": "dora-compliance-platform", **self.told}

    @rule(at=times, component=components, health=st.sampled_from(get_args(ComponentHealth)))
    def report_component(self, at: datetime, component: str, health: ComponentHealth) -> None:
        self.decide(lambda s: system.report_component(s, component, health, at))
        self.health[component] = health
        assert self.state.components == self.health

    @rule(at=times, window_id=windows, start=times, minutes=st.integers(-1, 120), blocks=st.booleans())
    def schedule_maintenance(self, at: datetime, window_id: str, start: datetime, minutes: int, blocks: bool) -> None:
        event = MaintenanceScheduled(
            at=at,
            window_id=window_id,
            start=start,
            end=start + timedelta(minutes=minutes),
            kind="upgrade",
            description="new disks",
            blocks_starts=blocks,
        )
        self.decide(lambda s: system.schedule_maintenance(s, event))

    @rule(at=times, window_id=windows)
    def cancel_maintenance(self, at: datetime, window_id: str) -> None:
        self.decide(lambda s: system.cancel_maintenance(s, window_id, at))
        assert window_id not in self.state.maintenance

    @rule(at=times)
    def start_something(self, at: datetime) -> None:
        blocked = any(w.blocks_starts and w.start <= at < w.end for w in self.windows.values())
        with pytest.raises(Refusal, match="during maintenance") if blocked else nullcontext():
            system.require_no_maintenance(self.state, "Workflow w", at)

    def check_step(self, before: System | None, event: Event, after: System) -> None:
        if isinstance(event, MaintenanceScheduled):
            assert event.window_id not in self.windows
            assert max(event.start, event.at) < event.end
            self.windows[event.window_id] = event
        if isinstance(event, MaintenanceCancelled):
            del self.windows[event.window_id]
        assert set(after.maintenance) == set(self.windows)
        for window_id, window in after.maintenance.items():
            told = self.windows[window_id]
            assert (window.start, window.end, window.blocks_starts) == (told.start, told.end, told.blocks_starts)


SystemMachine.TestCase.settings = LIVES
TestSystem = SystemMachine.TestCase
