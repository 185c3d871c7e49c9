"""What would be larger than the log takes is refused before it gets there, for ever, and harms no other command."""

import pytest

from commands import preparing
from commands.envelope import Answer
from commands.messages import workflow as workflows
from commands.messages.transaction import Transaction
from tests.support.command_world import World, create_workflow, envelope


def told(answer: Answer) -> tuple[str, str | None]:
    return answer.outcome, answer.problem.code if answer.problem else None


@pytest.fixture
def small_commands(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(preparing, "MAX_COMMAND_BYTES", 20_000)
    monkeypatch.setattr(preparing, "FEW", 3)
    return 20_000


def adds(count: int, size: int) -> Transaction:
    tasks = [
        workflows.AddTask(workflow_id="wf", task_id=f"t{n}", definition_id="d", inputs={"text": "x" * size})
        for n in range(count)
    ]
    return Transaction(commands=tuple(tasks))


def test_events_that_are_too_large_together_are_refused_and_their_neighbours_are_not(small_commands: int) -> None:
    world = World()
    world.accept(create_workflow())
    large, small = envelope(adds(8, 1_000)), envelope(adds(4, 1_000))
    answers = world.commit(large, small)
    assert [told(answer) for answer in answers] == [("refused", "command_too_large"), ("accepted", None)]
    problem = answers[0].problem
    assert problem is not None
    assert problem.facts["events"] == 16
    assert problem.facts["limit"] == small_commands
    assert int(str(problem.facts["bytes"])) > small_commands
    assert told(world.commit(large)[0]) == ("refused", "command_too_large"), "the first answer"


def test_events_that_just_go_together_are_taken(small_commands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.accept(create_workflow())
    given = adds(8, 1_000)
    answer = world.refuse(given, "command_too_large")
    assert answer.problem is not None
    size = answer.problem.facts["bytes"]
    assert isinstance(size, int)
    monkeypatch.setattr(preparing, "MAX_COMMAND_BYTES", size - 1)
    world.refuse(given, "command_too_large")
    monkeypatch.setattr(preparing, "MAX_COMMAND_BYTES", size)
    world.accept(given)


def test_an_event_that_is_too_large_is_refused_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "MAX_EVENT_BYTES", 5_000)
    world = World()
    world.accept(create_workflow())
    answer = world.refuse(workflows.AmendWorkflow(workflow_id="wf", context={"text": "x" * 5_000}), "event_too_large")
    assert answer.problem is not None
    assert answer.problem.message.startswith("An event WorkflowAmended of workflow-wf would have 5,")
    size = answer.problem.facts["bytes"]
    assert isinstance(size, int)
    assert 5_000 < size < 6_000
    assert answer.problem.facts == {
        "stream_id": "workflow-wf",
        "event_type": "WorkflowAmended",
        "bytes": size,
        "limit": 5_000,
    }
    world.accept(workflows.AmendWorkflow(workflow_id="wf", context={"text": "x" * 4_000}))


def test_an_event_is_as_large_as_its_data_and_what_is_said_of_it_and_may_have_just_what_the_log_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, world = World(), World()
    before.accept(create_workflow())
    (event,) = before.log.events
    size = len(event.data) + len(event.metadata)
    monkeypatch.setattr(preparing, "MAX_EVENT_BYTES", size - 1)
    answer = world.refuse(create_workflow(), "event_too_large")
    assert answer.problem is not None
    assert answer.problem.facts["bytes"] == size
    monkeypatch.setattr(preparing, "MAX_EVENT_BYTES", size)
    world.accept(create_workflow())
