"""What becomes of a batch's events beside documents, and how often others have their turn meanwhile."""

from types import SimpleNamespace

import pytest

from domain.all_events import CATALOGUE
from domain.folding import FOLDER
from domain.workflow import WorkflowCompleted, WorkflowCreated, WorkflowStarted
from projections import folding
from projections.batch import Batch, Completion
from projections.folding import Folding
from projections.states import States
from tests.support.stories import at
from tests.support.told_log import START, ToldLog


def batch_of(log: ToldLog) -> Batch:
    return Batch(0, len(log.events), START, behind=False)


async def test_others_have_their_turn_after_so_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ToldLog()
    for _ in range(10):
        log.put("nothing-x", "TaskScheduled", b"{}")
    batch = batch_of(log)
    turns: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        turns.append((seconds, len(batch.dead_letters)))

    monkeypatch.setattr(folding, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(folding, "AT_ONCE", 3)
    await Folding(States(log, FOLDER, 10), CATALOGUE, set(), batch).apply(log.events)
    assert turns == [(0, 3), (0, 6), (0, 9)]


async def test_a_workflow_that_is_completed_is_told_with_its_whole_id() -> None:
    log = ToldLog()
    created = WorkflowCreated(at=at(0), workflow_id="a-longer-name", definition_id="d", definition_version="1")
    for event in (created, WorkflowStarted(at=at(1)), WorkflowCompleted(at=at(7))):
        log.tell(("workflow-a-longer-name", event))
    batch = await Folding(States(log, FOLDER, 10), CATALOGUE, set(), batch_of(log)).apply(log.events)
    assert batch.completions == [Completion(3, at(7), "a-longer-name")]
    (document,) = batch.documents
    assert (document.kind, document.id, document.position, document.state) == (
        "workflow",
        "a-longer-name",
        3,
        "completed",
    )
