"""Exclusive locks: what others submit meanwhile is not appended, and nobody holds one for ever."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from commands.envelope import Answer
from domain.errors import InvalidInput, LockDeadlock, LockLost, LockTimeout, LogUnavailable
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Pool, Role
from infrastructure.locks import place
from infrastructure.locks.place import Place
from infrastructure.migrations import drop_tenant
from projections.errors import ReadModelsUnavailable
from tests.support.postgres import connected, rows, value

WORKFLOW = "workflow:w"


@pytest.fixture
async def managers(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[tuple[StateManager, StateManager]]:
    """Two, as of two processes."""
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_state_manager(settings, default_actor="one"))
        another = await stack.enter_async_context(open_state_manager(settings, default_actor="another"))
        for id in ("w", "v"):
            answer = await one.submit({"type": "CreateWorkflow", "data": {"workflow_id": id, "definition_id": "d"}})
            assert answer.outcome == "accepted"
        yield one, another
    await drop_tenant(database_url, tenant)


async def amend(manager: StateManager, value: object, id: str = "w") -> Answer:
    return await manager.submit({"type": "AmendWorkflow", "data": {"workflow_id": id, "context": {"a": value}}})


async def test_what_others_submit_meanwhile_is_not_appended_and_not_recorded(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW, holder="the auditor") as lock:
        refused = await another.submit(
            {
                "type": "AmendWorkflow",
                "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
                "data": {"workflow_id": "w", "context": {"a": 2}},
            }
        )
        assert refused.outcome == "failed"
        assert refused.problem is not None
        assert refused.problem.code == "locked"
        assert refused.problem.message.startswith("workflow-w is locked by the auditor since ")
        assert (await amend(one, 1)).outcome == "accepted"
        assert (await amend(another, 1, "v")).outcome == "accepted", "another workflow is nobody's"
        assert (await another.get_workflow("w"))["context"] == {"a": 1}
    again = await another.submit(
        {
            "type": "AmendWorkflow",
            "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
            "data": {"workflow_id": "w", "context": {"a": 2}},
        }
    )
    assert (again.outcome, again.repeated) == ("accepted", False)
    assert lock.token > 0


async def test_in_a_group_only_the_commands_on_what_is_locked_and_what_stands_on_them_are_held_back(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW):
        answers = await asyncio.gather(
            amend(another, 1, "v"),
            amend(another, 1),
            another.submit({"type": "StartWorkflow", "data": {"workflow_id": "w"}}),
            amend(another, 2, "v"),
        )
    codes = [answer.problem.code if answer.problem else answer.outcome for answer in answers]
    assert codes == ["accepted", "locked", "locked", "accepted"]
    assert (await another.get_workflow("v"))["context"] == {"a": 2}


async def test_the_next_one_has_it_when_the_block_ends_and_tokens_rise(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    order: list[str] = []

    async def critical(manager: StateManager, name: str) -> int:
        async with manager.exclusive_lock(WORKFLOW) as lock:
            order.append(f"{name} in")
            workflow = await manager.get_workflow("w")
            workflow.context["count"] = workflow.context.get("count", 0) + 1
            await asyncio.sleep(0.01)
            await manager.update_workflow(workflow)
            order.append(f"{name} out")
            return lock.token

    tokens = await asyncio.gather(*(critical(manager, f"{n}") for n, manager in enumerate([one, another] * 4)))
    assert (await one.get_workflow("w"))["context"] == {"count": 8}
    assert len(set(tokens)) == 8
    assert [order[n].split()[0] for n in range(0, 16, 2)] == [order[n].split()[0] for n in range(1, 16, 2)]
    assert one.platform.locks.figures.taken == 4
    assert one.platform.locks.figures.held == 0


async def test_whoever_waits_for_too_long_is_told_who_has_it(managers: tuple[StateManager, StateManager]) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW, holder="the auditor"):
        with pytest.raises(LockTimeout, match=r"workflow-w has been locked by the auditor for the 0.1 s"):
            async with another.exclusive_lock(WORKFLOW, timeout=0.1):
                raise AssertionError
    assert another.platform.locks.figures.timeouts == 1
    async with another.exclusive_lock(WORKFLOW, timeout=0.1):
        pass


async def test_two_who_wait_for_each_other_are_found(managers: tuple[StateManager, StateManager]) -> None:
    one, another = managers
    both = asyncio.Barrier(2)

    async def take(manager: StateManager, first: str, second: str) -> str:
        try:
            async with manager.exclusive_lock(first):
                await both.wait()
                async with manager.exclusive_lock(second):
                    return "both"
        except LockDeadlock as error:
            return error.message

    found = await asyncio.gather(take(one, WORKFLOW, "workflow:v"), take(another, "workflow:v", WORKFLOW))
    assert found.count("both") == 1
    assert any("take them in an agreed order" in one for one in found)
    assert one.platform.locks.figures.deadlocks + another.platform.locks.figures.deadlocks == 1


async def test_within_itself_it_is_the_same_lock_and_other_tasks_wait(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, _ = managers
    async with one.exclusive_lock(WORKFLOW) as lock:
        async with one.exclusive_lock(WORKFLOW) as again:
            assert again is lock
        assert (await amend(one, 1)).outcome == "accepted", "it was let go of by the inner block"
        inside = 0

        async def second() -> None:
            nonlocal inside
            async with one.exclusive_lock("workflow:v"):
                inside += 1
                assert inside == 1, "two tasks have it at once"
                assert (await amend(one, str(uuid4()), "v")).outcome == "accepted"
                await asyncio.sleep(0.01)
                inside -= 1

        await asyncio.gather(second(), second(), second())


async def test_a_holder_that_dies_holds_up_nobody(managers: tuple[StateManager, StateManager]) -> None:
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
    managers: tuple[StateManager, StateManager], monkeypatch: pytest.MonkeyPatch
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
    managers: tuple[StateManager, StateManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    monkeypatch.setattr(place, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(place, "BEAT_SECONDS", 3600.0)
    async with one.exclusive_lock(WORKFLOW):
        await until_true(lambda: accepted(another))
        answer = await amend(one, 2)
        assert answer.problem is not None
        assert answer.problem.code == "lock_lost", "somebody may have written meanwhile"


async def test_who_holds_and_who_waits_can_be_seen(managers: tuple[StateManager, StateManager]) -> None:
    one, another = managers
    assert await one.locks() == []
    async with one.exclusive_lock(WORKFLOW, holder="the auditor"):
        waiting = asyncio.create_task(wait_for(another))
        await until_true(lambda: is_waited_for(one))
        (held,) = await one.locks()
        assert (held.stream_id, held.holder) == ("workflow-w", "the auditor")
        (waiter,) = held.waiters
        assert waiter.name == "another who waits"
        assert waiter.since is not None
    await waiting


async def wait_for(manager: StateManager) -> None:
    async with manager.exclusive_lock(WORKFLOW, holder="another who waits"):
        pass


async def test_one_that_no_longer_waits_leaves_nothing_behind(managers: tuple[StateManager, StateManager]) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW):
        waiting = asyncio.create_task(wait_for(another))
        await until_true(lambda: is_waited_for(one))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await one.locks())[0].waiters == ()
    async with one.exclusive_lock(WORKFLOW, timeout=1.0):
        pass


async def test_a_transaction_within_is_under_the_lock(managers: tuple[StateManager, StateManager]) -> None:
    one, _ = managers
    async with one.exclusive_lock(WORKFLOW), one.transaction() as transaction:
        workflow = await transaction.get_workflow("w")
        workflow.context["a"] = 1
        await transaction.update_workflow(workflow)
    assert (await one.get_workflow("w"))["context"] == {"a": 1}


async def test_tasks_that_take_it_again_have_it_in_turn_and_it_lasts_until_the_last_of_them_leaves(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    inside, taken, go_on = 0, asyncio.Event(), asyncio.Event()

    async def again() -> None:
        nonlocal inside
        async with one.exclusive_lock(WORKFLOW):
            inside += 1
            assert inside == 1, "two tasks have it at once"
            taken.set()
            await go_on.wait()
            assert (await amend(one, str(uuid4()))).outcome == "accepted"
            inside -= 1

    async with one.exclusive_lock(WORKFLOW):
        tasks = [asyncio.create_task(again()) for _ in range(3)]
        await taken.wait()
    assert problem_of(await amend(another, 1)) == "locked", "those within have not left"
    go_on.set()
    await asyncio.gather(*tasks)
    assert await one.locks() == []
    assert problem_of(await amend(another, 1)) is None


async def test_a_task_within_does_not_wait_for_its_turn_without_an_end(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, _ = managers
    taken = asyncio.Event()

    async def first() -> None:
        async with one.exclusive_lock(WORKFLOW):
            taken.set()
            await asyncio.Event().wait()

    async def second() -> None:
        await taken.wait()
        async with one.exclusive_lock(WORKFLOW, timeout=0.1):
            raise AssertionError

    async with one.exclusive_lock(WORKFLOW):
        holding = asyncio.create_task(first())
        with pytest.raises(LockTimeout, match="by another task within the same lock for the 0\\.1 s"):
            await asyncio.create_task(second())
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        async with one.exclusive_lock(WORKFLOW, timeout=0.1):
            pass


async def test_a_block_that_was_left_counts_no_more_in_tasks_that_began_there(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    left = asyncio.Event()

    async def outlives() -> str | None:
        await left.wait()
        return problem_of(await amend(one, 1))

    async with one.exclusive_lock(WORKFLOW):
        task = asyncio.create_task(outlives())
    async with another.exclusive_lock(WORKFLOW):
        left.set()
        assert await task == "locked"
    async with one.exclusive_lock(WORKFLOW):
        task = asyncio.create_task(outlives())
        await asyncio.sleep(0)
        left.clear()
    left.set()
    assert await task is None


async def test_tasks_within_one_lock_that_wait_for_each_other_are_found(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, _ = managers
    both = asyncio.Barrier(2)

    async def take(first: str, second: str) -> str:
        try:
            async with one.exclusive_lock(first):
                await both.wait()
                async with one.exclusive_lock(second):
                    return "both"
        except LockDeadlock:
            return "deadlock"

    async with one.exclusive_lock(WORKFLOW):
        found = await asyncio.gather(take("workflow:v", "workflow:u"), take("workflow:u", "workflow:v"))
    assert sorted(found) == ["both", "deadlock"]


async def test_three_that_wait_in_a_circle_are_found_and_only_one_is_refused(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    names, all_have = ["workflow:u", "workflow:v", "workflow:w"], asyncio.Barrier(3)

    async def take(n: int) -> str:
        manager = (one, another)[n % 2]
        try:
            async with manager.exclusive_lock(names[n]):
                await all_have.wait()
                async with manager.exclusive_lock(names[(n + 1) % 3]):
                    return "both"
        except LockDeadlock:
            return "deadlock"

    assert sorted(await asyncio.gather(*map(take, range(3)))) == ["both", "both", "deadlock"]
    assert one.platform.locks.figures.deadlocks + another.platform.locks.figures.deadlocks == 1


async def test_who_came_first_has_it_first_whichever_process_it_is_in(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, _ = managers
    order: list[int] = []

    async def wait(manager: StateManager, number: int) -> None:
        async with manager.exclusive_lock(WORKFLOW):
            order.append(number)

    async with one.exclusive_lock(WORKFLOW):
        tasks = []
        for number in range(6):
            waiting = wait(managers[number % 2], number)
            tasks.append(asyncio.create_task(waiting, context=contextvars.Context()))
            await until_true(lambda: count_waiters(one, len(tasks)))
    await asyncio.gather(*tasks)
    assert order == list(range(6))


async def test_whoever_waits_hears_that_the_database_is_gone_and_the_next_one_has_another_place(
    managers: tuple[StateManager, StateManager],
) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW):
        waiting = asyncio.create_task(wait_for(another))
        await until_true(lambda: is_waited_for(one))
        async with admin(one) as connection:
            pid = await value(connection, "SELECT p.pid FROM lock_places p JOIN lock_waiters w ON w.place = p.place")
            await rows(connection, "SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(LogUnavailable, match="try again"):
            await waiting
        assert (await one.locks())[0].waiters == ()
    async with another.exclusive_lock(WORKFLOW, timeout=5.0):
        assert problem_of(await amend(one, 1)) == "locked"


async def test_what_could_not_be_said_when_it_was_let_go_of_is_said_later(
    managers: tuple[StateManager, StateManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = managers
    say, fails = place.ask, True

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


async def test_a_token_whose_answer_was_lost_is_found_again(
    managers: tuple[StateManager, StateManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = managers
    say = place.ask
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
    managers: tuple[StateManager, StateManager], monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), -1, True, "5", None, 10**99])
async def test_a_time_that_is_none_is_refused(managers: tuple[StateManager, StateManager], timeout: Any) -> None:
    with pytest.raises(InvalidInput, match="timeout: must be a number of seconds from 0 to 86400"):
        async with managers[0].exclusive_lock(WORKFLOW, timeout=timeout):
            raise AssertionError


async def test_without_any_patience_it_is_had_at_once_or_not(managers: tuple[StateManager, StateManager]) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW, timeout=0):
        with pytest.raises(LockTimeout):
            async with another.exclusive_lock(WORKFLOW, timeout=0):
                raise AssertionError


@pytest.mark.parametrize("name", ["workflow:\x00", "workflow:\ud800", "workflow:" + "x" * 256, "workflow: a"])
async def test_an_id_that_can_be_none_is_refused(managers: tuple[StateManager, StateManager], name: str) -> None:
    with pytest.raises(InvalidInput, match="The name of the lock is not valid: id: must"):
        async with managers[0].exclusive_lock(name):
            raise AssertionError


@pytest.mark.parametrize("name", ["w", "workflow", "workflow:", "wf:w", ":w"])
async def test_a_lock_of_nothing_is_refused(managers: tuple[StateManager, StateManager], name: str) -> None:
    with pytest.raises(InvalidInput, match="There is no lock"):
        async with managers[0].exclusive_lock(name):
            raise AssertionError


async def test_only_by_its_functions_may_the_writer_change_locks(
    managers: tuple[StateManager, StateManager], database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        for table in ("locks", "lock_waiters", "lock_places"):
            for right in ("INSERT", "UPDATE", "DELETE"):
                query = "SELECT has_table_privilege(%s, %s)"
                assert await value(connection, query, table, right) is False


def stop_beats(manager: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process of one were stopped."""
    beat, pool = Place._beat, manager.platform.writer_pool

    async def unless_stopped(self: Place) -> None:
        await (asyncio.Event().wait() if self._pool is pool else beat(self))

    monkeypatch.setattr(Place, "_beat", unless_stopped)


async def end_session(manager: StateManager) -> None:
    async with admin(manager) as connection:
        pid = await value(connection, "SELECT p.pid FROM lock_places p JOIN locks l ON l.place = p.place")
        await rows(connection, "SELECT pg_terminate_backend(%s)", pid)

        async def is_gone() -> bool:
            return not await rows(connection, "SELECT FROM pg_stat_activity WHERE pid = %s", pid)

        await until_true(is_gone)


def problem_of(answer: Answer) -> str | None:
    return answer.problem.code if answer.problem is not None else None


async def count_waiters(manager: StateManager, count: int) -> bool:
    return len((await manager.locks())[0].waiters) == count


async def accepted(manager: StateManager) -> bool:
    return (await amend(manager, 1)).outcome == "accepted"


async def is_waited_for(manager: StateManager) -> bool:
    return bool((await manager.locks())[0].waiters)


async def until(found: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return found()

    await until_true(ask)


async def until_true(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await ask():  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.02)


@asynccontextmanager
async def admin(manager: StateManager) -> AsyncIterator[Any]:
    platform = manager.platform
    async with connected(platform.servers.database_url, platform.settings.tenant) as connection:
        yield connection
