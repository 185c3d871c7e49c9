"""Transactions: several commands are one, accepted together or not at all."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from commands import transfer
from commands.bus import CommandBus
from commands.edge import Edge
from commands.messages import Command
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.messages.transaction import MOST_COMMANDS, MOST_EXPECTED, Transaction
from domain.errors import InvalidInput
from tests.support.command_world import BEGINNING, World, add_task, create_workflow, envelope, running_world, start

COMPLETE = tasks.CompleteTask(task_id="t1")
OUTPUTS = tasks.RecordOutputs(task_id="t1", outputs={"score": 0.78})


def together(*commands: Command, **expected: int) -> Transaction:
    return Transaction(
        commands=commands, expected={name.replace("_", "-", 1): version for name, version in expected.items()}
    )


def test_each_command_is_decided_on_what_those_before_it_left_and_all_are_recorded_as_one() -> None:
    world = running_world("t1", "t2")
    start(world, "t1")
    events = world.accept(together(COMPLETE, OUTPUTS, workflows.AmendWorkflow(workflow_id="wf", context={"a": 1})))
    assert len({event.at for event in events}) == 1
    assert world.task("t1").outputs == {"score": 0.78}
    told = [orjson.loads(event.metadata) for event in world.log.events[-len(events) :]]
    assert {one["command_type"] for one in told} == {"Transaction"}
    assert [one["step"] for one in told] == sorted((one["step"] for one in told), key=_ORDER.index)
    assert {one["step"] for one in told} == set(_ORDER)
    assert len({one["command_id"] for one in told}) == 1


_ORDER = ["CompleteTask", "RecordOutputs", "AmendWorkflow"]


def test_the_first_refusal_refuses_all_and_says_which_it_was() -> None:
    world = running_world("t1")
    start(world, "t1")
    answer = world.refuse(together(OUTPUTS, tasks.StartTask(task_id="nobody"), COMPLETE), "unknown_id")
    assert answer.problem is not None
    assert answer.problem.facts == {"kind": "task", "id": "nobody", "command": 2, "command_type": "StartTask"}
    assert world.task("t1").state == "running"


def test_nothing_new_in_any_of_them_is_nothing_new() -> None:
    world = running_world("t1")
    world.unchanged(together(tasks.ScheduleTask(task_id="t1"), workflows.StartWorkflow(workflow_id="wf")))


def test_the_same_id_gets_the_first_answer_and_another_content_none() -> None:
    world = running_world("t1")
    start(world, "t1")
    given = envelope(together(COMPLETE, OUTPUTS))
    (answer,) = world.commit(given)
    assert world.commit(given) == [replace(answer, repeated=True)]
    (other,) = world.commit(replace(given, command=together(OUTPUTS, COMPLETE)))
    assert (other.outcome, other.problem and other.problem.code) == ("invalid", "command_id_reused")
    (renamed,) = world.commit(replace(given, command=together(COMPLETE, tasks.CompletePhase(task_id="t1", phase="x"))))
    assert renamed.outcome == "invalid"


def test_versions_are_expected_of_streams_that_no_command_touches_too() -> None:
    world = running_world("t1")
    world.given(create_workflow("other"))
    amend = workflows.AmendWorkflow(workflow_id="wf", context={"a": 1})
    (answer,) = world.commit(envelope(together(amend, workflow_other=2)))
    assert answer.outcome == "conflict"
    assert answer.problem is not None
    assert answer.problem.facts == {"stream_id": "workflow-other", "expected": 2, "actual": 1}
    world.accept(together(amend, workflow_other=1, workflow_nobody=0))


def test_what_another_process_wrote_since_is_a_conflict_and_not_overwritten() -> None:
    world = running_world("t1")
    other = World(world.log, world.clock)
    version = len(world.stream("workflow-wf"))
    world.do(workflows.AmendWorkflow(workflow_id="wf", context={"warm": True}))
    other.do(workflows.AmendWorkflow(workflow_id="wf", context={"a": 1}))
    (answer,) = world.commit(envelope(together(add_task("t9"), workflow_wf=version + 1)))
    assert answer.outcome == "conflict"
    assert answer.problem is not None
    assert answer.problem.facts["actual"] == version + 2
    world.accept(together(add_task("t9"), workflow_wf=version + 2))


async def test_a_version_that_is_still_being_written_is_waited_for() -> None:
    world = World()
    async with CommandBus(world.committer) as bus:
        made, first, second = await asyncio.gather(
            bus.submit(envelope(create_workflow())),
            bus.submit(envelope(together(add_task("t1"), workflow_wf=1))),
            bus.submit(envelope(together(add_task("t2"), workflow_wf=1))),
        )
    assert [made.outcome, first.outcome, second.outcome] == ["accepted", "accepted", "conflict"]


def test_a_transaction_stays_in_its_process() -> None:
    assert transfer.to_bytes(envelope(together(COMPLETE))) is None


# --- at the edge ------------------------------------------------------------------------------------------


def edge() -> Edge:
    return Edge(tenant="bank", new_id=uuid4, clock=lambda: BEGINNING, default_actor="me")


def submission(*commands: object, **data: Any) -> bytes:
    return orjson.dumps({"type": "Transaction", "data": {"commands": commands, **data}})


GOOD = {"type": "CompleteTask", "data": {"task_id": "t1"}}


def test_a_transaction_comes_as_a_list_of_commands() -> None:
    parsed = edge().parse(
        submission(GOOD, {"type": OUTPUTS.type, "data": OUTPUTS.model_dump()}, expected={"task-t1": 4})
    )
    assert parsed.command == Transaction(commands=(COMPLETE, OUTPUTS), expected={"task-t1": 4})
    longest = f"workflow-{'x' * 255}"
    assert edge().parse(submission(GOOD, expected={longest: 0})).expected == {longest: 0}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (submission(), "Transaction is not valid: data.commands: must not be empty"),
        (submission(*[GOOD] * (MOST_COMMANDS + 1)), "data.commands: .*at most 1000"),
        (submission("CompleteTask"), "data.commands.0: must be an object"),
        (submission(GOOD, {"type": "CompleteTask"}), "data.commands.1.data: must be given"),
        (submission(GOOD, {**GOOD, "actor": "x"}), "data.commands.1.actor: is no field of it"),
        (submission({"type": "CompleteTask", "data": {"task": "t1"}}), "data.commands.0.data.task: is no field of it"),
        (
            submission({"type": "CompleteTsk", "data": {}}),
            'there is no command "CompleteTsk"; did you mean CompleteTask',
        ),
        (submission({"type": "Transaction", "data": {}}), 'there is no command "Transaction"'),
        (submission({"type": "Heartbeat", "data": {"agent_id": "a"}}), "a heartbeat is not recorded"),
        (submission(GOOD, expected={"t1": 1}), "data.expected.t1: is no stream; write a kind"),
        (submission(GOOD, expected={"tasks-1": 1}), "data.expected.tasks-1: is no stream"),
        (submission(GOOD, expected={"task-\0": 1}), r"data.expected.task-\\x00: must not contain control characters"),
        (submission(GOOD, expected={"task-" + "x" * 256: 1}), "data.expected.task-x+: must have 1 to 255 characters"),
        (
            submission(GOOD, expected={f"task-{number}": 1 for number in range(MOST_EXPECTED + 1)}),
            "data.expected: must have at most 1000",
        ),
        (submission(GOOD, expected={"task-1": -1}), "data.expected.task-1: must be at least 0"),
        (submission(GOOD, expected={"task-1": True}), "data.expected.task-1: must be a whole number"),
        (submission(GOOD, expect={"task-1": 1}), "data.expect: is no field of it, the closest is expected"),
    ],
)
def test_what_is_wrong_with_it_is_said_with_its_place(raw: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        edge().parse(raw)
