"""A command that has lost often gets the log to itself; what can not be folded, or decided yet, harms no other."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from commands.envelope import Answer, Envelope
from commands.messages import agent as agents
from commands.messages import workflow as workflows
from commands.messages.agent import Heartbeat
from domain.log import Conflicted
from tests.support.command_world import World, create_workflow, envelope, register_agent
from tests.support.invariants import check_world
from tests.support.memory_log import MemoryEventLog


def commit_overtaken(
    world: World, given: Envelope, overtake: Callable[[int], object], alone: Callable[[], MemoryEventLog]
) -> Answer:
    """Another process is a little faster, each time; until the command has the log to itself, which `alone` gives."""
    append, losses = world.log.append, 0

    async def overtaken(commands: Any) -> Any:
        nonlocal losses
        if any(command.command_id == given.command_id for command in commands):
            losses += 1
            world.log.append = append  # type: ignore[method-assign]
            overtake(losses)
            world.log.append = overtaken  # type: ignore[method-assign]
        return await append(commands)

    @asynccontextmanager
    async def to_oneself() -> AsyncIterator[MemoryEventLog]:
        world.log.append = append  # type: ignore[method-assign]
        yield alone()

    world.log.append = overtaken  # type: ignore[method-assign]
    world.log.alone = to_oneself  # type: ignore[method-assign]
    (answer,) = world.commit(given)
    assert losses == 3
    return answer


def test_a_heartbeat_that_another_process_was_told_too_ends_as_telemetry() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(register_agent(), agents.MarkOffline(agent_id="agent"))

    def alone() -> MemoryEventLog:
        other.do(Heartbeat(agent_id="agent"))
        return world.log

    answer = commit_overtaken(
        world,
        envelope(Heartbeat(agent_id="agent")),
        lambda losses: other.given(agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=10 + losses)),
        alone,
    )
    assert (answer.outcome, answer.versions, answer.position) == ("accepted", {}, None)
    assert world.agent().state == "healthy"
    assert world.presence.heard[-1].seen_at == world.clock.now
    check_world(world)


def test_a_log_that_lets_others_in_all_the_same_fails_the_command_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow(), create_workflow("aside"))

    class Broken(MemoryEventLog):
        async def append(self, commands: Any) -> Any:
            return [Conflicted("workflow-wf", 1, 2) for _ in commands]

    broken = Broken(world.clock)
    for event in world.log.events:
        broken.put_as_it_is(event)
    with caplog.at_level(logging.CRITICAL):
        answer = commit_overtaken(
            world,
            envelope(workflows.StartWorkflow(workflow_id="wf")),
            lambda losses: other.given(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": losses})),
            lambda: broken,
        )
    assert answer.problem is not None
    assert (answer.outcome, answer.problem.code) == ("failed", "internal_error")
    world.accept(workflows.StartWorkflow(workflow_id="aside"))
    check_world(world)


def test_a_command_on_what_can_not_be_folded_is_answered_with_its_place_and_harms_no_other() -> None:
    before = World()
    before.given(create_workflow(), workflows.StartWorkflow(workflow_id="wf"))
    log = MemoryEventLog(before.clock)
    for event in before.log.events:
        log.put_as_it_is(event if event.version == 1 else replace(event, data=b"{"))

    world = World(log, before.clock)
    broken, created = world.commit(
        envelope(workflows.PauseWorkflow(workflow_id="wf")), envelope(create_workflow("other"))
    )
    assert broken.problem is not None
    assert (broken.outcome, broken.problem.code) == ("failed", "corrupt_log")
    assert (broken.problem.facts["stream_id"], broken.problem.facts["version"]) == ("workflow-wf", 2)
    assert created.outcome == "accepted"


def test_a_rollback_waits_for_what_is_decided_before_it_and_sees_it() -> None:
    world = World()
    world.given(create_workflow(), workflows.StartWorkflow(workflow_id="wf"))
    rollback = workflows.RollBackWorkflow(workflow_id="wf", to_version=2, reason="wrong", operator="me")
    paused, rolled_back = world.commit(envelope(workflows.PauseWorkflow(workflow_id="wf")), envelope(rollback))
    assert (paused.outcome, rolled_back.outcome) == ("accepted", "accepted")
    assert rolled_back.versions == {"workflow-wf": 4}
    assert world.workflow().state == "running"
    assert world.log.appends == 4
    check_world(world)
