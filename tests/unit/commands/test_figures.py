"""What a bus counts of its answers."""

from commands.envelope import Answer
from commands.figures import UNANSWERED, UNKNOWN, BusFigures
from tests.support.command_world import create_workflow, envelope


def test_answers_are_counted_by_type_and_outcome_and_what_did_not_happen_is_there_too() -> None:
    figures, given = BusFigures(), envelope(create_workflow())
    accepted = Answer(given.command_id, "CreateWorkflow", "accepted", {"workflow-wf": 1}, 1)
    figures.answered("CreateWorkflow", accepted, 0.002)
    figures.answered("CreateWorkflow", Answer(given.command_id, "CreateWorkflow", "accepted", repeated=True), 0.002)
    figures.answered("CreateWorkflow", None, 40.0)
    figures.invalid("CreateWorkflow")
    figures.invalid("DropTables")
    figures.invalid(None)
    counts = {(type, outcome): count for type, outcome, count in figures.counts()}
    assert {key: count for key, count in counts.items() if count} == {
        ("CreateWorkflow", "accepted"): 2,
        ("CreateWorkflow", UNANSWERED): 1,
        ("CreateWorkflow", "invalid"): 1,
        (UNKNOWN, "invalid"): 2,
    }
    assert counts["Transaction", "refused"] == 0
    assert (figures.repeated, figures.commands.sum) == (1, 40.004)
    assert (figures.commands.counts[1], figures.commands.counts[-1]) == (2, 1)
