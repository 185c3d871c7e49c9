"""Writers on the same streams take turns: one at a time, none for ever, and a dead one's turn is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from commands.bus import CommandBus
from commands.committer import Committer
from commands.decider import Decider
from commands.messages import pool as pools
from commands.preparing import Preparer
from infrastructure.event_store import PostgresEventLog, PostgresTurns
from tests.support.command_world import Presence, create_pool, envelope
from tests.support.postgres import connected, rows


@asynccontextmanager
async def turns_of(database_url: str, tenant: str) -> AsyncIterator[PostgresTurns]:
    turns = PostgresTurns(database_url, tenant)
    try:
        yield turns
    finally:
        await turns.close()


async def test_one_has_the_turn_and_the_next_waits_for_it(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as one, turns_of(database_url, tenant) as other:
        await one.take()
        waiting = asyncio.create_task(other.take())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await one.give()
        await asyncio.wait_for(waiting, 10)
        await other.give()
        await one.take()


async def test_nobody_waits_for_ever_for_one_that_has_stopped(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as stopped, turns_of(database_url, tenant) as other:
        await stopped.take()
        await asyncio.wait_for(other.take(), 20)  # without a turn, after a while
        await stopped.give()
        await other.take()


async def test_the_turn_of_one_whose_connection_is_gone_is_over(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as gone, turns_of(database_url, tenant) as other:
        await gone.take()
        async with connected(database_url, tenant) as admin:
            await rows(
                admin,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                f"dora-state turns {tenant}",
            )
        await other.take()
        await gone.give()  # nothing to give, and no error
        await other.give()
        await gone.take()  # on a new connection


async def test_without_a_server_there_are_no_turns_and_no_errors(tenant: str) -> None:
    async with turns_of("postgresql://127.0.0.1:1/none", tenant) as turns:
        await turns.take()
        await turns.give()


async def test_writers_that_fight_for_one_pool_all_get_on_and_lose_nothing(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    count = 60

    async def writer() -> int:
        """Reserve and release, from several submitters at once."""
        decider = Decider(log, NoCounter())
        committer = Committer(log, decider, Presence(), Preparer(tenant="bank", new_id=uuid4))
        async with turns_of(database_url, tenant) as turns, CommandBus(committer, turns=turns) as bus:

            async def submit() -> None:
                reserve = envelope(pools.Reserve(pool_id="pool", resources={"cpu": "1"}))
                assert (await bus.submit(reserve)).outcome == "accepted"
                release = pools.Release(pool_id="pool", reservation_id=f"res-{reserve.command_id}-1")
                assert (await bus.submit(envelope(release))).outcome == "accepted"

            for _ in range(0, count, 10):
                await asyncio.gather(*(submit() for _ in range(10)))
        return count

    made = Committer(log, Decider(log, NoCounter()), Presence(), Preparer(tenant="bank", new_id=uuid4))
    await made.commit([envelope(create_pool(cpu="40"))])
    assert await asyncio.gather(*(writer() for _ in range(4))) == [count] * 4
    events = await log.read_log(after_position=0, limit=10_000)
    assert len(events) == 1 + 2 * 4 * count
    assert [event.version for event in events] == list(range(1, len(events) + 1))


class NoCounter:
    async def active_workflows(self) -> int:
        return 0
