"""Versions that callers name: they are held against the log at once, and no fault hides behind a second try."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from commands.messages import workflow as workflows
from tests.support.command_world import World, create_workflow, envelope
from tests.support.log import decode
from tests.support.memory_log import MemoryEventLog

START = workflows.StartWorkflow(workflow_id="wf")
PAUSE = workflows.PauseWorkflow(workflow_id="wf")


@pytest.fixture
def nobody_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever meets a fault is decided again with the log to itself, which would come to the same."""

    def alone(_: object) -> None:
        raise AssertionError("somebody wants the log to itself")

    monkeypatch.setattr(MemoryEventLog, "alone", alone)


@pytest.mark.usefixtures("nobody_is_alone")
def test_one_that_is_not_current_is_told_with_the_current_one() -> None:
    world = World()
    world.given(create_workflow(), START)
    given = envelope(PAUSE, expected=1)
    (answer,) = world.commit(given)
    assert answer.problem is not None
    assert (answer.command_id, answer.type, answer.outcome) == (given.command_id, "PauseWorkflow", "conflict")
    assert answer.problem.message == "workflow-wf is at version 2, not at 1; read it again and decide again."
    assert answer.problem.facts == {"stream_id": "workflow-wf", "expected": 1, "actual": 2}


@pytest.mark.usefixtures("nobody_is_alone")
@pytest.mark.parametrize("workflow_id", ["wf", "wf-2024-17"])
def test_one_that_another_process_has_made_current_is_taken(workflow_id: str) -> None:
    world = World()
    world.given(create_workflow(workflow_id))
    World(world.log, world.clock).given(workflows.StartWorkflow(workflow_id=workflow_id))
    at = world.clock.pass_(60)
    world.accept(workflows.PauseWorkflow(workflow_id=workflow_id), expected=2)
    assert decode(world.log.events[-1]).at == at


@pytest.mark.usefixtures("nobody_is_alone")
def test_a_command_that_is_known_gets_its_first_answer_whatever_it_names() -> None:
    world = World()
    world.given(create_workflow())
    given = envelope(START, expected=1)
    (first,) = world.commit(given)
    assert first.outcome == "accepted"
    for process in (world, World(world.log, world.clock)):
        assert process.commit(given) == [replace(first, repeated=True)]


@pytest.mark.usefixtures("nobody_is_alone")
def test_one_that_a_command_of_the_same_group_may_yet_make_current_waits_for_it() -> None:
    world = World()
    told = world.commit(envelope(create_workflow()), envelope(START, expected=0), envelope(START, expected=1))
    assert [one.outcome for one in told] == ["accepted", "conflict", "accepted"]


@pytest.mark.usefixtures("nobody_is_alone")
def test_a_command_that_is_appended_by_another_process_while_it_is_decided_here_gets_its_first_answer() -> None:
    """As one that is sent again while its first sending is under way: what it made itself is no conflict."""
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    other.given(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": 1}))
    given = envelope(workflows.AmendWorkflow(workflow_id="wf", context={"mine": 1}), expected=2)
    read = world.log.read_folds

    async def overtaken(*asked: Any, **more: Any) -> Any:
        world.log.read_folds = read  # type: ignore[method-assign]
        (first,) = await other.committer.commit([given])
        assert first.outcome == "accepted"
        return await read(*asked, **more)

    world.log.read_folds = overtaken  # type: ignore[method-assign]
    (answer,) = world.commit(given)
    assert (answer.outcome, answer.repeated, answer.versions) == ("accepted", True, {"workflow-wf": 3})


def test_a_command_that_has_lost_often_and_was_appended_meanwhile_gets_its_first_answer() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    given = envelope(workflows.AmendWorkflow(workflow_id="wf", context={"mine": 1}), expected=1)
    append = world.log.append
    losses = 0

    async def overtaken(commands: Any) -> Any:
        """Something that it read is always at another version by then."""
        nonlocal losses
        losses += 1
        return await append([replace(one, expected=dict.fromkeys(one.expected, 99)) for one in commands])

    @asynccontextmanager
    async def to_oneself() -> AsyncIterator[MemoryEventLog]:
        world.log.append = append  # type: ignore[method-assign]
        (first,) = await other.committer.commit([given])
        assert first.outcome == "accepted"
        yield world.log

    world.log.append = overtaken  # type: ignore[method-assign]
    world.log.alone = to_oneself  # type: ignore[method-assign]
    (answer,) = world.commit(given)
    assert (answer.outcome, answer.repeated, answer.versions, losses) == ("accepted", True, {"workflow-wf": 2}, 3)
    assert world.types("workflow-wf") == ["WorkflowCreated", "WorkflowAmended"]
