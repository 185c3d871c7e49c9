"""Groups that the log refuses to take: each command is answered for itself."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from commands.envelope import Answer
from commands.groups import Pending
from commands.messages.agent import Heartbeat
from domain.errors import AppendRejected, LogError
from domain.log import AppendOutcome, CommandAppend
from tests.support.command_world import World, at_once, create_workflow, envelope, register_agent


def refuse_c(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The log refuses what writes to workflow c; gives the sizes of the groups that it is asked to take."""
    append, sizes = world.log.append, list[int]()

    async def refuses_c(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        sizes.append(len(commands))
        if any("workflow-c" in command.expected for command in commands):
            raise AppendRejected("too large")
        return await append(commands)

    monkeypatch.setattr(world.log, "append", refuses_c)
    return sizes


def settle(world: World, *commands: Any) -> list[Answer | LogError | None]:
    """What each comes to; None for one that is never answered."""
    settled: dict[int, Answer | LogError] = {}
    for index, command in enumerate(commands):
        world.committer.again.append(Pending(envelope(command), partial(settled.__setitem__, index)))
    for _ in range(20):
        at_once(world.committer.decide_all(world.committer.again))
        group = world.committer.close()
        at_once(world.committer.conclude(group, at_once(world.committer.land(group, world.committer.send(group)))))
    return [settled.get(index) for index in range(len(commands))]


@pytest.mark.parametrize("names", ["abcde", "ac", "c"])
def test_a_command_that_the_log_refuses_to_take_harms_no_neighbour(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    sizes = refuse_c(world, monkeypatch)
    told = settle(world, *(create_workflow(name) for name in names))
    assert [type(one) for one in told] == [AppendRejected if name == "c" else Answer for name in names]
    assert len(world.log.events) == len(names) - 1
    assert sizes == [len(names), *([1] * len(names) if len(names) > 1 else [])]


def test_a_heartbeat_in_a_group_that_is_not_taken_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.given(register_agent("a1"))
    refuse_c(world, monkeypatch)
    told = settle(world, create_workflow("c"), Heartbeat(agent_id="a1"))
    assert [type(one) for one in told] == [AppendRejected, AppendRejected]
    assert world.presence.heard == []
