"""What a command is answered with, where the log or a lock had the last word."""

from dataclasses import replace
from uuid import uuid4

import pytest

from commands import answers
from commands.envelope import Answer, Outcome, Problem
from commands.messages.agent import Heartbeat
from domain.errors import LockLost, LogUnavailable
from domain.log import LockedOut
from domain.values import iso
from tests.support.command_world import BEGINNING, World, add_task, at_once, create_workflow, envelope


@pytest.mark.parametrize(
    "command", [create_workflow(), add_task("t", requires=("x",))], ids=lambda command: str(command.type)
)
def test_an_answer_is_found_by_the_id_alone(command: object) -> None:
    world = World()
    world.given(create_workflow("other"))
    given = envelope(command)  # type: ignore[arg-type]  # a command, as the test says
    (answer,) = world.commit(given)
    recorded = at_once(world.log.find_command(given.command_id))
    assert recorded is not None
    assert answers.of_id(given.command_id, recorded) == answer
    assert answers.of_recorded(given, recorded) == replace(answer, repeated=True)
    reused = answers.of_recorded(replace(given, command=create_workflow("another")), recorded)
    assert reused.problem is not None
    assert (reused.command_id, reused.type, reused.outcome) == (given.command_id, "CreateWorkflow", "invalid")
    assert reused.problem.message == (
        f"Command id {given.command_id} was used before, for a {given.command.type} with other content;"
        " take a fresh id for each command."
    )


def test_what_tells_one_request_from_another_is_the_same_in_each_release() -> None:
    """It is in the log, and an id that comes again may meet the next release."""
    assert answers.digest(envelope(create_workflow())) == "a856bdde014cd9e5c95125ca6cf71b92"
    assert answers.digest(envelope(add_task("t1"))) == "01df5aefd3900a0e3631e784bb0b8d44"


def test_one_who_is_locked_out_is_told_by_whom_and_since_when() -> None:
    given = envelope(create_workflow())
    told = answers.locked_out(given, LockedOut("workflow-wf", "ann", BEGINNING))
    since = iso(BEGINNING)
    problem = Problem(
        "locked",
        f"workflow-wf is locked by ann since {since}; try again a little later.",
        {"stream_id": "workflow-wf", "holder": "ann", "since": since},
    )
    assert told == Answer(given.command_id, "CreateWorkflow", "failed", problem=problem)


@pytest.mark.parametrize(
    "outcome", [LockedOut(None), LockedOut(None, "ann", BEGINNING), LockedOut("workflow-wf", "ann")]
)
def test_one_whose_lock_was_lost_is_told_so(outcome: LockedOut) -> None:
    given = envelope(create_workflow())
    problem = Problem("lock_lost", LockLost().message)
    assert answers.locked_out(given, outcome) == Answer(given.command_id, "CreateWorkflow", "failed", problem=problem)


def test_an_error_is_answered_with_its_code_its_words_and_its_facts() -> None:
    given = envelope(create_workflow(), command_id=uuid4())
    problem = Problem("log_unavailable", "It is away.", {"since": 1})
    expected = Answer(given.command_id, "CreateWorkflow", "failed", problem=problem)
    assert answers.of_error(given, LogUnavailable("It is away.", since=1)) == expected


@pytest.mark.parametrize("problem", [None, Problem("unknown_id", "There is no agent a.", {"id": "a"})])
def test_a_heartbeat_is_answered_as_the_command_that_it_is(problem: Problem | None) -> None:
    given = envelope(Heartbeat(agent_id="a"))
    outcome: Outcome = "refused" if problem else "accepted"
    assert answers.of_telemetry(given, problem) == Answer(given.command_id, "Heartbeat", outcome, problem=problem)
