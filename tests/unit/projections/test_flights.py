"""Who asks the same at the same time shares one answer, and nobody pays for another's end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from projections.flights import Flights


class Work:
    """Counts its runs; each waits for the gate, and gives its number."""

    def __init__(self) -> None:
        self.runs = 0
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        mine = self.runs
        self.begun.set()
        await asyncio.sleep(0)  # as whatever asks somebody else
        await self.gate.wait()
        return mine


async def test_those_who_ask_at_once_share_one_run() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    work.gate.set()
    assert await asyncio.gather(*(flights.join("k", work) for _ in range(1_000))) == [1] * 1_000
    assert await flights.join("k", work) == 2


async def test_those_who_come_during_a_run_share_the_next() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    first = asyncio.create_task(flights.join("k", work))
    await work.begun.wait()
    later = [asyncio.create_task(flights.join("k", work)) for _ in range(10)]
    await asyncio.sleep(0)
    work.gate.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2] * 10
    assert work.runs == 2


async def test_different_keys_do_not_wait_for_each_other() -> None:
    flights: Flights[int] = Flights()
    slow, quick = Work(), Work()
    quick.gate.set()
    waiting = asyncio.create_task(flights.join("slow", slow))
    assert await flights.join("quick", quick) == 1
    slow.gate.set()
    await waiting


async def test_when_the_one_who_works_is_cancelled_another_works_for_all() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    tasks = [asyncio.create_task(flights.join("k", work)) for _ in range(5)]
    await work.begun.wait()
    tasks[0].cancel()
    tasks[3].cancel()
    await asyncio.sleep(0)
    work.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in told] == [asyncio.CancelledError, int, int, asyncio.CancelledError, int]
    assert work.runs == 2


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    async def fail() -> int:
        raise ValueError("no")

    flights: Flights[int] = Flights()
    told = await asyncio.gather(*(flights.join("k", fail) for _ in range(3)), return_exceptions=True)
    assert [str(one) for one in told] == ["no"] * 3
    work = Work()
    work.gate.set()
    assert await flights.join("k", work) == 1


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_the_end_of_a_lone_flight_is_complained_of_by_nobody(end: str) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    flights: Flights[int] = Flights()

    async def fail() -> int:
        raise ValueError("no")

    works: dict[str, Callable[[], Awaitable[int]]] = {"cancelled": Work(), "failed": fail}
    task = asyncio.create_task(flights.join("k", works[end]))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() or isinstance(task.exception(), ValueError)
    import gc

    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
