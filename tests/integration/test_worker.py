"""What time asks for becomes commands of the actor `system`; the worker gives each of them once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta

import orjson
import pytest

from domain.errors import LogUnavailable, without_advice
from dora_state.platform import now
from dora_state.servers import Say, quiet
from dora_state.settings import Settings, load_settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.worker import run_worker, running
from dora_state.worker.chores import CHORES
from dora_state.worker.chores import give as give_due
from dora_state.worker.workplace import Workplace
from infrastructure.migrations import drop_tenant
from projections.errors import ReadModelsUnavailable
from projections.lists import Lists
from projections.projector import Projector
from tests.support.postgres import connected, rows

AGENT: dict[str, object] = {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 3, "state": "healthy"}
SOON = 20.0


@pytest.fixture
def settings(database_url: str, redis_url: str, tenant: str) -> Settings:
    """Agents fall silent at once, and a round of chores comes quickly."""
    return load_settings(
        database_url=database_url, redis_url=redis_url, tenant=tenant, heartbeat_timeout=0.05, worker_interval=0.05
    )


@pytest.fixture
async def manager(settings: Settings) -> AsyncIterator[StateManager]:
    async with open_state_manager(settings, default_actor="test") as manager:
        yield manager


async def give(manager: StateManager, *commands: tuple[str, Mapping[str, object]]) -> None:
    for name, data in commands:
        answer = await manager.submit({"type": name, "data": data})
        assert answer.outcome == "accepted", answer.problem


async def running_task(manager: StateManager, task_id: str, **task: object) -> None:
    """A task of a workflow of its own, running with agent `a`."""
    workflow_id = f"w-{task_id}"
    pool = {"pool_id": "p"} if "resource_requirements" in task else {}
    expires = {"reservation_expires_at": (now() + timedelta(milliseconds=300)).isoformat()} if pool else {}
    await give(
        manager,
        ("CreateWorkflow", {"workflow_id": workflow_id, "definition_id": "d"}),
        ("StartWorkflow", {"workflow_id": workflow_id}),
        ("AddTask", {"workflow_id": workflow_id, "task_id": task_id, "definition_id": "d", "max_attempts": 2} | task),
        ("ScheduleTask", {"task_id": task_id}),
        ("AssignTask", {"task_id": task_id, "agent_id": "a", "reason": "test"} | pool | expires),
        ("StartTask", {"task_id": task_id}),
    )


async def chores(
    manager: StateManager, clock: Callable[[], datetime] = now, say: Say = quiet, *, flush: bool = True
) -> int:
    """All of them once; gives how many commands were accepted."""
    await manager.catch_up()
    if flush:
        await manager.platform.presence.flush()
    lists = Lists(manager.platform.read_models, manager.platform.presence, clock)
    place = Workplace(manager.platform, manager, lists, asyncio.Event(), say)
    return sum([await give_due(place, due) for due in CHORES])


async def test_a_task_past_its_time_limit_is_timed_out_by_the_system(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT))
    await running_task(manager, "t", timeout=0.2)
    await asyncio.sleep(0.25)
    told: list[str] = []
    assert await chores(manager, say=told.append) == 1
    assert told == ["Task t was timed out: its time limit is over."]
    document = await manager.state("task", "t", live=True)
    assert (document["state"], document["retry_info"]["last_error"]) == ("timed_out", "time limit exceeded")
    assert document["audit_trail"][-1]["actor"] == "system"
    assert await chores(manager) == 0


async def test_an_expired_reservation_times_out_its_task_and_is_free_again(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("CreatePool", {"pool_id": "p", "total": {"cpu": "2"}}))
    await running_task(manager, "t", resource_requirements={"cpu": "2"})
    assert (await manager.state("pool", "p", live=True))["available_capacity"]["cpu_cores"] == 0
    await asyncio.sleep(0.35)
    assert await chores(manager) == 1
    assert (await manager.state("pool", "p", live=True))["available_capacity"]["cpu_cores"] == 2
    assert (await manager.state("task", "t", live=True))["state"] == "timed_out"


async def test_an_agent_that_falls_silent_is_marked_offline_and_one_that_never_spoke_is_not(
    manager: StateManager,
) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("RegisterAgent", AGENT | {"agent_id": "b"}))
    await running_task(manager, "t")
    await give(manager, ("Heartbeat", {"agent_id": "a", "queue_size": 1}))
    await asyncio.sleep(0.1)
    assert await chores(manager) == 1
    states = [(await manager.state("agent", agent_id, live=True))["state"] for agent_id in ("a", "b")]
    assert states == ["offline", "healthy"]
    task = await manager.state("task", "t", live=True)
    assert task["state"] == "failed"
    assert "no heartbeat for 0.05 seconds" in task["retry_info"]["last_error"]


async def test_an_agent_that_reports_its_health_is_not_silent(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("Heartbeat", {"agent_id": "a"}))
    heartbeat_runs_out = now() + timedelta(seconds=manager.platform.settings.heartbeat_timeout)
    answer = await manager.submit({"type": "ReportHealth", "data": {"agent_id": "a", "state": "healthy"}})
    assert answer.outcome == "unchanged"  # nothing new of its health, and yet a sign of life
    assert await chores(manager, lambda: heartbeat_runs_out) == 0
    await asyncio.sleep(0.1)
    assert await chores(manager) == 1


async def test_an_agent_that_returns_by_registering_again_is_not_silent(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("Heartbeat", {"agent_id": "a"}), ("MarkOffline", {"agent_id": "a"}))
    await asyncio.sleep(0.1)
    await give(manager, ("RegisterAgent", AGENT))
    heard_at = now()
    await running_task(manager, "t")
    assert await chores(manager, lambda: heard_at) == 0
    assert (await manager.state("task", "t", live=True))["state"] == "running"
    await asyncio.sleep(0.1)
    assert await chores(manager) == 1


async def test_an_agent_is_not_marked_offline_for_the_silence_before_its_return(manager: StateManager) -> None:
    """Its sign of life is not written yet, and its return not projected: the aggregate knows of it."""
    await give(manager, ("RegisterAgent", AGENT), ("Heartbeat", {"agent_id": "a"}))
    await manager.catch_up()
    await manager.platform.presence.flush()
    await asyncio.sleep(0.1)
    await give(manager, ("MarkOffline", {"agent_id": "a"}), ("RegisterAgent", AGENT))
    lists = Lists(manager.platform.read_models, manager.platform.presence, now)
    long_ago = (now() - timedelta(seconds=0.05)).isoformat()
    told = {"type": "MarkOffline", "data": {"agent_id": "a", "silent_since": long_ago}}
    assert await lists.silent_agents(now() - timedelta(seconds=0.05)) == ["a"]
    answer = await manager.submit(told)
    assert answer.problem is not None
    assert answer.problem.code == "agent_not_silent"


async def test_a_heartbeat_that_is_not_written_yet_counts(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("Heartbeat", {"agent_id": "a"}))
    await manager.catch_up()
    await manager.platform.presence.flush()
    await asyncio.sleep(0.1)
    silent_until = now()
    await give(manager, ("Heartbeat", {"agent_id": "a"}))
    assert await chores(manager, clock=lambda: silent_until, flush=False) == 0


async def test_an_agent_that_comes_back_after_it_was_deregistered_has_no_heartbeat_yet(manager: StateManager) -> None:
    await give(
        manager,
        ("RegisterAgent", AGENT),
        ("Heartbeat", {"agent_id": "a", "queue_size": 7, "usage": {"cpu_percent": 50.0}}),
        ("DeregisterAgent", {"agent_id": "a"}),
        ("RegisterAgent", AGENT),
    )
    await asyncio.sleep(0.1)
    assert await chores(manager) == 0
    document = await manager.state("agent", "a")
    assert (document["last_heartbeat"], document["capacity"]["queue_size"]) == (None, None)
    assert document["resource_usage"]["cpu_percent"] is None


async def test_a_workflow_that_was_retried_meanwhile_is_not_failed_for_the_time_before(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT))
    await running_task(manager, "t")
    await give(manager, ("FailWorkflow", {"workflow_id": "w-t", "error": "e"}))
    await asyncio.sleep(0.1)
    await give(manager, ("RetryWorkflow", {"workflow_id": "w-t"}))
    overlong = {"workflow_id": "w-t", "error": "too long", "longer_than": 0.1}
    answer = await manager.submit({"type": "FailWorkflow", "data": overlong})
    assert answer.problem is not None
    assert answer.problem.code == "workflow_within_limit"
    await asyncio.sleep(0.1)
    await give(manager, ("FailWorkflow", overlong))


async def test_a_workflow_that_is_retried_has_its_longest_duration_anew(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("ConfigureSystem", {"max_workflow_duration": 0.2}))
    await running_task(manager, "t")
    await asyncio.sleep(0.25)
    assert await chores(manager) == 1
    await give(manager, ("RetryWorkflow", {"workflow_id": "w-t"}))
    assert await chores(manager) == 0
    await asyncio.sleep(0.25)
    assert await chores(manager) == 1


async def test_what_is_pending_comes_by_the_weights_of_the_pool(manager: StateManager) -> None:
    weights = {"high": 1, "medium": 5, "low": 10}
    pool = {"pool_id": "p", "total": {"cpu": "2"}, "priority_weights": weights}
    await give(manager, ("CreatePool", pool), ("CreateWorkflow", {"workflow_id": "w", "definition_id": "d"}))
    for priority in weights:
        task = {"workflow_id": "w", "task_id": priority, "definition_id": "d", "priority": priority}
        await give(manager, ("AddTask", task))
    await manager.catch_up()
    assert await manager.pending_tasks() == []  # the workflow does not run yet
    await give(manager, ("StartWorkflow", {"workflow_id": "w"}))
    await manager.catch_up()
    assert [one["task_id"] for one in await manager.pending_tasks()] == ["high", "medium", "low"]
    assert [one["task_id"] for one in await manager.pending_tasks(pool_id="p")] == ["low", "medium", "high"]


async def test_a_workflow_that_takes_too_long_fails(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT), ("ConfigureSystem", {"max_workflow_duration": 0.2}))
    await running_task(manager, "t")
    await asyncio.sleep(0.25)
    assert await chores(manager) == 1
    workflow = await manager.state("workflow", "w-t", live=True)
    assert workflow["state"] == "failed"
    assert "longer than the 0.2 seconds" in workflow["error_info"]["message"]


async def until_timed_out(manager: StateManager, *, live: bool) -> None:
    async with asyncio.timeout(SOON):
        while True:
            document = await manager.state("task", "t", live=live)
            if document["state"] == "timed_out":
                return
            await asyncio.sleep(0.05)


async def test_the_worker_projects_and_does_its_chores_until_it_is_told_to_stop(
    settings: Settings, manager: StateManager
) -> None:
    await give(manager, ("RegisterAgent", AGENT))
    await running_task(manager, "t", timeout=0.2)
    await manager.catch_up()
    await manager.platform.projector.release()
    stop, told = asyncio.Event(), list[str]()
    working = asyncio.create_task(run_worker(settings, stop, told.append))
    await until_timed_out(manager, live=False)
    stop.set()
    await working
    assert settings.tenant in told[0]


async def test_two_workers_give_what_is_due_once(settings: Settings, manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT))
    await running_task(manager, "t", timeout=0.2)
    stop = asyncio.Event()
    workers = [asyncio.create_task(run_worker(settings, stop)) for _ in range(2)]
    await until_timed_out(manager, live=True)
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*workers)
    stream = [event async for event in manager.platform.log.read_stream("task-t")]
    timed_out = [event for event in stream if event.type == "TaskTimedOut"]
    assert len(timed_out) == 1
    assert orjson.loads(timed_out[0].metadata)["actor"] == "system"


async def test_what_takes_too_long_to_end_is_broken_off_and_undone(
    settings: Settings, manager: StateManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "ENDING_SECONDS", 0.3)
    stop, waiting = (
        asyncio.Event(),
        "SELECT FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'relation'",
    )
    database_url = manager.platform.servers.database_url
    async with connected(database_url, settings.tenant) as other, other.transaction():
        await other.execute("LOCK TABLE counts IN ACCESS EXCLUSIVE MODE")
        await give(manager, ("RegisterAgent", AGENT))
        working = asyncio.create_task(run_worker(settings, stop))
        async with connected(database_url, settings.tenant) as looking, asyncio.timeout(SOON):
            while not await rows(looking, waiting, f"dora-state projector {settings.tenant}"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        stop.set()
        async with asyncio.timeout(SOON):
            await working
    assert "The projector was broken off: it took longer than 0.3 s to end." in caplog.text
    assert (await manager.platform.read_models.checkpoint()).position == 0


async def test_a_part_of_the_worker_that_fails_is_begun_again(
    settings: Settings, manager: StateManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_once, faults = Projector.run_once, [ZeroDivisionError("of ours"), ZeroDivisionError("again")]

    async def run_or_fail(projector: Projector) -> int:
        if faults:
            raise faults.pop()
        return await run_once(projector)

    await give(manager, ("RegisterAgent", AGENT))
    await running_task(manager, "t", timeout=0.2)
    monkeypatch.setattr(Projector, "run_once", run_or_fail)
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings, stop))
    await until_timed_out(manager, live=True)
    stop.set()
    await working
    told = [record.message for record in caplog.records if "states failed" in record.message]
    assert told == [f"The projection states failed, and begins again in {pause} s" for pause in (0.1, 0.2)]


async def test_a_worker_whose_tenant_is_set_up_anew_says_so_in_plain_words(
    manager: StateManager, database_url: str
) -> None:
    await drop_tenant(database_url, manager.platform.settings.tenant)
    with pytest.raises(ReadModelsUnavailable) as told:
        await manager.platform.read_models.checkpoint()
    assert "being set up anew" in told.value.message
    assert "SELECT" not in told.value.message


@pytest.mark.parametrize("reason", ["the server starts", "it (x): y"])
def test_who_gives_no_command_is_not_told_to_give_the_same_ids(reason: str) -> None:
    error = LogUnavailable(f"The log can't be reached ({reason}): try again with the same command ids.")
    assert without_advice(error) == f"The log can't be reached ({reason})."
