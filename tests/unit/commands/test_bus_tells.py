"""What a command bus tells of its work: to those who count, who trace, and who look for what went wrong."""

import asyncio
import logging
import time
from collections import deque

import pytest

from commands.bus import MANY, Busy, CommandBus
from commands.envelope import Envelope
from commands.figures import UNANSWERED
from commands.groups import Pending
from commands.tracing import NobodyAsks
from domain.errors import LogUnavailable
from tests.support.command_world import World, create_workflow, envelope
from tests.unit.commands.test_bus import make_bus, settled, submissions


async def test_each_answer_is_counted_with_its_type_and_outcome_and_how_long_it_took() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    begun = time.perf_counter()
    async with bus:
        await asyncio.gather(*submissions(bus, "a", "b"))
        await asyncio.gather(*submissions(bus, "b"))
        world.log.outage = LogUnavailable()
        with pytest.raises(LogUnavailable):
            await bus.submit(envelope(create_workflow("c")))
    took = time.perf_counter() - begun
    counted = {(type, outcome): count for type, outcome, count in bus.figures.counts() if count}
    assert counted == {
        ("CreateWorkflow", "accepted"): 2,
        ("CreateWorkflow", "refused"): 1,
        ("CreateWorkflow", UNANSWERED): 1,
    }
    assert 0 <= bus.figures.appends.sum <= took
    assert 0 <= bus.figures.commands.sum <= 4 * took


async def test_whoever_finds_the_queue_full_is_counted() -> None:
    bus, _, log = make_bus(queue_size=2, group_size=1)
    async with bus:
        under_way = submissions(bus, "a", "b")  # in flight, and decided
        await settled()
        under_way += submissions(bus, "c", "d")
        await settled()
        for _ in range(3):
            with pytest.raises(Busy):
                await bus.submit(envelope(create_workflow("e")))
        log.gate.set()
        await asyncio.gather(*under_way)
    assert bus.figures.busy == 3


async def test_who_traces_is_told_which_command_it_is() -> None:
    heard: list[Envelope] = []

    class Listens(NobodyAsks):
        def begin(self, envelope: Envelope) -> None:
            heard.append(envelope)

    given = envelope(create_workflow())
    async with CommandBus(World().committer, tracing=Listens()) as bus:
        await bus.submit(given)
    assert heard == [given]


async def test_a_fault_is_logged_with_where_it_happened_and_what_waits_is_decided_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, world, log = make_bus()
    log.gate.set()
    decide_all, faults = world.committer.decide_all, [ZeroDivisionError("of the committer")]

    async def fails_once(queue: deque[Pending], at_most: int | None = None) -> bool:
        if faults:
            raise faults.pop()
        return await decide_all(queue, at_most)

    world.committer.decide_all = fails_once  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR, "commands.bus"):
        async with bus:
            answer = await bus.submit(envelope(create_workflow()))
    assert answer.outcome == "accepted"
    assert [record.getMessage() for record in caplog.records] == ["The command bus met a fault"]
    assert caplog.records[0].exc_info is not None


async def test_a_fault_that_stays_keeps_nobody_else_from_working() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    decide_all = world.committer.decide_all
    faults: list[float] = []

    async def fails(queue: deque[Pending], at_most: int | None = None) -> bool:
        faults.append(time.monotonic())
        raise ZeroDivisionError

    world.committer.decide_all = fails  # type: ignore[method-assign]
    async with bus:
        (waits,) = submissions(bus, "a")
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(faults) == 1
        world.committer.decide_all = decide_all  # type: ignore[method-assign]
        assert (await waits).outcome == "accepted"


async def test_its_task_says_what_it_is_to_who_looks_at_tasks() -> None:
    async with CommandBus(World().committer):
        assert "command bus" in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_bus_that_is_open_is_not_closing() -> None:
    bus, _, _ = make_bus()
    assert bus.is_closing is False
    async with bus:
        assert bus.is_closing is False
    assert bus.is_closing is True


async def test_many_are_worth_two_appends_and_one_fewer_are_not() -> None:
    for waiting, groups in ((MANY, [MANY // 2, MANY // 2]), (MANY - 1, [MANY - 1])):
        bus, _, log = make_bus()
        log.gate.set()
        async with bus:
            await asyncio.gather(*submissions(bus, *(f"w{number}" for number in range(waiting))))
        assert log.groups == groups, waiting


async def test_the_next_group_leaves_before_the_one_that_has_landed_is_answered() -> None:
    bus, _, log = make_bus()
    at_answer: list[int] = []
    async with bus:
        (first,) = submissions(bus, "a")
        first.add_done_callback(lambda _: at_answer.append(len(log.groups)))
        await settled()
        rest = submissions(bus, "b")
        await settled()
        log.gate.set()
        await asyncio.gather(first, *rest)
    assert at_answer == [2]
