"""What is in memory and turns out to be out of date."""

from typing import Any

import pytest

from commands.messages import workflow as workflows
from domain.errors import LogUnavailable
from tests.support.command_world import World, create_workflow


def test_what_can_not_be_read_again_after_a_conflict_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    other.given(workflows.StartWorkflow(workflow_id="wf"))

    async def fails_once(*_: Any, **__: Any) -> None:
        monkeypatch.undo()
        raise LogUnavailable()

    monkeypatch.setattr(world.log, "read_folds", fails_once)
    world.accept(workflows.PauseWorkflow(workflow_id="wf"))
    assert world.committer.lost == 1  # and not lost again on what it had in memory


def test_what_is_forgotten_need_not_have_been_known() -> None:
    world = World()
    world.given(create_workflow())
    world.decider.forget(["workflow-wf", "workflow-nobody"])
    misses = world.decider.misses
    world.accept(workflows.StartWorkflow(workflow_id="wf"))
    assert world.decider.misses == misses + 1
