"""Servers, tenants and logs for the tests: one pair of servers a session, one tenant a test.

DORA_STATE_TEST_DATABASE_URL and DORA_STATE_TEST_REDIS_URL name other servers to test on, such as an older
PostgreSQL; DORA_STATE_TEST_REDIS_SERVER is the program of those that a test starts for itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from infrastructure.database import Role
from infrastructure.embedded import EmbeddedServers
from infrastructure.event_store import Appender, PostgresEventLog
from infrastructure.migrations import drop_tenant
from infrastructure.pools import Pool, open_pool
from tests.support.homes import home_of_run, remove_homes_of_run, write_to_memory
from tests.support.postgres import tenants_of
from tests.support.tenants import drop_idle, lent, new_name


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["DORA_STATE_TEST_RUN"] = uuid4().hex[:12]
        write_to_memory()
    # Whatever the environment says, a test that names no home must not touch a person's.
    for name in [name for name in os.environ if name.startswith("DORA_STATE_") and "_TEST_" not in name]:
        del os.environ[name]
    os.environ["DORA_STATE_HOME"] = str(home_of_run())


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller goes last; by then the workers have left the servers and those are stopped."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        remove_homes_of_run()


@pytest.fixture(scope="session")
def home() -> Path:
    """The home of the embedded servers, shared by all workers of this run."""
    return home_of_run()


@pytest.fixture(scope="session")
def servers(home: Path) -> Iterator[tuple[str, str]]:
    """The URLs of the embedded PostgreSQL and Valkey."""
    with EmbeddedServers(home) as embedded:
        yield embedded.database_url, embedded.redis_url


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    given = os.environ.get("DORA_STATE_TEST_DATABASE_URL")
    yield given or str(request.getfixturevalue("servers")[0])
    drop_idle()


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("DORA_STATE_TEST_REDIS_URL")
    return given or str(request.getfixturevalue("servers")[1])


@pytest.fixture
async def tenant(database_url: str) -> AsyncIterator[str]:
    """A fresh tenant, gone afterwards."""
    async with lent(database_url) as name:
        yield name


@pytest.fixture
async def pool(database_url: str, tenant: str) -> AsyncIterator[Pool]:
    """A pool that sees the fresh tenant with the writer's rights."""
    async with await open_pool(database_url, tenant, Role.WRITER, min_size=1, max_size=10) as pool:
        yield pool


@pytest.fixture
async def log(pool: Pool, database_url: str, tenant: str) -> AsyncIterator[PostgresEventLog]:
    """The fresh tenant's log."""
    appender = Appender(database_url, tenant)
    yield PostgresEventLog(pool, appender)
    await appender.close()


@pytest.fixture
def library(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Applications of the library eventsourcing run on our store: the tenant of which each gets a fresh schema."""
    tenant = new_name()
    monkeypatch.setenv("PERSISTENCE_MODULE", "infrastructure.persistence")
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", database_url)
    monkeypatch.setenv("DORA_STATE_TENANT", tenant)
    yield tenant

    async def drop() -> None:
        for name in await tenants_of(database_url, f"{tenant}_"):
            await drop_tenant(database_url, name)

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, drop()).result()
