"""The task board: exact counts by any facet, whatever was projected how."""

from collections import Counter
from collections.abc import AsyncIterator
from itertools import combinations
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.task import TaskCancelled, TaskCreated, TaskRetried, TaskScheduled
from infrastructure.checking import PostgresKept
from projections.lists import Board, Lists
from projections.lists.boards import COLUMNS, FACETS
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task, full_task, pending_task


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


def tell_much(side: ReadSide) -> None:
    """Tasks of all sorts, each event a command of its own."""
    for number in range(12):
        agent, workflow = f"agent-{number % 3}", f"wf-{number % 4}"
        life = finished_task(f"f{number}", agent_id=agent, workflow_id=workflow)
        side.log.tell_all(*life[: 2 + number % 4])
    for number in range(7):
        side.log.tell_all(*pending_task(f"p{number}", number, ["low", "high"][number % 2]))
    side.log.tell_all(*full_task("t1", "wf-1"), *full_task("t2", "wf-2"))
    side.log.tell(("task-p0", TaskCancelled(at=at(90), reason="r")))
    side.log.tell(("task-p1", TaskScheduled(at=at(90))))


async def columns(lists: Lists, by: str, **only: Any) -> dict[str | None, dict[str, int]]:
    """All columns by all pages."""
    found: dict[str | None, dict[str, int]] = {}
    mark: str | None = None
    while True:
        board: Board = await lists.board(by, mark=mark, limit=2, **only)
        found |= {column.value: dict(column.counts) for column in board.columns}
        assert all(column.total == sum(column.counts.values()) for column in board.columns)
        mark = board.next
        if mark is None:
            return found


async def expected(side: ReadSide, by: str, **only: Any) -> dict[str | None, dict[str, int]]:
    """By counting all documents."""
    found: dict[str | None, Counter[str]] = {}
    column = FACETS.get(by, "state")
    rows = await side.rows(f"SELECT state, {column}, {', '.join(FACETS.values())} FROM tasks")
    for state, value, *facets in rows:
        own = dict(zip(FACETS.values(), facets, strict=True)) | {"state": state}
        if all(own[name] == wanted for name, wanted in only.items()):
            found.setdefault(value, Counter())[state] += 1
    return {value: dict(counts) for value, counts in found.items()}


FILTERS = {"agent_id": "agent-1", "definition_id": "d", "priority": "high", "workflow_id": "wf-1", "state": "completed"}


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
async def test_a_board_by_anything_of_anything_counts_what_there_is(side: ReadSide, batch_size: int) -> None:
    tell_much(side)
    await side.project(batch_size=batch_size)
    assert await PostgresKept(side.pool).miscounted() == []
    for by in COLUMNS:
        for count in range(len(FILTERS) + 1):
            for names in combinations(FILTERS, count):
                only: dict[str, Any] = {name: FILTERS[name] for name in names}
                told = {value: counts for value, counts in (await columns(side.lists(), by, **only)).items() if counts}
                if by == "state":
                    told = {value: {state: n for state, n in counts.items() if n} for value, counts in told.items()}
                    told = {value: counts for value, counts in told.items() if counts}
                assert told == await expected(side, by, **only), (by, only)
                board = await side.lists().board(by, **only)
                assert board.total == sum(sum(counts.values()) for counts in told.values()), (by, only)


async def test_columns_have_an_order_that_one_expects(side: ReadSide) -> None:
    tell_much(side)
    await side.project()
    lists = side.lists()
    by_state = await lists.board()
    assert [column.value for column in by_state.columns][:4] == ["created", "scheduled", "assigned", "running"]
    assert list(by_state.counts) == [column.value for column in by_state.columns if column.total]
    assert [column.value for column in (await lists.board("priority")).columns] == ["high", "medium", "low"]
    assert [column.value for column in (await lists.board("agent")).columns][:2] == [None, "agent-0"]


async def test_what_is_counted_goes_along_when_a_task_moves_on(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t")[:6])
    await side.project()
    assert await columns(side.lists(), "agent") == {"agent-0": {"failed": 1}}
    side.log.tell(("task-t", TaskRetried(at=at(8), attempt=2)))
    await side.project()
    assert await columns(side.lists(), "agent") == {None: {"scheduled": 1}}
    side.log.tell_all(*full_task("t")[7:])
    await side.project()
    assert await columns(side.lists(), "agent") == {"policy-analyzer-001": {"running": 1}}
    assert await columns(side.lists(), "workflow", definition_id="d") == {"wf-1": {}}


@pytest.mark.parametrize(
    ("by", "only", "said"),
    [
        ("colour", {}, "There is no board by colour; there are boards by state, agent"),
        ("agent", {"state": "stuck"}, "There is no state stuck"),
        ("agent", {"priority": ["high", "low"]}, "A board is of one priority or of all"),
    ],
)
async def test_a_board_that_there_is_not_is_refused(side: ReadSide, by: str, only: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await side.lists().board(by, **only)


async def test_a_new_task_of_another_shape_is_counted_once(side: ReadSide) -> None:
    created = TaskCreated(at=at(0), task_id="t", workflow_id="w'%", definition_id="d\\{}", priority="low")
    side.log.tell(("task-t", created))
    await side.project()
    assert await columns(side.lists(), "workflow") == {"w'%": {"created": 1}}
    assert await columns(side.lists(), "definition", priority="low") == {"d\\{}": {"created": 1}}
