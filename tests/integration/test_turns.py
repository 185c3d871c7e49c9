"""Writers on the same streams take turns: one at a time, none for ever, and a dead one's turn is over."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from commands import sharing, transfer
from commands.bus import CommandBus
from commands.committer import Committer
from commands.decider import Decider
from commands.envelope import Envelope
from commands.messages import pool as pools
from commands.preparing import Preparer
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog, PostgresTurns
from tests.support.command_world import Presence, create_pool, envelope
from tests.support.postgres import connected, rows, value

KILL: LiteralString = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"


@asynccontextmanager
async def turns_of(database_url: str, tenant: str) -> AsyncIterator[PostgresTurns]:
    turns = PostgresTurns(database_url, tenant)
    try:
        yield turns
    finally:
        await turns.close()


async def test_one_has_the_turn_and_the_next_waits_for_it(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as one, turns_of(database_url, tenant) as other:
        assert await one.take()
        waiting = asyncio.create_task(other.take())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await one.give()
        assert await asyncio.wait_for(waiting, 10)
        await other.give()
        assert await one.take()


async def test_nobody_waits_for_ever_for_one_that_has_stopped(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as stopped, turns_of(database_url, tenant) as other:
        assert await stopped.take()
        assert not await asyncio.wait_for(other.take(), 20)
        await stopped.give()
        assert await other.take()


async def test_the_turn_of_one_whose_connection_is_gone_is_over(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as gone, turns_of(database_url, tenant) as other:
        assert await gone.take()
        async with connected(database_url, tenant) as admin:
            await rows(admin, KILL, f"dora-state turns {tenant}")
        assert await other.take()
        await gone.give()  # nothing to give, and no error
        await other.give()
        assert await gone.take()  # on a new connection


async def test_without_a_server_there_are_no_turns_and_no_errors(tenant: str) -> None:
    async with turns_of("postgresql://127.0.0.1:1/none", tenant) as turns:
        assert not await turns.take()
        await turns.give()
        assert await turns.ask({uuid4(): b"{}"}) == {}
        assert await turns.asked() == []
        assert await turns.answered([uuid4()]) == {}


async def test_what_is_asked_is_seen_once_in_order_and_forgotten(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as one, turns_of(database_url, tenant) as other:
        await one.ask({uuid4(): b"1", uuid4(): b"2"})
        await one.ask({uuid4(): b"3"})
        assert await other.asked() == [b"1", b"2", b"3"]
        assert await other.asked() == []
        async with connected(database_url, tenant) as admin:
            assert await rows(admin, "SELECT * FROM asked") == []
        await one.ask({uuid4(): b"4"})
        assert await other.asked() == [b"4"]


async def test_after_a_crash_of_the_server_what_is_asked_is_seen(database_url: str, tenant: str) -> None:
    """An unlogged table is empty then, and its places begin anew."""
    async with turns_of(database_url, tenant) as one, turns_of(database_url, tenant) as other:
        await one.ask({uuid4(): b"1", uuid4(): b"2"})
        assert await other.asked() == [b"1", b"2"]
        async with connected(database_url, tenant) as admin:
            await admin.execute("TRUNCATE asked RESTART IDENTITY")
            await rows(admin, KILL, f"dora-state asks {tenant}")
        seen: list[bytes] = []
        async with asyncio.timeout(20):
            while not seen:
                await one.ask({uuid4(): b"3"})
                seen = await other.asked()
        assert set(seen) == {b"3"}


async def test_a_turn_is_over_for_whoever_lost_the_connection_that_took_it(database_url: str, tenant: str) -> None:
    async with turns_of(database_url, tenant) as one:
        assert not one.is_held
        assert await one.take()
        assert one.is_held
        async with connected(database_url, tenant) as admin:
            await rows(admin, KILL, f"dora-state turns {tenant}")
        for _ in range(2000):
            if not one.is_held:
                break
            await asyncio.sleep(0.01)
        assert not one.is_held
        assert await one.take()
        assert one.is_held
        await one.give()
        assert not one.is_held


async def test_of_two_buses_one_has_the_turn_again_after_its_connection_was_lost(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await make_pool(log)
    async with two_contending(log, database_url, tenant) as (first, second), connected(database_url, tenant) as admin:
        busy = [asyncio.create_task(_submit_for_ever(bus)) for bus in (first, second)]
        for _ in range(3):
            await asyncio.sleep(0.2)
            await rows(admin, f"{KILL} AND state = 'idle'", f"dora-state turns {tenant}")
        alone = 0
        for _ in range(100):
            await asyncio.sleep(0.02)
            alone += first.sharing.has_turn + second.sharing.has_turn < 2
        for one in busy:
            one.cancel()
    assert alone > 50


async def test_who_may_not_write_may_not_ask(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.PROJECTOR) as reader:
        for statement in ("INSERT INTO asked (submission) VALUES ('')", "SELECT * FROM asked", "DELETE FROM asked"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await reader.execute(statement)


@asynccontextmanager
async def bus_of(log: PostgresEventLog, database_url: str, tenant: str) -> AsyncIterator[CommandBus]:
    committer = Committer(log, Decider(log, NoCounter()), Presence(), Preparer(tenant="bank", new_id=uuid4))
    async with turns_of(database_url, tenant) as turns, CommandBus(committer, turns=turns) as bus:
        yield bus


RESERVE = pools.Reserve(pool_id="pool", resources={"cpu": "1"})


def reserve(*, expected: int | None = None) -> Envelope:
    return envelope(RESERVE, expected=expected)


async def make_pool(log: PostgresEventLog, cpu: str = "100000") -> None:
    committer = Committer(log, Decider(log, NoCounter()), Presence(), Preparer(tenant="bank", new_id=uuid4))
    await committer.commit([envelope(create_pool(cpu=cpu))])


@pytest.fixture(autouse=True)
def _long_contended(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, those that have lost a command to others take turns to the end of a test."""
    monkeypatch.setattr(sharing, "CONTENDED_SECONDS", 3600)


@asynccontextmanager
async def two_contending(
    log: PostgresEventLog, database_url: str, tenant: str
) -> AsyncIterator[tuple[CommandBus, CommandBus]]:
    async with bus_of(log, database_url, tenant) as first, bus_of(log, database_url, tenant) as second:
        first.sharing.contended()
        second.sharing.contended()
        yield first, second


async def test_who_has_the_turn_decides_for_the_others(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    await make_pool(log)
    async with two_contending(log, database_url, tenant) as (first, second), connected(database_url, tenant) as admin:
        busy = asyncio.create_task(_submit_for_ever(first))
        answers = [await second.submit(reserve()) for _ in range(20)]
        mixed = await asyncio.gather(*(second.submit(reserve()) for _ in range(20)))
        again = [
            await second.submit(Envelope(one.command_id or uuid4(), RESERVE, "tester", "c")) for one in answers[:3]
        ]
        refused = await second.submit(envelope(pools.Reserve(pool_id="pool", resources={"cpu": "1000000000"})))
        named = await second.submit(reserve(expected=1))  # its answer would not be in the log: decided here
        busy.cancel()
        asked = await value(admin, "SELECT last_value FROM asked_place_seq")
    assert {one.outcome for one in [*answers, *mixed]} == {"accepted"}
    assert {one.repeated for one in [*answers, *mixed]} == {False}
    assert [(one.repeated, one.position) for one in again] == [(True, one.position) for one in answers[:3]]
    assert [one.position for one in answers] == sorted({one.position or 0 for one in answers})
    assert refused.outcome == "refused"
    assert named.outcome == "conflict"
    assert isinstance(asked, int)
    assert asked >= 20


async def _submit_for_ever(bus: CommandBus) -> None:
    while True:
        await asyncio.gather(*(bus.submit(reserve()) for _ in range(8)))


async def _until_asked(turns: PostgresTurns) -> None:
    for _ in itertools.count():
        if await turns.asked():
            return
        await asyncio.sleep(0.01)


async def test_whoever_has_the_turn_leaves_though_others_go_on_asking(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await make_pool(log)
    async with bus_of(log, database_url, tenant) as stays:
        async with bus_of(log, database_url, tenant) as leaves:
            leaves.sharing.contended()
            await leaves.submit(reserve())
            assert leaves.sharing.has_turn
            stays.sharing.contended()
            asking = asyncio.create_task(_submit_for_ever(stays))
            await asyncio.sleep(0.3)
            began = time.monotonic()
        assert time.monotonic() - began < 10
        await asyncio.sleep(0.3)
        asking.cancel()
        assert (await asyncio.wait_for(stays.submit(reserve()), 20)).outcome == "accepted"


async def test_what_nobody_answers_is_decided_here(log: PostgresEventLog, database_url: str, tenant: str) -> None:
    """Whoever has the turn has stopped, and does not hear."""
    await make_pool(log)
    async with turns_of(database_url, tenant) as stopped, bus_of(log, database_url, tenant) as bus:
        assert await stopped.take()
        bus.sharing.contended()
        answers = await asyncio.wait_for(asyncio.gather(*(bus.submit(reserve()) for _ in range(5))), 20)
        assert {one.outcome for one in answers} == {"accepted"}
        assert len(await stopped.asked()) >= 5
    assert (await log.head()).position == 6


async def test_a_dead_ones_turn_goes_to_the_next_with_all_that_it_was_asked(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await make_pool(log)
    async with turns_of(database_url, tenant) as dies, bus_of(log, database_url, tenant) as bus:
        assert await dies.take()
        bus.sharing.contended()
        waiting = [asyncio.create_task(bus.submit(reserve())) for _ in range(5)]
        async with asyncio.timeout(20):
            await _until_asked(dies)
        async with connected(database_url, tenant) as admin:
            await rows(admin, f"{KILL} AND state = 'idle'", f"dora-state turns {tenant}")
        assert {one.outcome for one in await asyncio.wait_for(asyncio.gather(*waiting), 20)} == {"accepted"}
    assert (await log.head()).position == 6


async def test_what_is_asked_twice_is_done_once_and_nonsense_is_passed_over(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await make_pool(log)
    one = reserve()
    submission = transfer.to_bytes(one)
    assert submission is not None
    async with turns_of(database_url, tenant) as other, bus_of(log, database_url, tenant) as bus:
        for left in (b"{", b"[]", b'{"type":"None"}', submission, submission):
            await other.ask({uuid4(): left})
        bus.sharing.contended()
        assert (await bus.submit(reserve())).outcome == "accepted"
        while not await other.answered([one.command_id]):
            await bus.submit(reserve())
        answered = (await other.answered([one.command_id]))[one.command_id]
    assert answered == await log.find_command(one.command_id)
    events = await log.read_log(after_position=0, limit=1000)
    assert len({event.version for event in events}) == len(events) == len({event.event_id for event in events})


async def test_writers_that_fight_for_one_pool_all_get_on_and_lose_nothing(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    count = 60

    async def writer() -> int:
        """Reserve and release, from several submitters at once."""
        async with bus_of(log, database_url, tenant) as bus:

            async def submit() -> None:
                taken = reserve()
                assert (await bus.submit(taken)).outcome == "accepted"
                release = pools.Release(pool_id="pool", reservation_id=f"res-{taken.command_id}-1")
                assert (await bus.submit(envelope(release))).outcome == "accepted"

            for _ in range(0, count, 10):
                await asyncio.gather(*(submit() for _ in range(10)))
        return count

    await make_pool(log, cpu="40")
    assert await asyncio.gather(*(writer() for _ in range(4))) == [count] * 4
    events = await log.read_log(after_position=0, limit=10_000)
    assert len(events) == 1 + 2 * 4 * count
    assert [event.version for event in events] == list(range(1, len(events) + 1))


class NoCounter:
    async def active_workflows(self) -> int:
        return 0
