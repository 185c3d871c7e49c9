"""What a fault of the bus leaves behind: each command is told once, whatever becomes of what was in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from commands import bus as command_bus
from commands.envelope import Answer, Envelope
from commands.figures import UNANSWERED
from commands.groups import Pending
from commands.messages import workflow as workflows
from domain.errors import LogError, LogUnavailable
from tests.support.command_world import World, at_once, create_workflow, envelope
from tests.unit.commands.test_bus import GatedLog, make_bus, settled

AMEND = workflows.AmendWorkflow(workflow_id="wf", context={"mine": 1})
THEIRS = workflows.AmendWorkflow(workflow_id="wf", context={"theirs": 1})


@asynccontextmanager
async def told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[World, GatedLog]]:
    """A bus met a fault while AMEND was in flight, and it still is; what is behind it is decided in the end."""
    bus, world, log = make_bus()
    log.gate.set()
    decide_all = world.committer.decide_all

    async def fails_once(*_: object) -> bool:
        world.committer.decide_all = decide_all  # type: ignore[method-assign]
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(command_bus, "FAULT_SECONDS", 0)
    async with bus:
        await bus.submit(envelope(create_workflow()))
        log.gate.clear()
        flying = asyncio.create_task(bus.submit(envelope(AMEND)))
        await settled()
        world.committer.decide_all = fails_once  # type: ignore[assignment,method-assign]
        behind = asyncio.create_task(bus.submit(envelope(create_workflow("behind"))))
        with pytest.raises(LogUnavailable, match="try again"):
            await flying
        yield world, log
        log.gate.set()
        assert (await behind).outcome == "accepted"
    told = {outcome: count for (type, outcome), count in bus.figures.answers.items() if type == "AmendWorkflow"}
    assert told == {UNANSWERED: 1}


async def test_what_was_told_to_try_again_and_was_lost_then_is_not_decided_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with told_to_try_again(monkeypatch) as (world, log):
        other = World(log, world.clock)
        log.gate.set()
        await other.committer.commit([envelope(THEIRS)])
    assert world.workflow().context == {"theirs": 1}
    assert world.committer.is_quiet


async def test_what_was_told_to_try_again_and_was_appended_after_all_is_told_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with told_to_try_again(monkeypatch) as (world, _):
        pass
    assert world.workflow().context == {"mine": 1}
    assert world.committer.is_quiet


class Submitter:
    """All that whoever submits a command is told."""

    def __init__(self, given: Envelope) -> None:
        self.told: list[Answer | LogError] = []
        self.waiting = Pending(given, self.told.append)

    def says(self) -> list[str]:
        return [one.outcome if isinstance(one, Answer) else one.code for one in self.told]


def test_one_that_comes_again_while_it_is_in_flight_is_under_way_until_it_is_answered_itself() -> None:
    world = World()
    world.given(create_workflow())
    given, committer = envelope(AMEND), world.committer
    submitters = [Submitter(given) for _ in range(4)]
    first, meanwhile, again, after = submitters
    at_once(committer.decide_all(deque([first.waiting, meanwhile.waiting])))
    flying = committer.close()
    committer.abandon(LogUnavailable())
    at_once(committer.decide_all(deque([again.waiting])))

    at_once(committer.conclude(flying, at_once(committer.land(flying, committer.send(flying)))))
    assert not committer.is_quiet
    assert not committer.again, "nobody waits for those who were told"
    assert [one.says() for one in submitters] == [["log_unavailable"], ["log_unavailable"], [], []]
    at_once(committer.decide_all(deque([after.waiting])))
    assert len(committer.open) == 1, "it is decided once"

    committer.abandon(LogUnavailable())
    assert [one.says() for one in submitters] == [["log_unavailable"]] * 4
    assert committer.is_quiet
