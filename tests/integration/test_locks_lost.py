"""Locks of those who die, are stopped, or can not reach the database: nobody holds one for ever."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.errors import LockLost, LogUnavailable
from infrastructure.locks import adapter, asking, place
from infrastructure.locks.place import Place
from infrastructure.pools import Pool
from projections.errors import ReadModelsUnavailable
from tests.support.locking import (
    WORKFLOW,
    Two,
    accepted,
    admin,
    amend,
    end_session,
    is_waited_for,
    stop_beats,
    two_managers,
    until,
    until_true,
    wait_for,
)
from tests.support.postgres import rows, value


@pytest.fixture
async def managers(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Two]:
    async with two_managers(database_url, redis_url, tenant) as managers:
        yield managers


async def test_a_holder_that_dies_holds_up_nobody(managers: Two) -> None:
    one, another = managers

    async def hold() -> None:
        async with one.exclusive_lock(WORKFLOW):
            await end_session(one)
            assert (await amend(another, 1)).outcome == "accepted"
            answer = await amend(one, 2)
            assert (answer.outcome, answer.problem and answer.problem.code) == ("failed", "lock_lost")
            await until(lambda: one.platform.locks.figures.losses > 0)  # a beat comes every two seconds

    with pytest.raises(LockLost):
        await hold()
    async with another.exclusive_lock(WORKFLOW, timeout=1.0):
        pass


async def test_a_holder_that_was_stopped_loses_it_to_one_that_waits(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    monkeypatch.setattr(place, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(place, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(place, "LOOK_SECONDS", 0.1)
    stop_beats(one, monkeypatch)

    async def hold() -> None:
        async with one.exclusive_lock(WORKFLOW) as lock:
            async with another.exclusive_lock(WORKFLOW, timeout=20.0) as newer:
                assert newer.token > lock.token
                answer = await amend(one, 1)
                assert answer.problem is not None
                assert answer.problem.code == "lock_lost"
                assert (await amend(another, 2)).outcome == "accepted"
            lock.is_lost = True  # what a beat would have seen

    with pytest.raises(LockLost):
        await hold()
    assert (await another.get_workflow("w"))["context"] == {"a": 2}


async def test_a_silent_holder_is_no_longer_in_the_way_of_commands(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    monkeypatch.setattr(place, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(place, "BEAT_SECONDS", 3600.0)

    async def hold() -> None:
        async with one.exclusive_lock(WORKFLOW) as lock:
            await until_true(lambda: accepted(another))
            answer = await amend(one, 2)
            assert answer.problem is not None
            assert answer.problem.code == "lock_lost", "somebody may have written meanwhile"
            await until(lambda: lock.is_lost)

    with pytest.raises(LockLost):
        await hold()


WAITS = "SELECT p.pid FROM lock_places p JOIN lock_waiters w ON w.place = p.place"


async def test_whoever_waits_when_the_database_goes_away_waits_on_in_another_place_within_the_time(
    managers: Two,
) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW), admin(one) as connection:
        waiting = asyncio.create_task(wait_for(another))
        await until_true(lambda: is_waited_for(one))
        first = await value(connection, WAITS)
        await rows(connection, "SELECT pg_terminate_backend(%s)", first)

        async def waits_again() -> bool:
            return any(pid != first for (pid,) in await rows(connection, WAITS))

        await until_true(waits_again)
        assert not waiting.done()
    await waiting
    assert (await another.locks(), another.platform.locks.figures.waiting) == ([], 0)


async def test_whoever_has_waited_for_long_enough_hears_that_the_database_is_away(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    @asynccontextmanager
    async def away(*_: object) -> AsyncIterator[Place]:
        nonlocal tries
        tries += 1
        raise LogUnavailable("away")
        yield

    monkeypatch.setattr(adapter, "open_place", away)
    monkeypatch.setattr(adapter, "AGAIN_SECONDS", 0.01)
    with pytest.raises(LogUnavailable, match="away"):
        await wait_for(managers[0], timeout=0.1)
    assert tries > 1


async def test_those_who_come_while_the_database_is_away_try_it_once_for_all(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = managers
    tries, go_on = 0, asyncio.Event()

    @asynccontextmanager
    async def away(*_: object) -> AsyncIterator[Place]:
        nonlocal tries
        tries += 1
        await go_on.wait()
        raise LogUnavailable("away")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(adapter, "open_place", away)
        waiting = [asyncio.create_task(wait_for(one, timeout=0)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go_on.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError, LogUnavailable, LogUnavailable]
    assert tries == 1
    await wait_for(one)


async def test_whoever_goes_does_not_wait_for_a_database_that_says_nothing(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    say = asking.ask

    async def ask(pool: Pool, query: str, **facts: Any) -> list[Any]:
        if query == "leave":
            await asyncio.Event().wait()
        return await say(pool, query, **facts)

    monkeypatch.setattr(place, "ask", ask)
    monkeypatch.setattr(place, "LEAVE_SECONDS", 0.1)
    async with one.exclusive_lock(WORKFLOW):
        pass
    assert len(await another.locks()) == 1


async def test_what_could_not_be_said_when_it_was_let_go_of_is_said_later(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    say, fails = asking.ask, True

    async def ask(pool: Pool, query: str, **facts: Any) -> list[Any]:
        if query == "leave" and fails:
            raise ReadModelsUnavailable("away")
        return await say(pool, query, **facts)

    monkeypatch.setattr(place, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(place, "ask", ask)
    async with one.exclusive_lock(WORKFLOW):
        pass
    assert len(await another.locks()) == 1
    fails = False
    async with another.exclusive_lock(WORKFLOW, timeout=20.0):
        pass


async def test_who_came_into_the_database_after_he_had_gone_is_found_there(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    say, late = asking.ask, []

    async def ask(pool: Pool, query: str, **facts: Any) -> list[Any]:
        if query == "ask":
            late.append(facts)
            raise ReadModelsUnavailable("no answer came")
        return await say(pool, query, **facts)

    monkeypatch.setattr(place, "BEAT_SECONDS", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(place, "ask", ask)
        with pytest.raises(LogUnavailable):
            await wait_for(one, timeout=2.0)
    await say(one.platform.writer_pool, "ask", **late[0])
    assert len(await one.locks()) == 1
    async with another.exclusive_lock(WORKFLOW, timeout=20.0):
        pass


async def test_a_token_whose_answer_was_lost_is_found_again(managers: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = managers
    say = asking.ask
    lost: list[object] = []

    async def ask(pool: Pool, query: str, **facts: Any) -> list[Any]:
        found = await say(pool, query, **facts)
        if query == "look" and found and not lost:
            lost.append(found)
            raise ReadModelsUnavailable("away")
        return found

    monkeypatch.setattr(place, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(place, "ask", ask)
    async with one.exclusive_lock(WORKFLOW):
        waiting = asyncio.create_task(wait_for(one), context=contextvars.Context())
        await until_true(lambda: is_waited_for(one))
    await waiting
    assert len(lost) == 1
    assert await one.locks() == []


async def test_what_is_left_of_those_who_died_is_cleared_away_by_whoever_is_there(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    monkeypatch.setattr(place, "BEAT_SECONDS", 0.05)

    async def hold() -> None:
        async with one.exclusive_lock(WORKFLOW):
            await end_session(one)
            async with another.exclusive_lock("workflow:u"), admin(one) as connection:

                async def is_clear() -> bool:
                    return await value(connection, "SELECT count(*) FROM lock_places") == 1

                await until_true(is_clear)
                assert await value(connection, "SELECT stream_id FROM locks") == "workflow-u"

    with pytest.raises(LockLost):
        await hold()
