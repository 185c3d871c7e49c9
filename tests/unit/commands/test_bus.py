"""The command bus: groups, back-pressure, submitters that go away, and shutting down."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from commands.bus import MANY, BusClosed, Busy, CommandBus
from commands.envelope import Answer
from commands.groups import Pending
from commands.messages import workflow as workflows
from commands.messages.agent import Heartbeat
from domain.errors import LogError, LogUnavailable
from domain.log import AppendOutcome, CommandAppend
from tests.support.command_world import Clock, World, create_workflow, envelope, register_agent
from tests.support.memory_log import MemoryEventLog


class GatedLog(MemoryEventLog):
    """A log behind a gate, so that a test says when an append may go on; `groups` are their sizes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.gate = asyncio.Event()
        self.groups: list[int] = []

    async def append(self, commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        self.groups.append(len(commands))
        await self.gate.wait()
        return await super().append(commands)


def make_bus(
    retries: Sequence[float] = (), queue_size: int = 100, group_size: int = 100
) -> tuple[CommandBus, World, GatedLog]:
    clock = Clock()
    log = GatedLog(clock)
    world = World(log, clock, retries=retries)
    return CommandBus(world.committer, queue_size=queue_size, group_size=group_size), world, log


def submissions(bus: CommandBus, *names: str) -> list[asyncio.Task[Answer]]:
    return [asyncio.create_task(bus.submit(envelope(create_workflow(name)))) for name in names]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_command_is_answered() -> None:
    world = World()
    async with CommandBus(world.committer) as bus:
        answer = await bus.submit(envelope(create_workflow()))
    assert (answer.outcome, answer.position, answer.versions) == ("accepted", 1, {"workflow-wf": 1})


async def test_what_arrives_while_a_group_is_in_flight_goes_into_the_next_one() -> None:
    bus, _, log = make_bus(group_size=3)
    signals: list[int] = []
    bus._on_commit = lambda: signals.append(1)
    async with bus:
        first = submissions(bus, "a")
        await settled()
        rest = submissions(bus, *"bcdef")
        await settled()
        log.gate.set()
        answers = await asyncio.gather(*first, *rest)
    assert log.groups == [1, 3, 2]
    assert [answer.position for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert len(signals) == 3


async def test_the_next_group_is_decided_on_what_the_one_in_flight_leaves() -> None:
    bus, world, log = make_bus()
    async with bus:
        first = submissions(bus, "a")
        await settled()
        second = asyncio.create_task(bus.submit(envelope(workflows.StartWorkflow(workflow_id="a"))))
        await settled()
        assert len(world.committer.open) == 1
        log.gate.set()
        assert [one.outcome for one in await asyncio.gather(*first, second)] == ["accepted"] * 2
    assert world.types("workflow-a") == ["WorkflowCreated", "WorkflowStarted"]


async def test_of_many_half_go_ahead_and_what_is_to_be_decided_again_counts() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    half = MANY // 2
    answers: list[Answer | LogError] = []
    world.committer.again.extend(Pending(envelope(create_workflow(f"w{n}")), answers.append) for n in range(half))
    waiting = submissions(bus, *(f"x{n}" for n in range(half)))
    async with bus:
        await asyncio.gather(*waiting)
    assert log.groups == [half, half]
    assert len(answers) == half


async def test_the_next_group_leaves_before_the_one_that_has_landed_is_answered() -> None:
    bus, _, log = make_bus()
    left_by_then: list[int] = []

    async def submit() -> None:
        await bus.submit(envelope(create_workflow("a")))
        left_by_then.append(len(log.groups))

    async with bus:
        first = asyncio.create_task(submit())
        await settled()
        second = submissions(bus, "b")
        await settled()
        log.gate.set()
        await asyncio.gather(first, *second)
    assert left_by_then == [2]


async def test_a_full_queue_says_try_later_at_once_and_takes_more_afterwards() -> None:
    bus, _, log = make_bus(queue_size=2, group_size=1)
    async with bus:
        under_way = submissions(bus, "a", "b")  # in flight, and decided
        await settled()
        waiting = submissions(bus, "c", "d")
        await settled()
        with pytest.raises(Busy, match="2 commands are waiting already; try again"):
            await bus.submit(envelope(create_workflow("e")))
        log.gate.set()
        await asyncio.gather(*under_way, *waiting)
        assert (await bus.submit(envelope(create_workflow("e")))).outcome == "accepted"


async def test_a_submitter_that_goes_away_cancels_nothing() -> None:
    bus, world, log = make_bus()
    async with bus:
        gone, stays = submissions(bus, "a", "b")
        await settled()
        gone.cancel()
        await settled()
        log.gate.set()
        assert (await stays).outcome == "accepted"
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert world.workflow("a").state == "created"


async def test_leaving_answers_all_that_was_accepted_and_takes_no_more() -> None:
    bus, _, log = make_bus(queue_size=5, group_size=2)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bus)
        waiting = submissions(bus, *"abcde")
        await settled()
        leaving = asyncio.create_task(stack.aclose())
        await settled()
        with pytest.raises(BusClosed):
            await bus.submit(envelope(create_workflow("late")))
        log.gate.set()
        await leaving
        assert [one.result().outcome for one in waiting] == ["accepted"] * 5


async def test_one_command_id_twice_at_once_is_done_once() -> None:
    world = World()
    given = envelope(create_workflow())
    async with CommandBus(world.committer) as bus:
        answers = await asyncio.gather(*(bus.submit(given) for _ in range(5)))
    assert [answer.repeated for answer in answers] == [False, True, True, True, True]
    assert {answer.position for answer in answers} == {1}
    assert world.types("workflow-wf") == ["WorkflowCreated"]


async def test_one_command_id_for_two_commands_at_once_gives_the_second_one_no_answer_of_the_first() -> None:
    world = World()
    given = envelope(create_workflow())
    other = envelope(create_workflow("w2"), command_id=given.command_id)
    async with CommandBus(world.committer) as bus:
        first, second = await asyncio.gather(bus.submit(given), bus.submit(other))
    assert (first.outcome, second.outcome) == ("accepted", "invalid")


async def test_a_log_that_fails_fails_its_group_alone_and_the_same_ids_may_come_again() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    given = [envelope(create_workflow(name)) for name in "ab"]
    async with bus:
        world.log.outage = LogUnavailable()
        outcomes = await asyncio.gather(*map(bus.submit, given), return_exceptions=True)
        assert [type(one) for one in outcomes] == [LogUnavailable] * 2
        world.log.outage = None
        answers = await asyncio.gather(*map(bus.submit, given))
    assert [(answer.outcome, answer.repeated) for answer in answers] == [("accepted", False)] * 2


async def test_an_append_whose_answer_is_lost_is_sent_again_and_done_once() -> None:
    bus, world, log = make_bus(retries=(0.0, 0.01))
    log.gate.set()
    append = log.append
    lost = 0

    async def append_and_lose_the_answer(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        nonlocal lost
        outcomes = await append(commands)
        lost += 1
        if lost < 3:
            raise LogUnavailable()
        return outcomes

    log.append = append_and_lose_the_answer  # type: ignore[method-assign]  # a line that breaks
    async with bus:
        answers = await asyncio.gather(*submissions(bus, "a", "b"))
        more = await bus.submit(envelope(workflows.StartWorkflow(workflow_id="a")))
    assert [(answer.outcome, answer.repeated, answer.position) for answer in answers] == [
        ("accepted", False, 1),
        ("accepted", False, 2),
    ]
    assert more.outcome == "accepted"
    assert world.types("workflow-a") == ["WorkflowCreated", "WorkflowStarted"]


async def test_a_submitter_that_went_away_from_a_group_that_failed_leaves_no_noise() -> None:
    bus, world, log = make_bus()
    async with bus:
        (gone,) = submissions(bus, "a")
        await settled()
        world.log.outage = LogUnavailable()
        gone.cancel()
        log.gate.set()
        await asyncio.gather(gone, return_exceptions=True)


async def test_the_bus_outlives_a_fault_in_a_group() -> None:
    bus, _, log = make_bus()
    append = log.append

    async def broken(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        raise ZeroDivisionError("of ours")

    log.gate.set()
    log.append = broken  # type: ignore[method-assign]
    async with bus:
        with pytest.raises(LogUnavailable, match="could not be committed"):
            await bus.submit(envelope(create_workflow()))
        log.append = append  # type: ignore[method-assign]
        assert (await bus.submit(envelope(create_workflow()))).outcome == "accepted"


async def test_after_a_fault_all_that_was_under_way_is_answered_and_may_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus, world, log = make_bus()
    log.gate.set()

    async def broken(_: object) -> None:
        raise ZeroDivisionError("of ours")

    async with bus:
        await bus.submit(envelope(register_agent("a1")))
        monkeypatch.setattr(world.presence, "record", broken)
        log.gate.clear()
        beating = [*submissions(bus, "a"), asyncio.create_task(bus.submit(envelope(Heartbeat(agent_id="a1"))))]
        await settled()
        given = envelope(create_workflow("b"))
        decided = [asyncio.create_task(bus.submit(given)) for _ in range(2)]
        await settled()
        log.gate.set()
        assert [one.outcome for one in await asyncio.gather(*beating)] == ["accepted", "accepted"]
        for one in await asyncio.gather(*decided, return_exceptions=True):
            assert isinstance(one, LogUnavailable)
            assert one.message == "The commands could not be committed (of ours); try again."
        monkeypatch.undo()
        assert (await bus.submit(given)).outcome == "accepted"
        assert (await bus.submit(envelope(workflows.StartWorkflow(workflow_id="b")))).outcome == "accepted"
    assert world.types("workflow-b") == ["WorkflowCreated", "WorkflowStarted"]


async def test_a_conflict_is_an_answer_and_no_error() -> None:
    world = World()
    async with CommandBus(world.committer) as bus:
        await bus.submit(envelope(create_workflow()))
        answer = await bus.submit(envelope(workflows.StartWorkflow(workflow_id="wf"), expected=7))
    assert (answer.outcome, answer.ok) == ("conflict", False)


async def test_a_repetition_of_a_command_that_is_lost_and_then_fails_is_answered_too() -> None:
    bus, world, log = make_bus()
    other = World(log, world.clock)
    given = envelope(workflows.StartWorkflow(workflow_id="a"))
    log.gate.set()
    async with bus:
        assert (await bus.submit(envelope(create_workflow("a")))).outcome == "accepted"
        log.gate.clear()
        first = asyncio.create_task(bus.submit(given))
        await settled()
        again = asyncio.create_task(bus.submit(given))
        await settled()
        log.gate.set()
        await other.committer.commit([envelope(workflows.StartWorkflow(workflow_id="a"))])
        outcomes = await asyncio.wait_for(asyncio.gather(first, again), 20)
    assert [(one.outcome, one.repeated) for one in outcomes] == [("unchanged", False), ("unchanged", True)]


async def test_commands_that_are_to_be_decided_again_count_for_the_queue() -> None:
    bus, world, _ = make_bus(queue_size=1)
    async with bus:
        world.committer.again.extend([Pending(envelope(create_workflow("a")), lambda _: None)])
        with pytest.raises(Busy):
            await bus.submit(envelope(create_workflow("b")))
        world.committer.again.clear()
