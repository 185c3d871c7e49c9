"""Exclusive locks: what others submit meanwhile is not appended, and who waits for each other is found."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import InvalidInput, LockDeadlock, LockTimeout
from dora_state.state_manager import StateManager
from infrastructure.database import Role
from tests.support.locking import (
    WORKFLOW,
    Two,
    amend,
    count_waiters,
    is_waited_for,
    two_managers,
    until_true,
    wait_for,
)
from tests.support.postgres import connected, value


@pytest.fixture
async def managers(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Two]:
    async with two_managers(database_url, redis_url, tenant) as managers:
        yield managers


async def test_what_others_submit_meanwhile_is_not_appended_and_not_recorded(
    managers: Two,
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
    managers: Two,
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
    managers: Two,
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


async def test_whoever_waits_for_too_long_is_told_who_has_it(managers: Two) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW, holder="the auditor"):
        with pytest.raises(LockTimeout, match=r"workflow-w has been locked by the auditor for the 0.1 s"):
            async with another.exclusive_lock(WORKFLOW, timeout=0.1):
                raise AssertionError
    assert another.platform.locks.figures.timeouts == 1
    async with another.exclusive_lock(WORKFLOW, timeout=0.1):
        pass


async def test_two_who_wait_for_each_other_are_found(managers: Two) -> None:
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


async def test_who_holds_and_who_waits_can_be_seen(managers: Two) -> None:
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


async def test_one_that_no_longer_waits_leaves_nothing_behind(managers: Two) -> None:
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


async def test_three_that_wait_in_a_circle_are_found_and_only_one_is_refused(
    managers: Two,
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
    managers: Two,
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


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), -1, True, "5", None, 10**99])
async def test_a_time_that_is_none_is_refused(managers: Two, timeout: Any) -> None:
    with pytest.raises(InvalidInput, match="timeout: must be a number of seconds from 0 to 86400"):
        async with managers[0].exclusive_lock(WORKFLOW, timeout=timeout):
            raise AssertionError


async def test_without_any_patience_it_is_had_at_once_or_not(managers: Two) -> None:
    one, another = managers
    async with one.exclusive_lock(WORKFLOW, timeout=0):
        with pytest.raises(LockTimeout):
            async with another.exclusive_lock(WORKFLOW, timeout=0):
                raise AssertionError


@pytest.mark.parametrize("name", ["workflow:\x00", "workflow:\ud800", "workflow:" + "x" * 256, "workflow: a"])
async def test_an_id_that_can_be_none_is_refused(managers: Two, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"There is no lock .*: must"):
        async with managers[0].exclusive_lock(name):
            raise AssertionError


@pytest.mark.parametrize("name", ["w", "workflow", "workflow:", "wf:w", ":w"])
async def test_a_lock_of_nothing_is_refused(managers: Two, name: str) -> None:
    with pytest.raises(InvalidInput, match="There is no lock"):
        async with managers[0].exclusive_lock(name):
            raise AssertionError


async def test_only_by_its_functions_may_the_writer_change_locks(managers: Two, database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        for table in ("locks", "lock_waiters", "lock_places"):
            for right in ("INSERT", "UPDATE", "DELETE"):
                query = "SELECT has_table_privilege(%s, %s)"
                assert await value(connection, query, table, right) is False
