"""What is in memory and turns out to be out of date."""

from collections import deque
from typing import Any

import pytest

from commands.groups import Group, Pending
from commands.messages import Command
from commands.messages import workflow as workflows
from commands.messages.transaction import Transaction
from domain.errors import LogUnavailable
from tests.support.command_world import World, assign, at_once, create_workflow, envelope, running_world
from tests.support.invariants import check_world


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


def pendings(*commands: Command) -> deque[Pending]:
    """To be decided; nobody waits for the answers."""
    return deque(Pending(envelope(command), lambda _: None) for command in commands)


def drain(world: World) -> None:
    while world.committer.again or world.committer.open:
        at_once(world.committer.decide_all(world.committer.again))
        land(world, world.committer.close())


def land(world: World, group: Group) -> None:
    outcomes = at_once(world.committer.land(group, world.committer.send(group)))
    at_once(world.committer.conclude(group, outcomes))


AMEND = workflows.AmendWorkflow(workflow_id="wf", context={"mine": 1})


def test_all_that_stands_on_what_was_lost_is_decided_again_whatever_stood_on_it_before() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow(), create_workflow("aside"))
    other.given(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": 1}))
    committer = world.committer
    at_once(committer.decide_all(pendings(AMEND)))
    flying = committer.close()
    refused = workflows.ResumeWorkflow(workflow_id="wf")  # leaves nothing
    aside, then = workflows.StartWorkflow(workflow_id="aside"), workflows.StartWorkflow(workflow_id="wf")
    at_once(committer.decide_all(pendings(refused, aside, then)))

    land(world, flying)

    assert [one.envelope.command for one in committer.again] == [AMEND, refused, then]
    assert [one.envelope.command for one, _ in committer.open.members] == [aside]
    drain(world)
    assert committer.lost == 1
    assert world.workflow().context == {"theirs": 1, "mine": 1}
    assert (world.workflow().state, world.workflow("aside").state) == ("running", "running")
    check_world(world)


def test_what_was_given_up_while_it_was_under_way_and_was_lost_then_is_no_fault() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    other.given(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": 1}))
    committer = world.committer
    at_once(committer.decide_all(pendings(AMEND)))
    flying = committer.close()
    committer.abandon(LogUnavailable())
    assert committer.is_quiet
    land(world, flying)
    drain(world)
    assert committer.lost == 1
    check_world(world)


def test_a_command_of_which_a_named_version_was_stale_is_decided_on_what_its_group_leaves_all_the_same() -> None:
    world = running_world("t1")
    other = World(world.log, world.clock)
    world.given(create_workflow("aside"))
    other.given(workflows.StartWorkflow(workflow_id="aside"))
    given = Transaction(commands=(assign("t1"),), expected={"workflow-aside": 2})
    paused, refused = world.commit(envelope(workflows.PauseWorkflow(workflow_id="wf")), envelope(given))
    assert paused.outcome == "accepted"
    assert refused.problem is not None
    assert (refused.outcome, refused.problem.code) == ("refused", "workflow_state")
    assert world.committer.lost == 0


def test_what_is_decided_and_not_appended_yet_is_not_asked_for() -> None:
    world = World(cache_size=0)
    at_once(world.committer.decide_all(pendings(create_workflow("w1"), create_workflow("w2"))))
    starts = [envelope(workflows.StartWorkflow(workflow_id=one)) for one in ("w1", "w2")]
    assert not at_once(world.committer.prefetch(starts))


def test_where_the_log_can_not_be_read_ahead_it_is_tried_again() -> None:
    world = World()
    world.log.outage = LogUnavailable()
    asking = [envelope(create_workflow(one)) for one in ("w1", "w2")]
    assert at_once(world.committer.prefetch(asking))
    world.log.outage = None
    assert at_once(world.committer.prefetch(asking))
    assert not at_once(world.committer.prefetch(asking))
