"""Transactions of many commands: each costs what it costs alone."""

from collections.abc import Callable
from typing import Any

import pytest

from commands.messages import Command
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.messages.transaction import Transaction
from commands.work import Work
from tests.support.command_world import World, add_task, assign, create_workflow, register_agent
from tests.support.memory_log import MemoryEventLog


class Counted:
    """How often handlers record something, and how often the log is asked for folds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records = self.folds = self.asked = 0
        record, read_folds = Work.record, MemoryEventLog.read_folds

        def recorded(work: Work, aggregate: Any, aggregate_id: str, events: Any) -> None:
            self.records += 1
            record(work, aggregate, aggregate_id, events)

        async def read(log: MemoryEventLog, requests: Any) -> Any:
            self.asked += 1
            self.folds += len(requests)
            return await read_folds(log, requests)

        monkeypatch.setattr(Work, "record", recorded)
        monkeypatch.setattr(MemoryEventLog, "read_folds", read)


def new_tasks(number: int) -> tuple[World, list[Command]]:
    world = World()
    world.given(create_workflow())
    return world, [add_task(f"t{one}") for one in range(number)]


def ends_for_which_others_wait(number: int) -> tuple[World, list[Command]]:
    """Each is started and completed, and who waits for it is found out only then, and is never in memory."""
    world = World(cache_size=1)
    world.given(create_workflow(), register_agent(slots=number))
    for one in range(number):
        world.given(add_task(f"t{one}"), tasks.ScheduleTask(task_id=f"t{one}"))
        world.given(add_task(f"after{one}", requires=(f"t{one}",)))
    world.given(workflows.StartWorkflow(workflow_id="wf"))
    world.given(*[assign(f"t{one}") for one in range(number)])
    ended = [(tasks.StartTask(task_id=f"t{one}"), tasks.CompleteTask(task_id=f"t{one}")) for one in range(number)]
    return world, [command for pair in ended for command in pair]


@pytest.mark.parametrize(("situation", "round_trips"), [(new_tasks, 4), (ends_for_which_others_wait, None)])
def test_each_of_many_commands_costs_what_it_costs_alone(
    monkeypatch: pytest.MonkeyPatch,
    situation: Callable[[int], tuple[World, list[Command]]],
    round_trips: int | None,
) -> None:
    costs = []
    for number in (20, 40, 80):
        world, commands = situation(number)
        with monkeypatch.context() as patch:
            counted = Counted(patch)
            world.accept(Transaction(commands=tuple(commands)))
        costs.append((counted.records, counted.folds))
        assert round_trips is None or counted.asked <= round_trips
    first, second, third = costs
    for one, two, three in zip(first, second, third, strict=True):
        assert three - two <= 2 * (two - one) + 2, costs


def test_what_was_done_before_something_was_missing_is_done_once() -> None:
    cold, commands = ends_for_which_others_wait(5)
    cold.accept(Transaction(commands=tuple(commands)))
    alone, commands = ends_for_which_others_wait(5)

    for command in commands:
        alone.accept(command)
    told = [(event.stream_id, event.type) for event in cold.log.events]
    assert told == [(event.stream_id, event.type) for event in alone.log.events]
