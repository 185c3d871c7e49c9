"""Documents as of a moment, with the real read models: the system's counts as they were."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from domain.errors import CutOutOfRange
from domain.log import Cut
from domain.workflow import WorkflowCompleted, WorkflowCreated, WorkflowStarted
from infrastructure import read_model_writer
from projections.documents.values import Document
from projections.errors import NotProjectedYet
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task, full_stories, full_system, pending_task
from tests.support.told_log import START


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


STORIES = [
    *(story for number in range(6) for story in finished_task(f"t{number}", begin=60 * number, end=60 * number + 30)),
    ("workflow-w", WorkflowCreated(at=at(0), workflow_id="w", definition_id="d", definition_version="1")),
    ("workflow-w", WorkflowStarted(at=at(200))),
    ("workflow-w", WorkflowCompleted(at=at(400))),
    *full_stories(),
    *pending_task("later", 400),
]


@pytest.mark.parametrize("spacing", [1, 10, 10_000])
async def test_the_systems_counts_at_a_cut_are_what_they_were(
    side: ReadSide, spacing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether counts were kept at each position, now and then, or never."""
    monkeypatch.setattr(read_model_writer, "COUNTS_SPACING", spacing)
    then: list[tuple[Cut, Cut, Document]] = []
    for first in range(0, len(STORIES), 3):
        command = side.log.tell(*STORIES[first : first + 3], at=START + timedelta(minutes=first))
        side.now = command[-1].recorded_at
        await side.project()
        then.append((Cut(position=command[-1].position), Cut(at=side.now), await side.queries().system()))
    side.now = side.log.events[-1].recorded_at
    for by_position, by_time, document in then:
        assert await side.queries().state_at("system", "platform", by_position) == document
        assert await side.queries().state_at("system", "platform", by_time) == document
    assert {document["running_tasks"] for _, _, document in then} >= {0, 1}
    assert {document["completed_tasks_today"] for _, _, document in then} >= {0, 1, 2, 3, 4, 5}
    assert len({document["throughput"]["tasks_per_minute"] for _, _, document in then}) > 1
    assert {document["throughput"]["workflows_per_hour"] for _, _, document in then} == {0.0, 0.042}
    kept = {1: len(then), 10: len(STORIES) // 12, 10_000: 0}[spacing]
    assert await side.rows("SELECT count(*) FROM kept_counts") == [(kept,)]


async def test_a_cut_within_a_command_shows_the_system_before_it(side: ReadSide) -> None:
    side.log.tell_all(*finished_task("t0"))
    whole = len(side.log.events)
    side.log.tell(*pending_task("t1", 0), *pending_task("t2", 0))
    await side.project()
    shown = await side.queries().state_at("system", "platform", Cut(position=whole + 1))
    assert (shown["pending_tasks"], shown["stream_version"], shown["created_at"]) == (0, 0, None)
    shown = await side.queries().state_at("system", "platform", Cut(position=len(side.log.events)))
    assert shown["pending_tasks"] == 2


async def test_a_version_of_the_system_is_shown_with_the_counts_of_its_command(side: ReadSide) -> None:
    side.log.tell(*full_system()[:1], *pending_task("t0", 0))
    side.log.tell_all(*full_system()[1:], *pending_task("t1", 0))
    await side.project()
    shown = await side.queries().state_at("system", "platform", Cut(version=1))
    assert (shown["stream_version"], shown["pending_tasks"]) == (1, 1)


async def test_counts_of_what_the_read_models_have_not_come_to_are_not_made_up(side: ReadSide) -> None:
    side.log.tell_all(*finished_task("t0"))
    side.now = side.log.events[-1].recorded_at
    with pytest.raises(NotProjectedYet, match="The read models are at position 0 and 5 was asked for"):
        await side.queries().state_at("system", "platform", Cut(position=len(side.log.events)))
    with pytest.raises(CutOutOfRange, match="The log ends at position 5, before 6"):
        await side.queries().state_at("system", "platform", Cut(position=6))
