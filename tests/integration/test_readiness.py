"""Whether a process is alive, and whether it can work."""

import asyncio

from domain.errors import LogUnavailable
from dora_state.health import live
from dora_state.health.judging import Check
from dora_state.health.readiness import Readiness, ask_database
from dora_state.platform import open_platform
from dora_state.settings import load_settings
from infrastructure.database import Role
from infrastructure.pools import open_pool
from tests.support.postgres import connected

WELL = Check("healthy", "Commands and questions are taken.")


async def test_a_process_that_works_is_alive_and_ready_until_it_shuts_down(
    database_url: str, redis_url: str, tenant: str
) -> None:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_platform(settings) as platform:
        assert live().status == "healthy"
        assert await platform.health.ready() == WELL
    assert (await platform.health.ready()).status == "unhealthy"


async def test_a_tenant_that_was_dropped_is_not_ready(database_url: str, tenant: str) -> None:
    async with (
        await open_pool(database_url, tenant, Role.WRITER) as pool,
        connected(database_url, tenant) as connection,
    ):

        async def ask() -> Check:
            return await ask_database(pool)

        assert (await Readiness(ask).judge()).status == "healthy"
        await connection.execute("ALTER FUNCTION log_head RENAME TO log_head_gone")
        found = await Readiness(ask).judge()
        await connection.execute("ALTER FUNCTION log_head_gone RENAME TO log_head")
    assert (found.status, "dora-state init" in found.message) == ("unhealthy", True)


async def test_a_thousand_who_ask_at_once_cost_one_look_and_it_is_good_for_a_while() -> None:
    looks = []

    async def ask() -> Check:
        looks.append(1)
        await asyncio.sleep(0)
        return WELL

    readiness = Readiness(ask)
    assert await asyncio.gather(*(readiness.judge() for _ in range(1000))) == [WELL] * 1000
    assert await readiness.judge() == WELL
    assert len(looks) == 1


async def test_a_database_that_hangs_is_away_and_the_look_at_it_is_one() -> None:
    looks, gate = [], asyncio.Event()

    async def ask() -> Check:
        looks.append(1)
        await gate.wait()
        return WELL

    readiness = Readiness(ask, patience=0.01)
    found = [await readiness.judge() for _ in range(3)]
    assert {check.status for check in found} == {"unhealthy"}
    gate.set()
    assert await readiness.judge() == WELL
    assert len(looks) == 1


async def test_a_look_that_still_goes_on_is_ended_when_the_process_leaves() -> None:
    ended = asyncio.Event()

    async def ask() -> Check:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    readiness = Readiness(ask, patience=0.01)
    await readiness.judge()
    await readiness.close()
    assert ended.is_set()


async def test_what_is_away_is_told_and_raises_nothing() -> None:
    async def ask() -> Check:
        raise LogUnavailable("PostgreSQL is away; start it.")

    assert await Readiness(ask).judge() == Check("unhealthy", "PostgreSQL is away; start it.")
