"""The command bus: groups, back-pressure, submitters that go away, and shutting down."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from commands.bus import BusClosed, Busy, CommandBus
from commands.envelope import Answer, Envelope
from commands.messages import workflow as workflows
from domain.errors import LogUnavailable
from tests.support.command_world import World, create_workflow, envelope


class SlowCommitter:
    """The real committer behind a gate, so that a test says when a group may go on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gate = asyncio.Event()
        self.groups: list[int] = []

    async def commit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        self.groups.append(len(envelopes))
        await self.gate.wait()
        return await self.world.committer.commit(envelopes)


def make_bus(world: World, **sizes: int) -> tuple[CommandBus, SlowCommitter]:
    committer = SlowCommitter(world)
    return CommandBus(committer, **sizes), committer  # type: ignore[arg-type]  # it has the one method that is used


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


async def test_what_arrives_while_a_group_is_committed_goes_into_the_next_one() -> None:
    bus, committer = make_bus(World(), group_size=3)
    signals: list[int] = []
    bus._on_commit = lambda: signals.append(1)
    async with bus:
        first = submissions(bus, "a")
        await settled()
        rest = submissions(bus, *"bcdef")
        await settled()
        committer.gate.set()
        answers = await asyncio.gather(*first, *rest)
    assert committer.groups == [1, 3, 2]
    assert [answer.position for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert len(signals) == 3


async def test_a_full_queue_says_try_later_at_once_and_takes_more_afterwards() -> None:
    bus, committer = make_bus(World(), queue_size=2)
    async with bus:
        in_flight = submissions(bus, "a")
        await settled()
        waiting = submissions(bus, "b", "c")
        await settled()
        with pytest.raises(Busy, match="2 commands are waiting already; try again"):
            await bus.submit(envelope(create_workflow("d")))
        committer.gate.set()
        await asyncio.gather(*in_flight, *waiting)
        assert (await bus.submit(envelope(create_workflow("d")))).outcome == "accepted"


async def test_a_submitter_that_goes_away_cancels_nothing() -> None:
    world = World()
    bus, committer = make_bus(world)
    async with bus:
        gone, stays = submissions(bus, "a", "b")
        await settled()
        gone.cancel()
        await settled()
        committer.gate.set()
        assert (await stays).outcome == "accepted"
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert world.workflow("a").state == "created"


async def test_leaving_answers_all_that_was_accepted_and_takes_no_more() -> None:
    bus, committer = make_bus(World(), queue_size=5, group_size=2)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bus)
        waiting = submissions(bus, *"abcde")
        await settled()
        leaving = asyncio.create_task(stack.aclose())
        await settled()
        with pytest.raises(BusClosed):
            await bus.submit(envelope(create_workflow("late")))
        committer.gate.set()
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
    world = World()
    bus, committer = make_bus(world)
    committer.gate.set()
    given = [envelope(create_workflow(name)) for name in "ab"]
    async with bus:
        world.log.outage = LogUnavailable()
        outcomes = await asyncio.gather(*map(bus.submit, given), return_exceptions=True)
        assert [type(one) for one in outcomes] == [LogUnavailable] * 2
        world.log.outage = None
        answers = await asyncio.gather(*map(bus.submit, given))
    assert [(answer.outcome, answer.repeated) for answer in answers] == [("accepted", False)] * 2


async def test_a_submitter_that_went_away_from_a_group_that_failed_leaves_no_noise() -> None:
    world = World()
    bus, committer = make_bus(world)
    world.log.outage = LogUnavailable()
    async with bus:
        (gone,) = submissions(bus, "a")
        await settled()
        gone.cancel()
        committer.gate.set()
        await asyncio.gather(gone, return_exceptions=True)


async def test_the_bus_outlives_a_fault_in_a_group() -> None:
    class Broken(SlowCommitter):
        async def commit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
            if not self.gate.is_set():
                raise ZeroDivisionError("of ours")
            return await super().commit(envelopes)

    committer = Broken(World())
    async with CommandBus(committer) as bus:  # type: ignore[arg-type]  # it has the one method that is used
        with pytest.raises(LogUnavailable, match="could not be committed"):
            await bus.submit(envelope(create_workflow()))
        committer.gate.set()
        assert (await bus.submit(envelope(create_workflow()))).outcome == "accepted"


async def test_a_conflict_is_an_answer_and_no_error() -> None:
    world = World()
    async with CommandBus(world.committer) as bus:
        await bus.submit(envelope(create_workflow()))
        answer = await bus.submit(envelope(workflows.StartWorkflow(workflow_id="wf"), expected=7))
    assert (answer.outcome, answer.ok) == ("conflict", False)
