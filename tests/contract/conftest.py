"""An environment in which applications of the library eventsourcing run on our store, in fresh schemas."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from infrastructure.database import CONTROL_SCHEMA, Role, assume, connect
from infrastructure.migrations import drop_tenant


async def _drop_all(database_url: str, tenant: str) -> None:
    async with await connect(database_url, "dora-state tests") as connection:
        await assume(connection, CONTROL_SCHEMA, Role.MIGRATOR)
        query = "SELECT name FROM tenants WHERE starts_with(name, %s)"
        found = await (await connection.execute(query, (f"{tenant}_",))).fetchall()
    for (name,) in found:
        await drop_tenant(database_url, str(name))


@pytest.fixture
def library(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tenant of which each application gets a schema; all are dropped afterwards."""
    tenant = f"test_{uuid4().hex[:16]}"
    monkeypatch.setenv("PERSISTENCE_MODULE", "infrastructure.persistence")
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", database_url)
    monkeypatch.setenv("DORA_STATE_TENANT", tenant)
    yield tenant
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, _drop_all(database_url, tenant)).result()
