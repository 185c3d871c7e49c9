"""What becomes of a group that has landed: what was stale is decided again, and all of it is counted and told."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from commands.envelope import Answer
from commands.groups import Group, Pending
from commands.messages import Command
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.errors import LogError, LogUnavailable
from domain.log import AppendOutcome, CommandAppend, LockedOut
from tests.support.command_world import (
    BEGINNING,
    Clock,
    World,
    assign,
    at_once,
    create_workflow,
    envelope,
    running_world,
)
from tests.support.invariants import check_world

Landed = list[AppendOutcome] | LogError


def amend(workflow_id: str, by: str) -> Command:
    return workflows.AmendWorkflow(workflow_id=workflow_id, context={by: True})


def decide(world: World, *commands: Command) -> None:
    """Into the open group; nobody waits for the answers."""
    at_once(world.committer.decide_all(deque(Pending(envelope(command), lambda _: None) for command in commands)))


def land(world: World, group: Group) -> Landed:
    return at_once(world.committer.land(group, world.committer.send(group)))


# --- what is stale ----------------------------------------------------------------------------------------


def lost_to_another(world: World, group: Group) -> Landed:
    World(world.log, world.clock).given(amend("w1", "other"), amend("w2", "other"))
    return land(world, group)


def recorded_by_another(world: World, group: Group) -> Landed:
    """That went on besides."""
    other = World(world.log, world.clock)
    other.commit(*(pending.envelope for pending, _ in group.members))
    other.given(amend("w1", "other"), amend("w2", "other"))
    return land(world, group)


def locked_by_another(world: World, group: Group) -> Landed:
    return [LockedOut(f"workflow-{one}", "ann", BEGINNING) for one in ("w1", "w2")]


@pytest.mark.parametrize(
    ("landed", "lost", "left"),
    [
        (lost_to_another, 2, {"first", "then", "other"}),
        (recorded_by_another, 0, {"first", "then", "other"}),
        (locked_by_another, 0, {"then"}),
    ],
)
def test_what_stands_on_any_of_those_that_did_not_land_is_decided_again_and_what_stands_on_none_is_not(
    landed: Callable[[World, Group], Landed], lost: int, left: set[str]
) -> None:
    world = World()
    world.given(create_workflow("w1"), create_workflow("w2"), create_workflow("aside"))
    committer = world.committer
    in_flight = [amend("w1", "first"), amend("w2", "first")]
    decide(world, *in_flight)
    flying = committer.close()
    stand_on_it = [amend("w1", "then"), amend("w2", "then")]
    decide(world, stand_on_it[0], amend("aside", "then"), stand_on_it[1])

    at_once(committer.conclude(flying, landed(world, flying)))

    assert [one.envelope.command for one in committer.again] == in_flight[:lost] + stand_on_it
    assert [one.envelope.command for one, _ in committer.open.members] == [amend("aside", "then")]
    while committer.again or committer.open:
        at_once(committer.decide_all(committer.again))
        group = committer.close()
        at_once(committer.conclude(group, land(world, group)))
    assert committer.lost == lost, "what was read again was not stale"
    assert [set(world.workflow(one).context) for one in ("w1", "w2", "aside")] == [left, left, {"then"}]
    check_world(world)


def test_what_was_lost_and_what_was_appended_is_counted_over_all_groups() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.commit(*(envelope(create_workflow(one)) for one in ("w1", "w2")))
    for by in ("first", "then"):
        other.given(amend("w1", f"other {by}"), amend("w2", f"other {by}"))
        world.commit(envelope(amend("w1", by)), envelope(amend("w2", by)))
    assert (world.committer.lost, world.committer.events) == (4, 6)


# --- faults -----------------------------------------------------------------------------------------------


async def test_without_a_bus_too_a_group_whose_answer_was_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(retries=(0.0,))
    append = world.log.append

    async def appends_and_loses_the_answer(commands: Sequence[CommandAppend]) -> list[AppendOutcome]:
        await append(commands)
        monkeypatch.undo()
        raise LogUnavailable()

    monkeypatch.setattr(world.log, "append", appends_and_loses_the_answer)
    answers = await world.committer.commit([envelope(create_workflow("w1")), envelope(create_workflow("w2"))])
    assert [(answer.outcome, answer.repeated) for answer in answers] == [("accepted", False)] * 2
    assert world.committer.resent == 1


def test_a_fault_of_ours_while_a_group_is_appended_is_logged_with_where_it_happened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()

    async def broken(_: Sequence[CommandAppend]) -> list[AppendOutcome]:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(world.log, "append", broken)
    with pytest.raises(LogUnavailable, match="of ours"):
        world.commit(envelope(create_workflow("w1")), envelope(create_workflow("w2")))
    (record,) = caplog.records
    assert record.getMessage() == "A group of 2 commands could not be appended"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_who_can_not_see_what_others_have_written_goes_on_with_what_is_known() -> None:
    world = World()
    world.given(create_workflow())
    World(world.log, world.clock).given(amend("wf", "other"))
    world.log.outage = LogUnavailable()
    at_once(world.committer.catch_up())
    world.log.outage = None
    world.accept(amend("wf", "mine"))
    assert set(world.workflow().context) == {"other", "mine"}


async def test_what_another_process_did_by_the_same_id_is_as_recorded_also_where_the_group_was_sent_again() -> None:
    """It decided a moment earlier, so that its events are the same but for their times."""
    first = running_world("t1")
    first.given(assign("t1"))
    given = envelope(tasks.StartTask(task_id="t1"))
    later = Clock(first.clock.now + timedelta(seconds=0.2))
    world = World(first.log, later, retries=(0.0,))
    answers: list[Answer | LogError] = []
    await world.committer.decide_all(deque([Pending(given, answers.append)]))
    flying = world.committer.close()
    first.commit(given)

    async def lost() -> list[AppendOutcome]:
        raise LogUnavailable

    await world.committer.conclude(flying, await world.committer.land(flying, lost()))

    assert [type(one) for one in answers] == [Answer]
    world.accept(tasks.CompleteTask(task_id="t1"))
    check_world(world)
