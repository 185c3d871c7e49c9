"""While the database is away, those who watch a server are told so, by the keys that they had before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dora_state.access import key_ring
from dora_state.access.api_key import new_key
from dora_state.access.opening import open_access
from dora_state.http.app import make_app
from dora_state.http.serving import make_server
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from infrastructure.access_keys import GoodKey, create_key
from tests.support.between import Between


@pytest.fixture
async def between(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Between]:
    """What is known of keys grows old quickly, so that no test waits for it."""
    monkeypatch.setattr(key_ring, "GOOD_SECONDS", 0.2)
    monkeypatch.setattr(key_ring, "REFRESH_SECONDS", 0.1)
    monkeypatch.setattr(key_ring, "PATIENCE_SECONDS", 0.3)
    async with Between(database_url, tmp_path).serving() as between:
        yield between


@asynccontextmanager
async def served(between: Between, redis_url: str, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(database_url=between.url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings) as manager, open_access(settings, manager.platform.servers) as access:
        transport = httpx.ASGITransport(make_app(make_server(manager, access)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client
            between.mend()


async def made(database_url: str, tenant: str, life: timedelta = timedelta(days=1)) -> dict[str, str]:
    key = new_key()
    expires_at = datetime.now(UTC) + life
    await create_key(database_url, tenant, GoodKey(key.id, key.digest, "prometheus", "reader", expires_at), "root")
    return {"Authorization": f"Bearer {key.text}"}


async def nobody_is_known(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """What asks for states is refused, as ever."""
    async with asyncio.timeout(20):
        while (await client.get("/v1/board", headers=headers)).status_code != 503:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)


async def test_who_was_let_in_before_is_told_how_the_service_is(
    between: Between, database_url: str, redis_url: str, tenant: str
) -> None:
    headers, late = await made(database_url, tenant), await made(database_url, tenant, timedelta(seconds=2))
    other = {"Authorization": f"Bearer {new_key().text}"}
    async with served(between, redis_url, tenant) as client:
        assert (await client.get("/health", headers=headers)).status_code == 200
        await between.cut()
        await nobody_is_known(client, headers)
        health = await client.get("/health", headers=headers)
        assert health.status_code == 503
        assert health.json()["checks"]["database"]["status"] == "unhealthy"
        figures = await client.get("/metrics", headers=headers)
        assert figures.status_code == 200
        assert "dora_state_reads_total" in figures.text
        for strangers in (other, {}, {"Authorization": headers["Authorization"] + "A"}):
            assert (await client.get("/metrics", headers=strangers)).status_code in (401, 503)
        async with asyncio.timeout(20):
            while (await client.get("/metrics", headers=late)).status_code != 503:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.05)
        assert (await client.get("/health/live")).status_code == 200


async def test_a_house_that_was_open_tells_its_own_machine_how_it_is(
    between: Between, redis_url: str, tenant: str
) -> None:
    async with served(between, redis_url, tenant) as client:
        assert (await client.get("/health")).status_code == 200
        await between.cut()
        await nobody_is_known(client, {})
        assert (await client.get("/health")).json()["checks"]["database"]["status"] == "unhealthy"
        assert (await client.get("/metrics")).status_code == 200
