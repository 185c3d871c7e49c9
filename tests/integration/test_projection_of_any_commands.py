"""Any commands, in any batches, by runners that come and go: what PostgreSQL holds is what the log's fold says."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.messages import Command
from dora_state.testing.commands import any_command
from infrastructure.checking import PostgresKept
from infrastructure.database import Role
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.pools import open_pool
from infrastructure.read_models import PostgresReadModels
from projections.cache_ports import NoHotCopies
from projections.checking import Checker
from projections.projection import STATES
from projections.projector import Projector
from tests.support.busy_world import happened
from tests.support.command_world import BEGINNING
from tests.support.memory_log import MemoryEventLog
from tests.support.tenants import new_name

AHEAD = st.sampled_from([1, 1, 1, 60, 600])
"""Seconds that pass after a command."""


@pytest.fixture(scope="module")
def own_tenant(database_url: str) -> Iterator[str]:
    """One for all examples; each begins with empty tables."""
    name = new_name()
    with ThreadPoolExecutor(max_workers=1) as thread:  # apart from any loop of the tests
        thread.submit(asyncio.run, migrate(database_url, name)).result()
        yield name
        thread.submit(asyncio.run, drop_tenant(database_url, name)).result()


class Kept(PostgresKept):
    """The log is in memory here: that each document has a stream is seen by the others."""

    async def strays(self, limit: int) -> list[str]:
        return []


async def project_and_check(
    database_url: str, tenant: str, log: MemoryEventLog, batches: list[int], states_kept: int
) -> list[str]:
    """What does not agree, after runners that each apply some batches and let go."""
    async with await open_pool(database_url, tenant, Role.PROJECTOR) as connections:
        async with connections.connection() as connection:
            await connection.execute(f"TRUNCATE {', '.join(STATES.tables)}".encode())
            await connection.execute("UPDATE checkpoints SET position = 0, recorded_at = NULL")
        store = PostgresReadModels(connections)
        for size in [*batches, 1_000]:
            runner = Projector(log, store, NoHotCopies(), batch_size=size, states_kept=states_kept)
            for _ in range(1 if size < 1_000 else 3):
                await runner.run_once()
            await runner.release()
        assert (await store.checkpoint()).position == len(log.events)
        findings = Checker(log, Kept(connections)).check()
        return [f"{finding.what} of {finding.about}: {finding.says}" async for finding in findings]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    commands=st.lists(st.tuples(any_command(BEGINNING + timedelta(minutes=5)), AHEAD), max_size=60),
    batches=st.lists(st.integers(1, 40), max_size=6),
    states_kept=st.integers(1, 20),
)
def test_whatever_was_done_in_whichever_batches_everything_kept_agrees_with_the_log(
    database_url: str,
    own_tenant: str,
    commands: list[tuple[Command, int]],
    batches: list[int],
    states_kept: int,
) -> None:
    log = happened(commands)
    assert asyncio.run(project_and_check(database_url, own_tenant, log, batches, states_kept)) == []
