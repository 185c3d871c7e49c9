"""What a cancellation must not cut short is done when whoever waited for it goes on."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from infrastructure.whole import whole


class Work:
    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.done = False

    async def do(self) -> None:
        await self.may_end.wait()
        self.done = True

    async def fail(self) -> None:
        await self.may_end.wait()
        raise ValueError("it failed")


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def cancelled(times: int, work: Work, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(whole(coroutine))
    for _ in range(times):
        await turns()
        task.cancel()
    await turns()
    assert not task.done()
    work.may_end.set()
    await asyncio.wait({task})
    return task


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_it_ends_however_often_it_is_cancelled(times: int) -> None:
    work = Work()
    task = await cancelled(times, work, work.do())
    assert task.cancelled()
    assert work.done


async def test_a_failure_is_told() -> None:
    work = Work()
    work.may_end.set()
    with pytest.raises(ValueError, match="it failed"):
        await whole(work.fail())


async def test_a_failure_of_what_was_cancelled_is_the_cause() -> None:
    work = Work()
    task = await cancelled(1, work, work.fail())
    with pytest.raises(asyncio.CancelledError) as told:
        task.result()
    assert isinstance(told.value.__cause__, ValueError)


async def test_a_limit_of_time_holds_after_it() -> None:
    work = Work()
    asyncio.get_running_loop().call_later(0.05, work.may_end.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await whole(work.do())
    assert work.done
