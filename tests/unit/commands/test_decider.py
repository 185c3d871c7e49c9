"""What is loaded before it is asked for, what is loaded again, and what is not."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from commands.decider import Decider
from commands.messages import pool as pools
from commands.messages import system as systems
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.messages.transaction import Transaction
from commands.work import Loaded
from domain.errors import CorruptLog
from domain.values import iso
from tests.support.command_world import (
    World,
    add_task,
    assign,
    at_once,
    create_workflow,
    envelope,
    register_agent,
    running_world,
)
from tests.support.listening_log import ListeningLog


def start(workflow_id: str) -> workflows.StartWorkflow:
    return workflows.StartWorkflow(workflow_id=workflow_id)


def elsewhere(before: World, **options: Any) -> tuple[World, ListeningLog]:
    """Another process, with nothing in memory."""
    log = ListeningLog(before)
    return World(log, before.clock, **options), log


class TestBeforeCommandsAreDecided:
    def prefetch(self, decider: Decider, *workflow_ids: str, **ahead: Loaded[Any]) -> bool:
        asking = [envelope(start(one)) for one in workflow_ids]
        known = {f"workflow-{workflow_id}": one for workflow_id, one in ahead.items()}
        return at_once(decider.prefetch(asking, BEFORE.clock(), known))

    def test_what_is_in_memory_or_on_its_way_is_not_loaded(self) -> None:
        world, log = elsewhere(BEFORE)
        at_once(world.decider.prefetch([envelope(start("w1")), envelope(start("w2"))], world.clock()))
        log.asked.clear()
        assert not self.prefetch(world.decider, "w1", "w2")
        assert not self.prefetch(world.decider, "w3", "w4", w3=Loaded(2, None), w4=Loaded(2, None))
        assert log.asked == []

    def test_what_several_need_is_loaded_at_once(self) -> None:
        world, log = elsewhere(BEFORE)
        assert self.prefetch(world.decider, "w1", "w2")
        assert log.asked[0] == ["workflow-w1", "workflow-w2"]

    def test_what_one_needs_alone_is_loaded_when_it_is_decided(self) -> None:
        world, log = elsewhere(BEFORE)
        assert self.prefetch(world.decider, "w1")
        assert log.asked == []


BEFORE = World()
BEFORE.given(*(create_workflow(one) for one in ("w1", "w2", "w3", "w4")))


@pytest.mark.parametrize("warm", [(), ("wf",), ("wf", "agent")], ids=lambda warm: " and ".join(warm) or "nothing")
@pytest.mark.parametrize("cache_size", [0, 1000])
def test_a_transaction_loads_nothing_twice_and_nothing_that_is_in_memory(
    warm: tuple[str, ...], cache_size: int
) -> None:
    before = running_world("t1", "t2", "t3")
    before.given(register_agent("other"))
    world, log = elsewhere(before, cache_size=cache_size)
    if "wf" in warm:
        world.accept(workflows.AmendWorkflow(workflow_id="wf", context={"a": 1}))
    if "agent" in warm:
        world.unchanged(register_agent())
    kept = {stream_id for streams in log.asked for stream_id in streams} if cache_size else set()
    log.asked.clear()
    world.accept(
        Transaction(commands=(assign("t1", pool_id="pool"), assign("t2", "other"), tasks.StartTask(task_id="t1")))
    )
    asked = [stream_id for streams in log.asked for stream_id in streams]
    assert len(asked) == len(set(asked))
    assert kept.isdisjoint(asked)
    assert {"task-t1", "task-t2", "pool-pool", "agent-other"} <= set(asked)


def test_only_what_others_have_moved_is_brought_up_to_date() -> None:
    before = World()
    before.given(create_workflow(), create_workflow("mine"))
    world, log = elsewhere(before)
    other = World(log, before.clock)
    world.given(
        workflows.AmendWorkflow(workflow_id="wf", context={"a": 1}),
        start("mine"),
    )
    other.given(start("wf"), create_workflow("new"), pools.CreatePool(pool_id="pool", total={"cpu": "1"}))
    log.asked.clear()

    at_once(world.decider.catch_up())
    assert log.asked == [["workflow-wf"]]
    world.accept(workflows.PauseWorkflow(workflow_id="wf"))
    assert world.committer.lost == 0

    log.asked.clear()
    at_once(world.decider.catch_up())
    assert log.asked == []


def test_what_was_not_there_is_brought_up_to_date_from_the_first_event_of_the_log_on() -> None:
    world, log = elsewhere(World())
    world.refuse(start("wf"), "unknown_id")
    World(log, world.clock).given(create_workflow())
    log.asked.clear()
    at_once(world.decider.catch_up())
    assert log.asked == [["workflow-wf"]]


def test_what_others_have_moved_is_gone_on_from_and_what_they_have_not_stays() -> None:
    before = World()
    before.given(create_workflow("still"), create_workflow("moved"))
    world, log = elsewhere(before)
    world.given(start("still"), start("moved"))
    World(log, world.clock).given(workflows.PauseWorkflow(workflow_id="moved"))
    log.asked.clear()
    log.after.clear()
    at_once(world.decider.refresh(["workflow-still", "workflow-moved"]))
    assert log.after == [{"workflow-still": 2, "workflow-moved": 2}]
    log.asked.clear()
    world.accept(workflows.ResumeWorkflow(workflow_id="moved"))
    world.accept(workflows.PauseWorkflow(workflow_id="still"))
    assert log.asked == []


def test_what_can_not_be_gone_on_from_is_told_by_its_version() -> None:
    before = World()
    before.given(create_workflow(), start("wf"))
    world, log = elsewhere(before)
    world.accept(workflows.PauseWorkflow(workflow_id="wf"))
    broken = replace(log.events[-1], data=b"{", version=4, position=len(log.events) + 1)
    log.put_as_it_is(broken)
    with pytest.raises(CorruptLog, match="workflow-wf, version 4: "):
        at_once(world.decider.refresh(["workflow-wf"]))


def test_a_full_memory_lets_go_of_what_was_not_used_for_longest() -> None:
    world, log = elsewhere(BEFORE, cache_size=2)
    numbers = itertools.count()

    def asked_to_amend(workflow_id: str) -> list[list[str]]:
        log.asked.clear()
        world.accept(workflows.AmendWorkflow(workflow_id=workflow_id, context={"n": next(numbers)}))
        return log.asked

    assert [len(asked_to_amend(one)) for one in ("w1", "w2", "w1", "w3")] == [1, 1, 0, 1]
    assert [len(asked_to_amend(one)) for one in ("w1", "w3", "w2")] == [0, 0, 1]


def test_what_is_not_in_memory_is_counted_once_a_command() -> None:
    world, _ = elsewhere(BEFORE)
    assert world.decider.misses == 0
    world.given(start("w1"), workflows.PauseWorkflow(workflow_id="w1"))
    assert world.decider.misses == 1


def test_what_was_not_there_yet_says_when_it_was_recorded_and_not_when_that_was_decided() -> None:
    world = World()
    world.accept(create_workflow())
    world.accept(add_task("t1"))
    world.accept(create_workflow("later"))  # in the same moment, so the log counts on from the one before
    began = world.stream("workflow-later")[0].recorded_at
    assert began > world.workflow("later").created_at
    rollback = workflows.RollBackWorkflow(workflow_id="later", to_position=1, reason="r", operator="me")
    answer = world.refuse(rollback, "rollback_before_beginning")
    assert answer.problem is not None
    assert answer.problem.facts["began"] == iso(began)


# --- with nothing in memory -----------------------------------------------------------------------------------


def test_a_process_that_knows_nothing_yet_counts_what_is_active_before_it_starts_one_more() -> None:
    before = World()
    before.given(create_workflow("w1"), start("w1"), create_workflow())
    before.given(systems.ConfigureSystem(max_concurrent_workflows=1))
    world, _ = elsewhere(before)
    answer = world.refuse(start("wf"), "too_many_workflows")
    assert answer.problem is not None
    assert answer.problem.facts == {"active_workflows": 1, "limit": 1}
    before.given(systems.ConfigureSystem(max_concurrent_workflows=2))
    world, _ = elsewhere(before)
    world.accept(start("wf"))


def test_a_process_that_knows_nothing_yet_rolls_back_to_no_position_beyond_the_end_of_the_log() -> None:
    def roll_back(to_position: int) -> workflows.RollBackWorkflow:
        return workflows.RollBackWorkflow(workflow_id="wf", to_position=to_position, reason="r", operator="me")

    before = World()
    before.given(create_workflow(), start("wf"))
    world, _ = elsewhere(before)
    answer = world.refuse(roll_back(3), "rollback_beyond_end")
    assert answer.problem is not None
    assert answer.problem.facts["last_position"] == 2
    world, _ = elsewhere(before)
    world.refuse(roll_back(2), "rollback_to_now")
    world, _ = elsewhere(before)
    world.accept(roll_back(1))


def test_a_process_that_knows_nothing_yet_names_reservations_after_their_commands() -> None:
    world, _ = elsewhere(running_world("t1", "t2"), cache_size=0)
    for task_id in ("t1", "t2"):
        given = envelope(assign(task_id, pool_id="pool"))
        world.commit(given)
        assert world.task(task_id).reservation_id == f"res-{given.command_id}-1"
    assert len(world.pool().reservations) == 2


def test_however_many_commands_a_transaction_has_what_they_need_is_loaded_in_as_many_round_trips() -> None:
    asked = {}
    for count in (2, 5):
        before = World()
        before.given(register_agent())
        for number in range(count):
            workflow_id, task_id = f"w{number}", f"t{number}"
            before.given(create_workflow(workflow_id), add_task(task_id, workflow_id))
            before.given(tasks.ScheduleTask(task_id=task_id), start(workflow_id))
        world, log = elsewhere(before)
        world.accept(Transaction(commands=tuple(assign(f"t{number}") for number in range(count))))
        asked[count] = len(log.asked)
    assert asked[2] == asked[5]
