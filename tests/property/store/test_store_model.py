"""Whatever is appended, read, undone and mistimed in whatever order, the log does what a model in memory does."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from infrastructure.event_store import reading
from tests.property.store.machine import Logs
from tests.property.store.stores import MemoryStore, PostgresStore


def lives(share: float) -> settings:
    """A share of the lives that the profile says, since each one on PostgreSQL begins with a tenant of its own."""
    return settings(
        max_examples=max(5, round(settings().max_examples * share)),
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
    )


def test_the_log_on_postgresql_does_what_the_model_does(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)  # so that there are pages

    class OnPostgres(Logs):
        def __init__(self) -> None:
            super().__init__(PostgresStore(database_url))

    run_state_machine_as_test(OnPostgres, settings=lives(0.1))


def test_the_log_in_memory_does_what_the_model_does() -> None:
    class InMemory(Logs):
        def __init__(self) -> None:
            super().__init__(MemoryStore())

    run_state_machine_as_test(InMemory, settings=lives(0.3))
