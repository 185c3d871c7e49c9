"""Questions to the read models: documents as of the moment of asking, rates, presence, cuts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import CutOutOfRange, NotFound
from domain.log import Cut
from domain.task import TaskCancelled, TaskFailed
from domain.workflow import WorkflowCompleted, WorkflowCreated, WorkflowStarted
from infrastructure.presence import PresenceBook
from projections.cache_ports import NoHotCopies
from projections.errors import NotProjectedYet, ReadModelsUnavailable
from tests.support import spec_shapes as shapes
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import (
    at,
    finished_task,
    full_agent,
    full_pool,
    full_stories,
    full_system,
    full_task,
    pending_task,
)
from tests.support.told_log import START

USAGE = {
    "cpu_percent": 65.2,
    "memory_percent": 78.1,
    "disk_percent": 45.0,
    "network_io": {"rx": 1024000, "tx": 512000},
    "gpu_utilization": 0.0,
}


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


@pytest.mark.parametrize(
    ("kind", "id", "shape"),
    [
        ("workflow", "wf-1", shapes.WORKFLOW),
        ("task", "task-1", shapes.TASK),
        ("agent", "policy-analyzer-001", shapes.AGENT),
        ("pool", "compute-pool-primary", shapes.POOL),
        ("system", "platform", shapes.SYSTEM),
    ],
)
async def test_every_document_is_answered_with_every_key_of_the_specification(
    side: ReadSide, kind: str, id: str, shape: Any
) -> None:
    side.log.tell_all(*full_stories(), *finished_task("t", begin=60, end=70))
    side.presence.heard("policy-analyzer-001", at(60), USAGE, 1)
    await side.presence.flush()
    await side.project()
    side.now = at(120)
    assert shapes.misfits(await side.queries().show(kind, id), shape) == []
    assert shapes.misfits(await side.queries(NoHotCopies()).show(kind, id), shape) == []


async def test_the_fold_gives_the_same_document_as_the_read_model(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    side.presence.heard("policy-analyzer-001", at(60), USAGE, 1)
    await side.project()
    for kind, id in [
        ("workflow", "wf-1"),
        ("task", "task-1"),
        ("agent", "policy-analyzer-001"),
        ("pool", "compute-pool-primary"),
        ("system", "platform"),
    ]:
        assert await side.queries().state_at(kind, id) == await side.queries().show(kind, id)


async def test_what_nobody_knows_is_not_found(side: ReadSide) -> None:
    for kind in ("workflow", "task", "agent", "pool"):
        with pytest.raises(NotFound, match=f"There is no {kind} nobody"):
            await side.queries().show(kind, "nobody")
        with pytest.raises(NotFound):
            await side.queries().state_at(kind, "nobody", Cut(version=1))


async def test_a_running_task_shows_its_time_so_far_and_its_audit_trail(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t"))
    await side.project()
    side.now = at(98.5)
    document = await side.queries().task("t")
    assert document["execution_metrics"]["execution_time"] == pytest.approx(85.3)
    assert [entry["event"] for entry in document["audit_trail"]][:4] == [
        "task_created",
        "requirement_met",
        "task_scheduled",
        "agent_assigned",
    ]
    side.now = at(99.5)
    assert (await side.queries().task("t"))["execution_metrics"]["execution_time"] == pytest.approx(86.3)


async def test_the_audit_trail_ends_where_the_document_does(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t")[:4])
    await side.project()
    side.log.tell_all(*full_task("t")[4:])
    assert len((await side.queries().task("t"))["audit_trail"]) == 4


async def test_an_answer_that_must_include_a_position_says_when_it_cannot_yet(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t"))
    await side.project()
    end = len(side.log.events)
    assert (await side.queries().task("t", min_position=end))["state"] == "running"
    with pytest.raises(NotProjectedYet, match=f"at position {end} and {end + 1}"):
        await side.queries().task("t", min_position=end + 1)


async def test_a_state_at_a_cut_is_the_fold_up_to_it(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t"))
    second = side.log.events[1]
    by_version = await side.queries().state_at("task", "t", Cut(version=2))
    by_time = await side.queries().state_at("task", "t", Cut(at=second.recorded_at))
    by_position = await side.queries().state_at("task", "t", Cut(position=2))
    assert by_version == by_time == by_position
    assert by_version["stream_version"] == 2
    assert [entry["event"] for entry in by_version["audit_trail"]] == ["task_created", "requirement_met"]


async def test_a_task_running_at_a_past_moment_shows_its_time_so_far_then(side: ReadSide) -> None:
    side.log.tell(*full_task("t"), at=at(40))
    document = await side.queries().state_at("task", "t", Cut(at=START + timedelta(seconds=40)))
    assert document["execution_metrics"]["execution_time"] == pytest.approx(26.8)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (Cut(version=3), "versions 1 to 2, not 3"),
        (Cut(version=0), "versions 1 to 2, not 0"),
        (Cut(position=99), "ends at position 3, before 99"),
        (Cut(position=1), "began at 2024-01-17T10:00:02Z, position 2"),
        (Cut(at=START), "began at 2024-01-17T10:00:02Z, position 2"),
        (Cut(at=START + timedelta(days=9)), "lies in the future"),
    ],
)
async def test_a_cut_where_the_log_holds_nothing_is_refused_with_what_there_is(
    side: ReadSide, cut: Cut, said: str
) -> None:
    side.log.tell_all(*pending_task("u", 0), *full_task("t")[:2])
    with pytest.raises(CutOutOfRange, match=said):
        await side.queries().state_at("task", "t", cut)


async def test_a_moment_between_the_last_event_and_now_is_no_future(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t"))
    side.now = at(5000)
    assert (await side.queries().state_at("task", "t", Cut(at=at(4000))))["state"] == "running"


async def test_an_agent_in_the_past_has_no_telemetry(side: ReadSide) -> None:
    side.log.tell_all(*full_agent())
    side.presence.heard("policy-analyzer-001", at(60), USAGE, 1)
    document = await side.queries().state_at("agent", "policy-analyzer-001", Cut(version=3))
    assert document["last_heartbeat"] is None
    assert document["capacity"]["processing_rate"] is None
    assert document["capacity"]["current_tasks"] == 1


async def test_the_processing_rate_is_of_the_last_15_minutes(side: ReadSide) -> None:
    side.log.tell_all(*full_agent("agent-1"))
    for number, end in enumerate((100, 101, 700, 1000)):
        side.log.tell(*finished_task(f"t{number}", begin=end - 5, end=end))
    await side.project()
    side.now = at(1000)
    capacity = (await side.queries().agent("agent-1"))["capacity"]
    assert capacity["processing_rate"] == round(3 / 15, 3), "the end at 100 seconds is 15 minutes ago already"


async def test_rates_of_the_system_have_their_windows(side: ReadSide) -> None:
    day = 86_400
    for number, end in enumerate((0, 10, day - 901, day - 10)):
        side.log.tell(*finished_task(f"t{number}", begin=end - 5, end=end))
    for number, end in enumerate((0, 50)):
        story = finished_task(f"f{number}", begin=end - 5, end=end)[:-1]
        side.log.tell(*story, (story[0][0], TaskFailed(at=at(end), error="e")))
    cancelled = finished_task("c", begin=1, end=5)[:-1]
    side.log.tell(*cancelled, ("task-c", TaskCancelled(at=at(6), reason="r")))
    for number, end in enumerate((-5, 20, 30)):
        stream = f"workflow-w{number}"
        created = WorkflowCreated(at=at(end - 9), workflow_id=f"w{number}", definition_id="d", definition_version="1")
        side.log.tell(
            (stream, created), (stream, WorkflowStarted(at=at(end - 8))), (stream, WorkflowCompleted(at=at(end)))
        )
    await side.project()
    side.now = at(day)
    document = await side.queries().system()
    assert document["error_rate"] == round(1 / 4, 4), "three completed and one failed within 24 hours"
    assert document["average_response_time"] == 10
    assert document["throughput"] == {"tasks_per_minute": round(1 / 15, 3), "workflows_per_hour": round(2 / 24, 3)}
    assert document["active_workflows"] == 0


async def test_today_begins_at_midnight_of_the_zone(side: ReadSide) -> None:
    side.log.tell(*finished_task("a", begin=-3600, end=-3600))
    side.log.tell(*finished_task("b", begin=0, end=0))
    await side.project()
    side.now = datetime(2024, 1, 17, 23, 30, tzinfo=UTC)
    assert (await side.queries().system())["completed_tasks_today"] == 2
    side.zone = "Asia/Tokyo"
    assert (await side.queries().system())["completed_tasks_today"] == 0, "it is the 18th there"
    side.now = datetime(2024, 1, 17, 14, 30, tzinfo=UTC)
    assert (await side.queries().system())["completed_tasks_today"] == 2
    side.zone = "Pacific/Kiritimati"  # 14 hours ahead: the day begins at 10:00 in UTC
    assert (await side.queries().system())["completed_tasks_today"] == 1


async def test_the_system_adds_up_all_pools(side: ReadSide) -> None:
    side.log.tell_all(*full_pool("one"), *full_pool("two"), *full_system())
    await side.project()
    summary = (await side.queries().system())["resource_summary"]
    assert summary == {
        "total_cpu_utilization": 76.65,
        "total_memory_utilization": 77.86,
        "total_storage_utilization": 0.0,
    }


async def test_a_system_that_was_never_configured_is_counted_all_the_same(side: ReadSide) -> None:
    side.log.tell_all(*pending_task("u", 0))
    await side.project()
    document = await side.queries().system()
    assert (document["pending_tasks"], document["system_id"]) == (1, "dora-compliance-platform")
    assert (document["stream_version"], document["position"]) == (0, 0)
    assert document["configuration"]["max_concurrent_workflows"] is None


async def test_counts_of_active_workflows_are_of_those_running_or_paused(side: ReadSide) -> None:
    for number in range(3):
        stream = f"workflow-w{number}"
        created = WorkflowCreated(at=START, workflow_id=f"w{number}", definition_id="d", definition_version="1")
        side.log.tell((stream, created))
    side.log.tell(("workflow-w1", WorkflowStarted(at=START)))
    await side.project()
    assert await side.queries().active_workflows() == 1
    assert await side.queries().reached() == 4


async def test_a_heartbeat_is_shown_before_it_is_written_and_never_goes_back(side: ReadSide) -> None:
    side.log.tell_all(*full_agent("a"))
    await side.project()
    side.presence.heard("a", at(50), {"cpu_percent": 1.5}, 2)
    side.presence.heard("a", at(40), {"cpu_percent": 99.0}, 9)
    document = await side.queries().agent("a")
    assert document["last_heartbeat"] == "2024-01-17T10:00:50Z"
    assert document["resource_usage"]["cpu_percent"] == 1.5
    assert await side.presence.flush() == 1
    side.presence.heard("a", at(30), {"cpu_percent": 50.0}, 9)
    await side.presence.flush()
    document = await side.queries().agent("a")
    assert (document["last_heartbeat"], document["capacity"]["queue_size"]) == ("2024-01-17T10:00:50Z", 2)
    assert await side.rows("SELECT last_heartbeat, queue_size FROM presence") == [(at(50), 2)]


async def test_presence_is_answered_from_postgresql_when_redis_has_lost_it(side: ReadSide) -> None:
    side.presence.heard("a", at(50), None, None)
    await side.presence.flush()
    await side.hot.clear()
    assert (await side.presence.of(["a", "b"])).keys() == {"a"}


async def test_heartbeats_are_written_in_the_background_and_once_more_at_the_end(side: ReadSide) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(side.presence.run(stop))
    side.presence.heard("a", at(50), USAGE, 1)
    stop.set()
    await running
    assert await side.rows("SELECT agent_id FROM presence") == [("a",)]


async def test_heartbeats_that_cannot_be_written_wait(side: ReadSide, database_url: str, redis_url: str) -> None:
    async with read_side(database_url, side.tenant, redis_url) as closed:
        presence = PresenceBook(closed.pool, None, side.tenant)
    presence.heard("a", at(50), USAGE, 1)
    with pytest.raises(ReadModelsUnavailable):
        await presence.flush()
    presence.heard("b", at(51), USAGE, 1)
    presence._pool = side.pool
    assert await presence.flush() == 2
    assert await side.rows("SELECT agent_id FROM presence ORDER BY 1") == [("a",), ("b",)]


async def test_silent_agents_are_those_that_were_heard_of_once(side: ReadSide) -> None:
    side.log.tell_all(*full_agent("spoke"), *full_agent("speaks"), *full_agent("never-spoke"))
    await side.project()
    side.presence.heard("spoke", at(10), None, None)
    side.presence.heard("speaks", at(100), None, None)
    await side.presence.flush()
    side.now = at(110)
    assert await side.lists().silent_agents(at(50)) == ["spoke"]
