"""Lists of documents: filters, order, pages by keys, and what the worker has to act on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.pool import ReservationExpired, ReservationReleased, ResourcesReserved
from domain.task import TaskScheduled
from domain.workflow import WorkflowCompleted, WorkflowCreated, WorkflowFailed, WorkflowStarted
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


MANY = [
    (name, created, priority)
    for created, (name, priority) in enumerate(zip("abcdef", ["low", "high", "medium"] * 2, strict=True))
]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("created", "abcdef"),
        ("-created", "fedcba"),
        ("updated", "bcdefa"),
        ("-updated", "afedcb"),
        ("priority", "becfad"),
        ("-priority", "dafceb"),
    ],
)
async def test_tasks_come_in_any_order_and_from_either_end(side: ReadSide, sort: str, expected: str) -> None:
    for name, created, priority in MANY:
        side.log.tell(*pending_task(name, created, priority))
    side.log.tell(("task-a", TaskScheduled(at=at(60))))
    await side.project()
    lists = side.lists()
    assert "".join(ids(await all_of(lambda mark: lists.tasks(sort=sort, mark=mark, limit=2)))) == expected


async def test_running_tasks_come_by_their_deadline(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t1"), *full_task("t2"), *finished_task("t3"), *finished_task("t4", begin=0)[:-1])
    await side.project()
    lists = side.lists()
    assert ids(await all_of(lambda mark: lists.tasks(sort="deadline", mark=mark, limit=1))) == ["t1", "t2"]
    assert ids(await all_of(lambda mark: lists.tasks(sort="-deadline", mark=mark, limit=1))) == ["t2", "t1"]
    assert (await lists.tasks(sort="deadline", agent_id="nobody")).items == []
    with pytest.raises(InvalidInput, match="Only running tasks have a deadline"):
        await lists.tasks(sort="deadline", state="completed")


async def test_states_and_priorities_may_be_several(side: ReadSide) -> None:
    for name, created, priority in MANY:
        side.log.tell(*pending_task(name, created, priority))
    side.log.tell_all(("task-b", TaskScheduled(at=at(60))), *full_task("t", "wf-2"))
    await side.project()
    lists = side.lists()
    both = await lists.tasks(state=("scheduled", "running"))
    assert ids(both.items) == ["t", "b"]
    two = await lists.tasks(priority=["low", "medium"], workflow_id="wf-1", state="created")
    assert ids(two.items) == ["a", "c", "d", "f"]


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ({"state": "stuck"}, "There is no state stuck; there are created, scheduled"),
        ({"priority": "urgent"}, "There is no priority urgent; there are high, medium, low"),
        ({"sort": "age"}, "Tasks are not sorted by 'age'"),
        ({"agent_id": "a\0b"}, "agent_id: a text with a NUL"),
        ({"color": "red"}, "There is no filter color; there are agent_id, definition_id"),
    ],
)
async def test_what_can_not_be_asked_is_refused_in_a_sentence(side: ReadSide, only: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await side.lists().tasks(**only)


async def test_a_mark_is_of_use_for_the_same_question_only(side: ReadSide) -> None:
    for name, created, priority in MANY:
        side.log.tell(*pending_task(name, created, priority))
    await side.project()
    lists = side.lists()
    mark = (await lists.tasks(limit=2)).next
    assert ids((await lists.tasks(limit=9, mark=mark, state=None)).items) == ["c", "d", "e", "f"]
    for other in ({"sort": "-created"}, {"sort": "priority"}, {"state": "created"}, {"agent_id": "a"}):
        with pytest.raises(InvalidPage, match="is of another list, filter or sort"):
            await lists.tasks(mark=mark, **other)  # type: ignore[arg-type]  # any of them
    for ask in (lists.workflows, lists.agents, lists.pools, lists.reservations, lists.overdue):
        with pytest.raises(InvalidPage):
            await ask(mark=mark)
    with pytest.raises(InvalidPage):
        await lists.board("agent", mark=mark)


async def a_year_of_workflows(side: ReadSide) -> None:
    """w0 to w5, created one after the other; w1 completed, w3 failed, w2 running, all but w5 due at some time."""
    for number in range(6):
        created = WorkflowCreated(
            at=at(number),
            workflow_id=f"w{number}",
            definition_id="even" if number % 2 == 0 else "odd",
            definition_version=f"1.{number % 3}",
            context={"priority": ["high", "medium", "low"][number % 3]},
            scheduled_completion=None if number == 5 else at(1000 - 100 * number),
        )
        side.log.tell((f"workflow-w{number}", created))
    for number in (1, 2, 3):
        side.log.tell((f"workflow-w{number}", WorkflowStarted(at=at(10 + number))))
    side.log.tell(("workflow-w3", WorkflowFailed(at=at(20), error="e")))
    side.log.tell(("workflow-w1", WorkflowCompleted(at=at(30))))
    await side.project()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "543210"),
        ({"sort": "created"}, "012345"),
        ({"sort": "updated"}, "045231"),
        ({"sort": "-updated"}, "132540"),
        ({"sort": "ended"}, "31"),
        ({"sort": "-ended"}, "13"),
        ({"sort": "priority"}, "031425"),
        ({"sort": "-priority"}, "524130"),
        ({"sort": "scheduled_completion"}, "43210"),
        ({"sort": "-scheduled_completion"}, "01234"),
        ({"sort": "id"}, "012345"),
        ({"sort": "-id"}, "543210"),
        ({"prefix": "w"}, "012345"),
        ({"prefix": "w3"}, "3"),
        ({"prefix": "%"}, ""),
        ({"version": "1.1"}, "41"),
        ({"state": ["running", "failed"], "definition_id": "odd"}, "3"),
        ({"started_from": at(12)}, "32"),
        ({"started_before": at(12)}, "1"),
        ({"ended_from": at(20)}, "13"),
        ({"ended_from": at(20), "ended_before": at(30)}, "3"),
        ({"overdue": True}, "42"),
        ({"overdue": True, "state": "running"}, "2"),
        ({"overdue": True, "state": "failed"}, ""),
        ({"created_from": at(2), "sort": "priority", "priority": "low"}, "25"),
    ],
)
async def test_workflows_come_with_any_filter_in_any_order(
    side: ReadSide, asked: dict[str, Any], expected: str
) -> None:
    await a_year_of_workflows(side)
    side.now = at(850)
    lists = side.lists()
    items = await all_of(lambda mark: lists.workflows(**asked, mark=mark, limit=2))
    assert "".join(item["workflow_id"][1:] for item in items) == expected


async def test_a_time_without_a_zone_is_refused(side: ReadSide) -> None:
    with pytest.raises(InvalidInput, match=r"created_from: the time .* has no zone"):
        await side.lists().workflows(created_from=at(0).replace(tzinfo=None))


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


async def test_agents_are_found_by_what_they_can_do_and_whether_they_are_there(side: ReadSide) -> None:
    side.log.tell_all(*full_agent("a"), *full_agent("b"), *full_agent("c")[:2], *full_pool("p"))
    side.presence.heard("b", at(60), None, None)
    side.presence.heard("c", at(200), None, None)
    await side.presence.flush()
    await side.project()
    side.now = at(210)
    lists = side.lists()

    async def found(**only: Any) -> str:
        return "".join(ids((await lists.agents(**only)).items, "agent_id"))

    assert await found(capability="document_analysis") == "abc"
    assert await found(capability="document") == ""
    assert await found(node_id="k8s-node-3", agent_type="policy_analyzer") == "abc"
    assert await found(node_id="k8s-node-4") == ""
    assert await found(free_slots=5) == "c"
    assert await found(free_slots=3) == "abc"
    assert [await found(presence=name) for name in ("online", "silent", "unheard")] == ["c", "b", "a"]
    (silent,) = (await lists.agents(presence="silent")).items
    assert silent["presence"] == {"status": "silent", "seconds": 150.0}
    with pytest.raises(InvalidInput, match="There is no presence away; there are online, silent, unheard"):
        await lists.agents(presence="away")


async def test_reservations_of_all_pools_come_by_their_expiry(side: ReadSide) -> None:
    side.log.tell_all(*full_pool("p1"), *full_pool("p2"), *full_agent())
    later = ResourcesReserved(
        at=at(9), reservation_id="later", resources={"cpu": "1"}, agent_id="policy-analyzer-001", expires_at=at(1900)
    )
    side.log.tell(("pool-p1", later))
    await side.project()
    lists = side.lists()
    items = await all_of(lambda mark: lists.reservations(mark=mark, limit=2))
    told = [(item["resource_pool_id"], item["reservation_id"]) for item in items]
    assert told == [
        ("p1", "res-uuid-123"),
        ("p2", "res-uuid-123"),
        ("p1", "later"),
        ("p1", "big"),
        ("p2", "big"),
    ]
    assert items[0] | {"resource_pool_id": None} == (await side.queries().pool("p1"))["reservations"][1] | {
        "resource_pool_id": None
    }
    assert ids((await lists.reservations(task_id="task-1", pool_id="p2")).items, "reservation_id") == ["res-uuid-123"]
    assert ids((await lists.reservations(expires_before=at(1900))).items, "resource_pool_id") == ["p1", "p2"]
    (agent,) = (await lists.agents()).items
    assert ids(agent["reservations"], "reservation_id") == ["res-uuid-123", "res-uuid-123", "later"]
    pools = (await lists.pools()).items
    assert [(pool["active_reservations"], pool["next_expiry"]) for pool in pools] == [
        (3, "2024-01-17T10:30:00Z"),
        (2, "2024-01-17T10:30:00Z"),
    ]
    side.log.tell(("pool-p1", ReservationExpired(at=at(1800), reservation_id="res-uuid-123")))
    side.log.tell(("pool-p1", ReservationReleased(at=at(1801), reservation_id="big", reason="done")))
    await side.project()
    assert ids((await lists.reservations(pool_id="p1")).items, "reservation_id") == ["later"]


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
    assert ids((await lists.overdue()).items) == ["overdue"]
    everything = await all_of(lambda mark: lists.stalled_tasks(timedelta(seconds=1), mark=mark, limit=1))
    assert ids(everything) == ["quiet", "overdue"]
    assert ids((await lists.stalled_tasks(timedelta(seconds=1), agent_id="agent-1")).items) == ["quiet"]
    assert (await lists.stalled_tasks(timedelta(seconds=1), state="completed")).items == []
    assert (await lists.overdue(priority="low")).items == []


@pytest.mark.parametrize("mark", ["nonsense", "W10", "WyJhIiwiYiJd", "äöü", "e30", "WzEsMl0"])
async def test_a_mark_that_no_page_gave_is_refused(side: ReadSide, mark: str) -> None:
    with pytest.raises(InvalidPage):
        await side.lists().tasks(mark=mark)
    with pytest.raises(InvalidPage):
        await side.lists().pending_tasks(mark=mark)
