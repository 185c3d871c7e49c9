"""Idempotency, groups, expected versions and conflicts between writers."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest

from commands.handlers import HANDLERS
from commands.messages import agent as agents
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.work import Work
from domain.errors import LogUnavailable
from tests.support.command_world import (
    Clock,
    World,
    add_task,
    assign,
    at_once,
    create_workflow,
    envelope,
    register_agent,
    running_world,
)
from tests.support.invariants import check_world
from tests.support.memory_log import MemoryEventLog

START = workflows.StartWorkflow(workflow_id="wf")


def test_one_command_id_gets_the_first_answer_for_ever() -> None:
    world = World()
    accepted, refused, unchanged = (
        envelope(create_workflow()),
        envelope(add_task("t", requires=("x",))),
        envelope(workflows.AmendWorkflow(workflow_id="wf")),
    )
    first = world.commit(accepted, refused, unchanged)
    assert [answer.outcome for answer in first] == ["accepted", "refused", "unchanged"]
    world.given(START, add_task("x"), workflows.CancelWorkflow(workflow_id="wf", reason="r"))
    events = list(world.log.events)

    for process in (world, World(world.log, world.clock)):
        again = process.commit(accepted, refused, unchanged)
        assert again == [replace(answer, repeated=True) for answer in first]
    assert world.log.events == events


def test_one_command_id_twice_in_a_group_is_done_once() -> None:
    world = World()
    given = envelope(create_workflow())

    first, second, third = world.commit(given, given, envelope(START))

    assert second == replace(first, repeated=True)
    assert third.outcome == "accepted"
    assert world.types("workflow-wf") == ["WorkflowCreated", "WorkflowStarted"]


def test_a_command_id_that_was_used_for_another_command_is_invalid() -> None:
    world = World()
    given = envelope(create_workflow())
    world.commit(given)

    (answer,) = world.commit(replace(given, command=create_workflow("w2")))
    assert answer.problem is not None
    assert (answer.outcome, answer.problem.code) == ("invalid", "command_id_reused")
    assert world.types("workflow-w2") == []


def test_commands_of_one_group_see_what_the_ones_before_left_and_a_refused_one_harms_none() -> None:
    world = World()
    answers = world.commit(
        envelope(create_workflow()),
        envelope(add_task("t1", requires=("unknown",))),
        envelope(add_task("t1")),
        envelope(START),
        envelope(START),
        envelope(register_agent()),
        envelope(assign("t1")),
        envelope(tasks.ScheduleTask(task_id="t1")),
        envelope(assign("t1")),
    )

    outcomes = [
        "accepted",
        "refused",
        "accepted",
        "accepted",
        "unchanged",
        "accepted",
        "refused",
        "accepted",
        "accepted",
    ]
    assert [answer.outcome for answer in answers] == outcomes
    assert world.log.appends == 1
    assert answers[-1].versions == {"task-t1": 3, "workflow-wf": 5, "agent-agent": 2}
    check_world(world)


def test_the_expected_version_is_that_of_the_aggregate_that_the_command_names() -> None:
    world = World()
    world.accept(create_workflow(), expected=0)
    world.accept(START, expected=1)
    world.accept(add_task("t1"), expected=2)
    before = list(world.log.events)

    answer = world.do(workflows.PauseWorkflow(workflow_id="wf"), expected=2)
    assert answer.problem is not None
    assert (answer.outcome, answer.problem.code) == ("conflict", "conflict")
    assert answer.problem.facts == {"stream_id": "workflow-wf", "expected": 2, "actual": 3}
    assert world.log.events == before
    world.accept(workflows.PauseWorkflow(workflow_id="wf"), expected=3)


def test_a_conflict_is_not_recorded_and_comes_before_a_refusal_but_after_a_known_id() -> None:
    world = World()
    world.given(create_workflow(), START)
    stale = envelope(create_workflow(), expected=0)  # would be refused, too

    (answer,) = world.commit(stale)
    assert answer.outcome == "conflict"
    assert stale.command_id not in world.log.commands
    (answer,) = world.commit(replace(stale, expected_version=2))
    assert answer.outcome == "refused"
    (again,) = world.commit(stale)
    assert again == replace(answer, repeated=True)


def test_versions_in_a_group_count_the_commands_before() -> None:
    world = World()
    answers = world.commit(
        envelope(create_workflow(), expected=0),
        envelope(START, expected=0),
        envelope(START, expected=1),
    )
    assert [answer.outcome for answer in answers] == ["accepted", "conflict", "accepted"]


def test_an_expected_version_is_held_against_the_log_and_not_against_a_stale_cache() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    other.given(START)

    world.accept(workflows.PauseWorkflow(workflow_id="wf"), expected=2)


# --- several writers ------------------------------------------------------------------------------------------


def test_what_conflicts_with_another_process_is_decided_again() -> None:
    world = running_world("t1", "t2")
    other = World(world.log, world.clock)
    world.given(assign("t1"))
    other.given(workflows.PauseWorkflow(workflow_id="wf"))

    answers = world.commit(envelope(assign("t2")), envelope(create_workflow("w2")))
    assert [answer.outcome for answer in answers] == ["refused", "accepted"]  # it is paused by now
    assert answers[0].problem is not None
    assert answers[0].problem.code == "workflow_state"


def test_only_the_commands_that_are_concerned_are_decided_again() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow(), create_workflow("w2"))
    other.given(workflows.AmendWorkflow(workflow_id="wf", context={"a": 1}))
    appends = world.log.appends

    answers = world.commit(
        envelope(START), envelope(workflows.StartWorkflow(workflow_id="w2")), envelope(add_task("t1"))
    )
    assert [answer.outcome for answer in answers] == ["accepted"] * 3
    assert world.log.appends == appends + 2
    assert world.log.events[3].stream_id == "workflow-w2"  # it did not have to wait
    assert world.types("workflow-wf")[2:] == ["WorkflowStarted", "WorkflowTaskAdded"]
    assert world.workflow().context == {"a": 1}
    check_world(world)


def test_a_refusal_on_a_stale_cache_is_not_recorded() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    world.refuse(workflows.PauseWorkflow(workflow_id="wf"), "workflow_state")
    other.given(START)

    world.accept(workflows.PauseWorkflow(workflow_id="wf"))


def test_a_command_that_was_appended_elsewhere_leaves_no_false_state_behind() -> None:
    world = World()
    other = World(world.log, world.clock)
    given = envelope(create_workflow())
    other.commit(given)
    other.given(START)

    first, second = world.commit(given, envelope(workflows.PauseWorkflow(workflow_id="wf")))
    assert (first.repeated, first.versions) == (True, {"workflow-wf": 1})
    assert second.outcome == "accepted"
    check_world(world)


# --- faults ---------------------------------------------------------------------------------------------------


def test_after_an_append_whose_answer_was_lost_the_same_id_is_answered() -> None:
    world = World()
    world.given(create_workflow())
    given = envelope(START)
    append = world.log.append

    async def append_and_lose_the_answer(commands: Any) -> Any:
        await append(commands)
        raise LogUnavailable()

    world.log.append = append_and_lose_the_answer  # type: ignore[method-assign]  # a line that breaks
    with pytest.raises(LogUnavailable):
        world.commit(given)
    world.log.append = append  # type: ignore[method-assign]

    (answer,) = world.commit(given)
    assert (answer.outcome, answer.repeated, answer.position) == ("accepted", True, 2)
    world.accept(workflows.PauseWorkflow(workflow_id="wf"))
    check_world(world)


def test_a_command_that_has_lost_often_gets_the_log_to_itself() -> None:
    world = running_world("t1")
    other = World(world.log, world.clock)
    given = envelope(workflows.AmendWorkflow(workflow_id="wf", context={"mine": 1}))
    append, losses = world.log.append, 0

    async def overtaken(commands: Any) -> Any:
        """Another process is always a little faster."""
        nonlocal losses
        if any(command.command_id == given.command_id for command in commands) and not alone:
            losses += 1
            world.log.append = append  # type: ignore[method-assign]
            other.given(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": losses}))
            world.log.append = overtaken  # type: ignore[method-assign]
        return await append(commands)

    alone = []

    @asynccontextmanager
    async def to_oneself() -> AsyncIterator[MemoryEventLog]:
        alone.append(losses)
        yield world.log

    world.log.append = overtaken  # type: ignore[method-assign]
    world.log.alone = to_oneself  # type: ignore[method-assign]
    (answer,) = world.commit(given)
    assert (answer.outcome, losses, alone) == ("accepted", 3, [3])
    assert world.workflow().context == {"mine": 1, "theirs": 3}


def test_a_command_that_has_lost_often_is_still_held_to_the_version_that_its_caller_named() -> None:
    world = running_world("t1")
    other = World(world.log, world.clock)
    given = envelope(assign("t1"), expected=at_once(world.log.stream_version("task-t1")))
    append, losses = world.log.append, 0

    async def overtaken(commands: Any) -> Any:
        nonlocal losses
        if any(command.command_id == given.command_id for command in commands):
            losses += 1
            world.log.append = append  # type: ignore[method-assign]
            other.given(workflows.AmendWorkflow(workflow_id="wf", context={"theirs": losses}))
            world.log.append = overtaken  # type: ignore[method-assign]
        return await append(commands)

    @asynccontextmanager
    async def to_oneself() -> AsyncIterator[MemoryEventLog]:
        world.log.append = append  # type: ignore[method-assign]
        other.given(tasks.CancelTask(task_id="t1", reason="a moment before"))
        yield world.log

    world.log.append = overtaken  # type: ignore[method-assign]
    world.log.alone = to_oneself  # type: ignore[method-assign]
    (answer,) = world.commit(given)
    assert (answer.outcome, losses) == ("conflict", 3)
    assert given.command_id not in world.log.commands


def test_what_is_known_of_two_moments_at_once_is_no_fault() -> None:
    world = World()
    other = World(world.log, world.clock)
    world.given(create_workflow())
    other.given(add_task("t1"))

    world.accept(tasks.ScheduleTask(task_id="t1"))  # the task is read now, and its workflow was read before
    check_world(world)


def test_a_fault_of_ours_harms_only_its_own_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(work: Work, command: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(cast(dict[Any, Any], HANDLERS), workflows.PauseWorkflow, broken)
    world = World()
    with caplog.at_level(logging.CRITICAL):
        answers = world.commit(
            envelope(create_workflow()), envelope(workflows.PauseWorkflow(workflow_id="wf")), envelope(START)
        )
    assert [answer.outcome for answer in answers] == ["accepted", "failed", "accepted"]
    assert answers[1].problem is not None
    assert answers[1].problem.code == "internal_error"


def test_events_carry_who_asked_for_them_and_why() -> None:
    world = World()
    given = replace(
        envelope(create_workflow()), causation_id="cause", occurred_at=world.clock(), note={"inferred": True}
    )
    world.commit(given)

    assert orjson.loads(world.log.events[0].metadata) == {
        "command_id": str(given.command_id),
        "command_type": "CreateWorkflow",
        "actor": "tester",
        "correlation_id": "conversation-1",
        "causation_id": "cause",
        "occurred_at": "2024-01-17T10:00:00Z",
        "tenant": "bank",
        "inferred": True,
    }


def test_a_cache_that_holds_one_aggregate_is_enough() -> None:
    world = World(cache_size=1)
    world.given(
        create_workflow(), register_agent(), add_task("t1"), tasks.ScheduleTask(task_id="t1"), START, assign("t1")
    )
    world.given(agents.DeregisterAgent(agent_id="agent"))

    assert world.task("t1").state == "scheduled"
    assert world.commit(envelope(START, command_id=uuid4()))[0].outcome == "unchanged"
    check_world(world)


class CountingLog(MemoryEventLog):
    """Counts how often streams are read."""

    reads = 0

    async def read_folds(self, *args: Any, **options: Any) -> Any:
        self.reads += 1
        return await super().read_folds(*args, **options)


def test_what_many_commands_need_is_loaded_together() -> None:
    clock = Clock()
    log = CountingLog(clock)
    first = World(log, clock)
    first.given(register_agent(slots=50), create_workflow(), workflows.StartWorkflow(workflow_id="wf"))
    names = [f"t{number}" for number in range(20)]
    for name in names:
        first.given(add_task(name), tasks.ScheduleTask(task_id=name))
    cold = World(log, clock)
    log.reads = 0
    answers = cold.commit(*(envelope(assign(name)) for name in names))
    assert {answer.outcome for answer in answers} == {"accepted"}
    assert log.reads <= 4
    check_world(cold)


def test_a_glance_ahead_changes_nothing_and_a_refused_command_is_passed_over() -> None:
    world = World()
    world.given(create_workflow(), workflows.StartWorkflow(workflow_id="wf"), add_task("t1"))
    cold = World(world.log, world.clock)
    answers = cold.commit(
        envelope(tasks.StartTask(task_id="t1")),
        envelope(tasks.ScheduleTask(task_id="t1")),
        envelope(tasks.StartTask(task_id="none")),
    )
    assert [answer.outcome for answer in answers] == ["refused", "accepted", "refused"]
    assert cold.types("task-t1") == ["TaskCreated", "TaskScheduled"]
    check_world(cold)


def test_it_looks_ahead_only_after_something_was_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    world, looks = World(), 0
    prefetch = world.decider.prefetch

    async def counted(*given: Any) -> bool:
        nonlocal looks
        looks += 1
        return await prefetch(*given)

    def ahead() -> int:
        """How often it looks before two commands on what is in memory."""
        nonlocal looks
        looks = 0
        world.commit(
            *(envelope(workflows.AmendWorkflow(workflow_id="wf", context={"a": str(uuid4())})) for _ in range(2))
        )
        return looks

    monkeypatch.setattr(world.decider, "prefetch", counted)
    world.given(create_workflow())
    assert [ahead() for _ in range(3)] == [1, 0, 0], "it was new, and then it was known"
    world.decider.forget(["workflow-wf"])
    assert [ahead() for _ in range(3)] == [0, 1, 0], "that one was missing is found when it is needed"


def test_what_was_committed_while_a_stream_was_read_stays_in_memory() -> None:
    world = World()
    world.given(create_workflow())
    old = world.decider._cache["workflow-wf"]
    world.given(workflows.StartWorkflow(workflow_id="wf"))
    new = world.decider._cache["workflow-wf"]

    class Slow(MemoryEventLog):
        """Answers with what there was when it was asked."""

        async def read_folds(self, requests: Any, **options: Any) -> Any:
            world.decider.remember({"workflow-wf": new})
            return await world.log.read_folds([replace(one, until_version=old.version) for one in requests])

    world.decider.forget(["workflow-wf"])
    world.decider._reader = Slow(world.clock)
    at_once(world.committer.prefetch([envelope(create_workflow()), envelope(create_workflow())]))
    assert world.decider._cache["workflow-wf"] is new


def test_what_can_not_be_written_down_is_answered_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    broken = replace(envelope(create_workflow("w1")), actor="\ud800")
    with caplog.at_level(logging.CRITICAL):
        answers = world.commit(broken, envelope(create_workflow("w2")))
    assert [answer.outcome for answer in answers] == ["failed", "accepted"]
