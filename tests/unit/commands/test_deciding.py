"""How commands are decided into the open group: what is loaded for many at once, who waits, and what a fault tells."""

import logging
from collections import deque
from typing import Any, cast

import pytest

from commands import groups
from commands.groups import Group, Pending
from commands.handlers import HANDLERS
from commands.messages import Command
from commands.messages import workflow as workflows
from commands.messages.agent import Heartbeat
from commands.work import Work
from domain.errors import LogUnavailable
from tests.support.command_world import World, at_once, create_workflow, envelope, register_agent
from tests.support.listening_log import ListeningLog


def amend(workflow_id: str, text: str = "") -> Command:
    return workflows.AmendWorkflow(workflow_id=workflow_id, context={"text": text})


def queue(*commands: Command) -> deque[Pending]:
    """To be decided; nobody waits for the answers."""
    return deque(Pending(envelope(command), lambda _: None) for command in commands)


# --- what is loaded ahead ---------------------------------------------------------------------------------


@pytest.fixture
def cold() -> tuple[World, ListeningLog]:
    """A process that has begun just now, and twelve workflows."""
    before = World()
    before.given(*(create_workflow(f"w{number}") for number in range(12)))
    log = ListeningLog(before)
    return World(log, before.clock), log


@pytest.mark.parametrize("batches", [[2], [3, 2], [4, 4, 4]])
def test_what_several_need_is_loaded_at_once_each_time(cold: tuple[World, ListeningLog], batches: list[int]) -> None:
    world, log = cold
    names = [f"w{number}" for number in range(sum(batches))]
    for size in batches:
        batch, names = names[:size], names[size:]
        log.asked.clear()
        world.commit(*(envelope(amend(name)) for name in batch))
        assert log.asked == [[f"workflow-{name}" for name in batch]]


def test_whatever_came_alone_before_what_several_need_is_loaded_at_once(cold: tuple[World, ListeningLog]) -> None:
    world, log = cold
    for text in ("a", "b", "c"):
        world.accept(amend("w0", text))
    log.asked.clear()
    world.commit(envelope(amend("w1")), envelope(amend("w2")))
    assert log.asked == [["workflow-w1", "workflow-w2"]]


def test_after_one_that_was_not_in_memory_what_several_need_is_loaded_at_once_again(
    cold: tuple[World, ListeningLog],
) -> None:
    world, log = cold
    for _ in range(2):
        world.commit(envelope(amend("w1")), envelope(amend("w2")))  # the second time, nothing is missing
    world.commit(envelope(amend("w3")))
    log.asked.clear()
    world.commit(envelope(amend("w4")), envelope(amend("w5")))
    assert log.asked == [["workflow-w4", "workflow-w5"]]


def test_nothing_is_loaded_for_what_is_not_decided_yet(cold: tuple[World, ListeningLog]) -> None:
    world, log = cold
    waiting = queue(*(amend(f"w{number}") for number in range(5)))
    assert at_once(world.committer.decide_all(waiting, 2))
    assert (len(waiting), len(world.committer.open)) == (3, 2)
    assert log.asked == [["workflow-w0", "workflow-w1"]]


# --- groups -----------------------------------------------------------------------------------------------


def sizes_of_groups(world: World, *waiting: Pending) -> list[int]:
    rest, sizes = deque(waiting), list[int]()
    while rest:
        at_once(world.committer.decide_all(rest))
        group = world.committer.close()
        sizes.append(len(group))
        at_once(world.committer.conclude(group, at_once(world.committer.land(group, world.committer.send(group)))))
    return sizes


def bytes_of(group: Group) -> int:
    return sum(len(event.data) for append in group.appends for event in append.events)


def test_a_group_is_full_when_all_its_events_together_are_more_than_it_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = "abcdef"
    world = World()
    at_once(world.committer.decide_all(queue(*(create_workflow(name) for name in names[:3]))))
    three = bytes_of(world.committer.close())

    monkeypatch.setattr(groups, "MAX_GROUP_BYTES", three)  # not more than it may have: one more joins
    assert sizes_of_groups(World(), *queue(*(create_workflow(name) for name in names))) == [4, 2]
    monkeypatch.setattr(groups, "MAX_GROUP_BYTES", three - 1)
    assert sizes_of_groups(World(), *queue(*(create_workflow(name) for name in names))) == [3, 3]


def test_no_other_joins_one_that_goes_alone() -> None:
    waiting = queue(*(create_workflow(name) for name in "abcd"))
    waiting[1].single = True
    assert sizes_of_groups(World(), *waiting) == [1, 1, 2]


def test_one_that_must_wait_says_so_and_nothing_behind_it_is_decided_before_it() -> None:
    world = World()
    world.given(create_workflow(), workflows.StartWorkflow(workflow_id="wf"))
    rollback = workflows.RollBackWorkflow(workflow_id="wf", to_version=2, reason="wrong", operator="me")
    waiting = queue(workflows.PauseWorkflow(workflow_id="wf"), rollback, create_workflow("behind"))
    assert not at_once(world.committer.decide_all(waiting))
    assert [one.envelope.command.type for one in waiting] == ["RollBackWorkflow", "CreateWorkflow"]
    assert len(world.committer.open) == 1


# --- faults -----------------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_logged_with_the_command_and_where_it_happened_each_time_and_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(work: Work, command: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(cast(dict[Any, Any], HANDLERS), workflows.PauseWorkflow, broken)
    given = envelope(workflows.PauseWorkflow(workflow_id="wf"))
    with caplog.at_level(logging.DEBUG, "commands.deciding"):
        (answer,) = World().commit(given)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, f"PauseWorkflow {given.command_id} is decided again"),
        (logging.ERROR, f"PauseWorkflow {given.command_id} could not be decided"),
    ]
    for record in caplog.records:
        assert record.exc_info is not None
        assert record.exc_info[0] is ZeroDivisionError
        fields = record.__dict__
        assert (fields["command_id"], fields["correlation_id"]) == (given.command_id, "conversation-1")
    assert answer.problem is not None
    assert answer.problem.code == "internal_error"
    assert answer.problem.message == "PauseWorkflow could not be decided (ZeroDivisionError); please report this."


def test_a_heartbeat_needs_no_log_where_the_agent_is_in_memory() -> None:
    """What others have made of the agent is looked for, and it is no matter if that can't be had."""
    world = World()
    world.accept(register_agent())
    world.log.outage = LogUnavailable()
    assert world.do(Heartbeat(agent_id="agent", queue_size=3)).outcome == "accepted"
    assert [told.queue_size for told in world.presence.heard] == [3]
