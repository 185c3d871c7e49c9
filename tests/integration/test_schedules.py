"""A slot of a job is claimed once an interval and begun once, whoever asks, and PostgreSQL says when."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infrastructure.database import Role
from infrastructure.pools import Pool, open_pool
from infrastructure.schedules import Claim, PostgresSchedules
from tests.support.postgres import Connection, connected, rows, value

LONG = 3600.0


@pytest.fixture
async def workers(database_url: str, tenant: str) -> AsyncIterator[Pool]:
    async with await open_pool(database_url, tenant, Role.PROJECTOR, max_size=8) as pool:
        yield pool


@pytest.fixture
async def admin(database_url: str, tenant: str) -> AsyncIterator[Connection]:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        yield connection


async def later(admin: Connection, seconds: float) -> None:
    """As if so much time had gone by since all claims."""
    await rows(admin, "UPDATE schedules SET claimed_at = claimed_at - make_interval(secs => %s) RETURNING job", seconds)


def opened(claims: list[Claim]) -> dict[str, int]:
    return {claim.job: claim.open for claim in claims}


async def test_of_many_workers_that_ask_at_once_one_claims_each_slot(workers: Pool, admin: Connection) -> None:
    asking = [PostgresSchedules(workers, f"w{number}") for number in range(8)]
    for slot in range(1, 6):
        claims = await asyncio.gather(*(one.claim({"a": LONG, "b": LONG}) for one in asking))
        assert [sum(1 for found in claims if opened(found)[job]) for job in ("a", "b")] == [1, 1]
        assert await rows(admin, "SELECT DISTINCT slot FROM schedules") == [(slot,)]
        await later(admin, LONG)


async def test_what_was_claimed_is_due_again_after_its_interval_also_for_those_who_come_later(
    workers: Pool, admin: Connection
) -> None:
    assert await PostgresSchedules(workers, "w").claim({"a": LONG}) == [Claim("a", 1, LONG)]
    await later(admin, 600)
    ((job, open, seconds),) = await PostgresSchedules(workers, "after a restart").claim({"a": LONG})
    assert (job, open) == ("a", 0)
    assert LONG - 700 < seconds <= LONG - 600
    assert await rows(admin, "SELECT job, claimed_by, every = '1 hour' FROM schedules") == [("a", "w", True)]


async def test_a_slot_is_begun_once_and_takes_those_with_it_that_nobody_has_begun(
    workers: Pool, admin: Connection
) -> None:
    one, other = PostgresSchedules(workers, "one"), PostgresSchedules(workers, "other")
    assert not await one.begin("a")
    for unbegun in (1, 2, 3):
        assert opened(await one.claim({"a": LONG})) == {"a": unbegun}
        await later(admin, LONG)
    assert sorted(await asyncio.gather(one.begin("a"), other.begin("a"))) == [False, True]
    assert opened(await one.claim({"a": LONG})) == {"a": 1}
    assert await other.begin("a")
    assert await value(admin, "SELECT begun_by FROM schedules") == "other"


async def test_a_claim_of_a_clock_that_was_set_back_holds_nobody_up(workers: Pool, admin: Connection) -> None:
    one = PostgresSchedules(workers, "w")
    await one.claim({"a": LONG})
    await later(admin, -2 * LONG)
    assert opened(await one.claim({"a": LONG})) == {"a": 2}
