"""Lists of documents: filters, order, pages by keys, and what the worker has to act on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from domain.workflow import WorkflowCreated, WorkflowStarted
from projections.documents.values import Document
from projections.errors import InvalidPage
from projections.pages import Page
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task, full_agent, full_pool, full_task, pending_task


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


async def all_of(ask: Callable[[str | None], Awaitable[Page]]) -> list[Document]:
    """Every item by every page, two at a time."""
    items: list[Document] = []
    mark: str | None = None
    while True:
        page = await ask(mark)
        assert len(page.items) <= 2
        items += page.items
        mark = page.next
        if mark is None:
            return items


def ids(items: list[Document], key: str = "task_id") -> list[str]:
    return [item[key] for item in items]


async def test_tasks_are_found_by_workflow_agent_state_definition_and_priority(side: ReadSide) -> None:
    side.log.tell_all(
        *full_task("t1", "wf-a"),
        *finished_task("t2", agent_id="agent-2", workflow_id="wf-b"),
        *pending_task("t3", 5, "low"),
    )
    await side.project()
    lists = side.lists()
    assert ids((await lists.tasks(workflow_id="wf-a")).items) == ["t1"]
    assert ids((await lists.tasks(agent_id="agent-2")).items) == ["t2"]
    assert ids((await lists.tasks(state="created")).items) == ["t3"]
    assert ids((await lists.tasks(definition_id="document_analysis")).items) == ["t1"]
    assert ids((await lists.tasks(priority="low", state="created")).items) == ["t3"]
    assert ids((await lists.tasks()).items) == ["t2", "t1", "t3"]
    assert ids((await lists.tasks(workflow_id="wf-a", state="created")).items) == []


async def test_a_listed_running_task_shows_its_time_so_far(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t1"))
    await side.project()
    side.now = at(98.5)
    (task,) = (await side.lists().tasks()).items
    assert task["execution_metrics"]["execution_time"] == pytest.approx(85.3)


async def test_pages_of_tasks_follow_each_other_without_gap_or_repetition(side: ReadSide) -> None:
    for number in (3, 1, 2, 2, 5):
        side.log.tell(*pending_task(f"t{number}-{len(side.log.events)}", number))
    await side.project()
    lists = side.lists()
    items = await all_of(lambda mark: lists.tasks(mark=mark, limit=2))
    assert ids(items) == ["t1-1", "t2-2", "t2-3", "t3-0", "t5-4"]


async def test_pending_tasks_come_by_the_weight_of_their_priority_and_then_by_age(side: ReadSide) -> None:
    for name, created, priority in [
        ("old-low", 0, "low"),
        ("old-medium", 1, "medium"),
        ("new-high", 9, "high"),
        ("old-high", 2, "high"),
        ("new-medium", 8, "medium"),
    ]:
        side.log.tell(*pending_task(name, created, priority))
    side.log.tell(*finished_task("done"))
    stream = "workflow-wf-1"
    begun = WorkflowCreated(at=at(0), workflow_id="wf-1", definition_id="d", definition_version="1")
    side.log.tell((stream, begun))
    await side.project()
    lists = side.lists()
    assert (await lists.pending_tasks()).items == []  # nothing is to be done in a workflow that does not run
    side.log.tell((stream, WorkflowStarted(at=at(0))))
    await side.project()
    items = await all_of(lambda mark: lists.pending_tasks(mark=mark, limit=2))
    assert ids(items) == ["old-high", "new-high", "old-medium", "new-medium", "old-low"]
    equal = await all_of(
        lambda mark: lists.pending_tasks(weights={"high": 3, "medium": 3, "low": 9}, mark=mark, limit=2)
    )
    assert ids(equal) == ["old-low", "old-medium", "old-high", "new-medium", "new-high"]


async def test_workflows_come_newest_first_with_filters(side: ReadSide) -> None:
    for number in range(5):
        created = WorkflowCreated(
            at=at(number),
            workflow_id=f"w{number}",
            definition_id="even" if number % 2 == 0 else "odd",
            definition_version="1",
            context={"priority": "high"} if number < 2 else {},
        )
        side.log.tell((f"workflow-w{number}", created))
    side.log.tell(("workflow-w3", WorkflowStarted(at=at(10))))
    await side.project()
    lists = side.lists()
    items = await all_of(lambda mark: lists.workflows(mark=mark, limit=2))
    assert ids(items, "workflow_id") == ["w4", "w3", "w2", "w1", "w0"]
    assert ids((await lists.workflows(definition_id="odd")).items, "workflow_id") == ["w3", "w1"]
    assert ids((await lists.workflows(state="running")).items, "workflow_id") == ["w3"]
    assert ids((await lists.workflows(priority="high")).items, "workflow_id") == ["w1", "w0"]
    recent = await lists.workflows(created_from=at(2), created_before=at(4))
    assert ids(recent.items, "workflow_id") == ["w3", "w2"]
    side.now = at(100)
    assert await lists.overlong_workflows(timedelta(seconds=90)) == ["w3"]
    assert await lists.overlong_workflows(timedelta(seconds=91)) == []


async def test_agents_are_listed_with_their_presence(side: ReadSide) -> None:
    side.log.tell_all(*full_agent("a"), *full_agent("b"), *full_agent("c")[:1])
    side.presence.heard("b", at(60), {"cpu_percent": 3.5}, 4)
    await side.project()
    lists = side.lists()
    items = await all_of(lambda mark: lists.agents(mark=mark, limit=2))
    assert ids(items, "agent_id") == ["a", "b", "c"]
    assert [item["last_heartbeat"] for item in items] == [None, "2024-01-17T10:01:00Z", None]
    assert ids((await lists.agents(state="registered")).items, "agent_id") == ["c"]


async def test_pools_are_listed_and_those_with_an_expired_reservation_found(side: ReadSide) -> None:
    side.log.tell_all(*full_pool("p1"), *full_pool("p2")[:2])
    await side.project()
    lists = side.lists()
    assert ids((await lists.pools()).items, "resource_pool_id") == ["p1", "p2"]
    side.now = at(1799)
    assert await lists.pools_due() == []
    side.now = at(1800)
    assert await lists.pools_due() == ["p1"]


async def test_stalled_tasks_are_overdue_or_were_not_heard_of_for_long(side: ReadSide) -> None:
    side.log.tell_all(*full_task("overdue"), *finished_task("quiet", begin=0)[:-1], *finished_task("done"))
    await side.project()
    lists = side.lists()
    side.now = at(100)
    assert ids((await lists.stalled_tasks(timedelta(seconds=99))).items) == ["quiet"]
    assert await lists.overdue_tasks() == []
    side.now = at(314)
    assert ids((await lists.stalled_tasks(timedelta(days=1))).items) == ["overdue"]
    assert await lists.overdue_tasks() == ["overdue"]


@pytest.mark.parametrize("mark", ["nonsense", "W10", "WyJhIiwiYiJd", "äöü", "e30", "WzEsMl0"])
async def test_a_mark_that_no_page_gave_is_refused(side: ReadSide, mark: str) -> None:
    with pytest.raises(InvalidPage):
        await side.lists().tasks(mark=mark)
    with pytest.raises(InvalidPage):
        await side.lists().pending_tasks(mark=mark)
