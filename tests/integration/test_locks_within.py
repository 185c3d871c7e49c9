"""Locks and the tasks that begin within them."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from domain.errors import LockDeadlock, LockTimeout
from tests.support.locking import (
    WORKFLOW,
    Two,
    amend,
    problem_of,
    two_managers,
)


@pytest.fixture
async def managers(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Two]:
    async with two_managers(database_url, redis_url, tenant) as managers:
        yield managers


async def test_within_itself_it_is_the_same_lock_and_other_tasks_wait(
    managers: Two,
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


async def test_tasks_that_take_it_again_have_it_in_turn_and_it_lasts_until_the_last_of_them_leaves(
    managers: Two,
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
    managers: Two,
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


async def test_a_block_that_was_left_counts_no_more_in_tasks_that_began_there(managers: Two) -> None:
    one, another = managers
    left = asyncio.Event()

    async def outlives() -> list[str | None]:
        await left.wait()
        async with another.exclusive_lock(WORKFLOW):
            meanwhile = problem_of(await amend(one, 1))
        return [meanwhile, problem_of(await amend(one, 1))]

    async with one.exclusive_lock(WORKFLOW):
        task = asyncio.create_task(outlives())
    left.set()
    assert await task == ["locked", None]


async def test_tasks_within_one_lock_that_wait_for_each_other_are_found(
    managers: Two,
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


async def test_a_transaction_within_is_under_the_lock(managers: Two) -> None:
    one, _ = managers
    async with one.exclusive_lock(WORKFLOW), one.transaction() as transaction:
        workflow = await transaction.get_workflow("w")
        workflow.context["a"] = 1
        await transaction.update_workflow(workflow)
    assert (await one.get_workflow("w"))["context"] == {"a": 1}
