"""What the log is asked to keep of a command besides its events."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from commands import preparing
from commands.messages import Command
from commands.messages import workflow as workflows
from commands.preparing import Prepared, Preparer
from domain.log import AppendOutcome, CommandAppend
from tests.support.command_world import BEGINNING, World, at_once, create_workflow, envelope


def prepared_for_an_import(command: Command) -> Prepared:
    world = World()
    decision = at_once(world.decider.decide(envelope(command), BEGINNING))
    return Preparer(tenant="bank", new_id=uuid4).prepare(decision, BEGINNING - timedelta(days=400))


@pytest.mark.parametrize("outcome", ["accepted", "refused", "too large"])
def test_an_import_says_when_each_command_was_recorded_whatever_it_came_to(
    outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if outcome == "too large":
        monkeypatch.setattr(preparing, "MAX_EVENT_BYTES", 10)
    prepared = prepared_for_an_import(
        workflows.StartWorkflow(workflow_id="none") if outcome == "refused" else create_workflow()
    )
    assert bool(prepared.append.events) is (outcome == "accepted")
    assert prepared.append.recorded_at == BEGINNING - timedelta(days=400)


def test_the_log_is_told_under_which_locks_a_command_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    append, tokens = world.log.append, list[tuple[int, ...]]()

    async def listens(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        tokens.extend(command.tokens for command in commands)
        return await append(commands)

    monkeypatch.setattr(world.log, "append", listens)
    under_locks = (
        replace(envelope(create_workflow()), tokens=(7, 12)),
        replace(envelope(workflows.PauseWorkflow(workflow_id="wf")), tokens=(9,)),
    )
    answers = world.commit(*under_locks, envelope(create_workflow("free")))
    assert [answer.outcome for answer in answers] == ["accepted", "refused", "accepted"]
    assert tokens == [(7, 12), (9,), ()]
