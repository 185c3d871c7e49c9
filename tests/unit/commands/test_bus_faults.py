"""The command bus where something beside it fails, or comes in between; and what it tells of its work."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import orjson
import pytest

from commands.bus import MANY, CommandBus
from commands.envelope import Answer, Envelope
from commands.groups import Pending
from commands.messages import workflow as workflows
from commands.messages.agent import Heartbeat
from commands.tracing import NobodyAsks
from commands.work import Telemetry
from domain.errors import AppendRejected, LogUnavailable
from domain.log import AppendOutcome, CommandAppend, LockedOut
from tests.support.command_world import BEGINNING, World, create_workflow, envelope, register_agent
from tests.support.memory_log import MemoryEventLog
from tests.unit.commands.test_bus import GatedLog, make_bus, settled, submissions

START = workflows.StartWorkflow(workflow_id="wf")


def refuse(log: GatedLog, refused: Callable[[CommandAppend], bool]) -> None:
    """The log refuses a group that has such a command, before it is asked for an answer."""
    append = log.append

    def append_or_refuse(commands: Sequence[CommandAppend]) -> asyncio.Future[list[AppendOutcome]]:
        if any(map(refused, commands)):
            raise AppendRejected("too large")
        return asyncio.ensure_future(append(commands))

    log.append = append_or_refuse  # type: ignore[assignment,method-assign]  # the port leaves open when it raises


async def test_presence_that_fails_costs_no_command_its_answer() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    record = world.presence.record

    async def broken(heartbeats: Sequence[Telemetry]) -> None:
        raise ZeroDivisionError("of presence")

    async with bus:
        await bus.submit(envelope(register_agent()))
        world.presence.record = broken  # type: ignore[method-assign]
        log.gate.clear()
        beat = asyncio.create_task(bus.submit(envelope(Heartbeat(agent_id="agent"))))
        (created,) = submissions(bus, "a")
        await settled()
        (next_one,) = submissions(bus, "b")
        await settled()
        log.gate.set()
        outcomes = await asyncio.gather(beat, created, next_one, return_exceptions=True)
        world.presence.record = record  # type: ignore[method-assign]
        assert (await bus.submit(envelope(create_workflow("c")))).outcome == "accepted"
    assert [type(one) for one in outcomes] == [Answer, Answer, LogUnavailable]
    assert "of presence" in str(outcomes[2])


async def test_a_heartbeat_shares_the_fate_of_the_group_that_it_is_in() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    async with bus:
        await bus.submit(envelope(register_agent()))
        log.gate.clear()
        beat = asyncio.create_task(bus.submit(envelope(Heartbeat(agent_id="agent"))))
        (created,) = submissions(bus, "a")
        await settled()
        world.log.outage = LogUnavailable()
        log.gate.set()
        outcomes = await asyncio.gather(created, beat, return_exceptions=True)
    assert [type(one) for one in outcomes] == [LogUnavailable] * 2
    assert world.presence.heard == []


async def test_heartbeats_alone_are_not_appended() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    async with bus:
        await bus.submit(envelope(register_agent()))
        answer = await bus.submit(envelope(Heartbeat(agent_id="agent")))
    assert (answer.outcome, answer.position, len(world.presence.heard)) == ("accepted", None, 1)
    assert (log.groups, sum(bus.figures.appends.counts)) == ([1], 1)


async def test_what_is_refused_at_once_is_refused_alone_whatever_waits_behind_it() -> None:
    bus, world, log = make_bus()
    refuse(log, lambda command: "workflow-c" in command.expected)
    async with bus:
        # One group in flight; the next, which will be refused; and one more that is decided meanwhile.
        tasks = submissions(bus, "a")
        await settled()
        tasks += submissions(bus, "b", "c")
        await settled()
        log.gate.set()
        tasks += submissions(bus, "d")
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Answer, Answer, AppendRejected, Answer]
    assert sorted(world.of_kind(workflows.CreateWorkflow.aggregate)) == ["a", "b", "d"]


async def test_commands_of_a_refused_group_join_no_other_that_comes_before_them() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    other, amend = World(log, world.clock), workflows.AmendWorkflow(workflow_id="wf", context={"theirs": 1})
    append = log.append
    begun: list[bool] = []

    async def refuses_c_and_is_overtaken(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        await log.gate.wait()
        if any("workflow-c" in command.expected for command in commands):
            log.groups.append(len(commands))
            raise AppendRejected("too large")
        if "workflow-wf" in commands[0].expected and not begun:
            begun.append(True)
            await MemoryEventLog.append(log, [other.committer.close().appends[0]])
        return await append(commands)

    async with bus:
        await asyncio.gather(*submissions(bus, "wf"))
        await other.committer.decide_all(deque([Pending(envelope(amend), lambda _: None)]))
        log.groups.clear()
        log.gate.clear()
        log.append = refuses_c_and_is_overtaken  # type: ignore[method-assign]
        tasks = submissions(bus, "b", "c")
        await settled()
        tasks.append(asyncio.create_task(bus.submit(envelope(START))))
        await settled()
        log.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Answer, AppendRejected, Answer]
    # b and c together, what was lost, b alone, what was lost again, c alone
    assert log.groups == [2, 1, 1, 1, 1]


async def test_what_stands_on_a_command_that_was_lost_is_decided_again_behind_it() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    other = World(log, world.clock)
    async with bus:
        await asyncio.gather(*submissions(bus, "wf", "aside"))
        log.gate.clear()
        first = asyncio.create_task(bus.submit(envelope(START)))
        await settled()
        second = asyncio.create_task(bus.submit(envelope(workflows.PauseWorkflow(workflow_id="wf"))))
        third = asyncio.create_task(bus.submit(envelope(workflows.StartWorkflow(workflow_id="aside"))))
        await settled()
        log.gate.set()
        await other.committer.commit([envelope(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": 1}))])
        answers = await asyncio.gather(first, second, third)
    assert [answer.outcome for answer in answers] == ["accepted"] * 3
    assert world.types("workflow-wf")[1:] == ["WorkflowAmended", "WorkflowStarted", "WorkflowPaused"]
    assert world.committer.lost == 1


async def test_where_many_wait_half_go_ahead_so_that_the_others_are_decided_meanwhile() -> None:
    bus, _, log = make_bus()
    async with bus:
        tasks = submissions(bus, *(f"w{n}" for n in range(2 * MANY)))
        await settled()
        assert log.groups == [MANY]
        log.gate.set()
        await asyncio.gather(*tasks)
    assert log.groups == [MANY, MANY]


async def test_what_is_sent_again_and_what_is_appended_is_counted() -> None:
    bus, world, log = make_bus(retries=(0.0, 0.0))
    log.gate.set()
    append, lost = log.append, [True, True]

    async def append_and_lose_the_answer(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        outcomes = await append(commands)
        if lost:
            lost.pop()
            raise LogUnavailable()
        return outcomes

    log.append = append_and_lose_the_answer  # type: ignore[method-assign]
    async with bus:
        assert not bus.is_closing
        await bus.submit(envelope(create_workflow()))
        await bus.submit(envelope(START))
    assert bus.is_closing
    assert (world.committer.resent, world.committer.events) == (2, 1)


class Span:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def __init__(self) -> None:
        self.told: list[object] = []

    def sent(self, commands: int) -> None:
        self.told.append(commands)

    def landed(self) -> None:
        self.told.append("landed")

    def answered(self, answer: Answer | None) -> None:
        self.told.append(None if answer is None else answer.outcome)


class Tracing(NobodyAsks):
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def begin(self, envelope: Envelope) -> Span:
        self.spans.append(Span())
        return self.spans[-1]


async def test_who_asks_is_told_each_step_of_a_commands_way_and_its_events_name_it() -> None:
    tracing, world = Tracing(), World()
    async with CommandBus(world.committer, tracing=tracing) as bus:
        await asyncio.gather(*submissions(bus, "a", "b"))
        world.log.outage = LogUnavailable()
        with pytest.raises(LogUnavailable):
            await bus.submit(envelope(create_workflow("c")))
    told = [span.told for span in tracing.spans]
    assert told[:2] == [[2, "landed", "accepted"]] * 2
    assert told[2][-1] is None
    assert {orjson.loads(event.metadata)["traceparent"] for event in world.log.events} == {Span.traceparent}


@pytest.mark.parametrize(
    ("outcome", "code", "facts"),
    [
        (
            LockedOut("workflow-wf", "ann", BEGINNING),
            "locked",
            {"stream_id": "workflow-wf", "holder": "ann", "since": "2024-01-17T10:00:00Z"},
        ),
        (LockedOut(None), "lock_lost", {}),
    ],
)
async def test_a_command_that_a_lock_keeps_out_is_told_so_and_may_come_again(
    outcome: LockedOut, code: str, facts: dict[str, object]
) -> None:
    bus, _, log = make_bus()
    log.gate.set()
    append = log.append

    async def locked(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        return [outcome for _ in commands]

    given = envelope(START)
    async with bus:
        await asyncio.gather(*submissions(bus, "wf"))
        log.append = locked  # type: ignore[method-assign]
        answer = await bus.submit(given)
        log.append = append  # type: ignore[method-assign]
        assert (await bus.submit(given)).outcome == "accepted"
    assert answer.problem is not None
    assert (answer.outcome, answer.problem.code, answer.problem.facts) == ("failed", code, facts)


async def test_a_log_that_does_not_say_of_each_command_what_became_of_it_leaves_nobody_without_an_answer() -> None:
    bus, world, log = make_bus()
    log.gate.set()
    append = log.append

    async def forgets_the_last(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        return (await append(commands))[:-1]

    async with bus:
        await bus.submit(envelope(register_agent()))
        log.append = forgets_the_last  # type: ignore[method-assign]
        beat = asyncio.create_task(bus.submit(envelope(Heartbeat(agent_id="agent"))))
        told = await asyncio.wait_for(asyncio.gather(*submissions(bus, "a", "b"), beat, return_exceptions=True), 5)
        log.append = append  # type: ignore[method-assign]
    assert [type(one) for one in told] == [Answer, LogUnavailable, Answer]
    assert len(world.presence.heard) == 1
