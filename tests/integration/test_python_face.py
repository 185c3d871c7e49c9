"""StateManager for tasks, agents, pools and the system, and what it tells of the past."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.envelope import Answer
from domain.errors import CutOutOfRange, InvalidInput, NotFound
from dora_state import AgentState, CommandRefused, OptimisticLockException, TaskState, WorkflowState
from dora_state.refusals import TransactionEnded
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.reading import Consistency


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        async with manager.transaction() as txn:
            await txn.submit("ConfigureSystem", environment="test")
            await txn.submit("CreatePool", pool_id="p", total={"cpu": "4", "memory": "8G"})
            await txn.submit("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=2, state="healthy")
            await txn.submit("CreateWorkflow", workflow_id="w", definition_id="d")
            await txn.submit("StartWorkflow", workflow_id="w")
            for task_id in ("t", "u"):
                await txn.submit("AddTask", workflow_id="w", task_id=task_id, definition_id="d", phases=["one"])
            await txn.submit("ScheduleTask", task_id="t")
        yield manager


def done(answer: Answer | None) -> Answer:
    assert answer is not None
    assert answer.outcome == "accepted", answer.problem
    return answer


async def test_a_task_is_led_through_its_life_by_its_state(manager: StateManager) -> None:
    task = await manager.get_task("t")
    task.state = TaskState.ASSIGNED
    task.agent_id = "a"
    done(await manager.update_task(task, reason="capability_match"))
    for state, changed in (
        (TaskState.RUNNING, {}),
        (TaskState.COMPLETED, {"outputs": {"score": 1}, "percentage": 90.0}),
    ):
        task = await manager.get_task("t")
        task.state = state
        for name, value in changed.items():
            setattr(task, name, value)
        done(await manager.update_task(task))
    task = await manager.get_task("t")
    assert (task.state, task.outputs, task["assigned_agent"]["assignment_reason"]) == (
        "completed",
        {"score": 1},
        "capability_match",
    )


async def test_agents_pools_and_the_system_are_changed_by_their_states(manager: StateManager) -> None:
    agent, version = await manager.get_agent_with_version("a")
    agent.max_concurrent_tasks = 5
    agent.state = AgentState.DEGRADED
    done(await manager.update_agent(agent, expected_version=version))
    assert (await manager.get_agent("a")).available_slots == 5

    pool, _ = await manager.get_pool_with_version("p")
    pool["total_capacity"]["cpu_cores"] = 6
    done(await manager.update_pool(pool))
    assert (await manager.get_pool("p"))["available_capacity"]["cpu_cores"] == 6

    system, _ = await manager.get_system_with_version()
    system.component_health["cache"] = "warning"
    system.configuration["retry_attempts"] = 2
    done(await manager.update_system(system))
    assert (await manager.get_system())["component_health"]["cache"] == "warning"


async def test_a_system_of_which_nothing_was_said_can_be_configured(
    database_url: str, redis_url: str, tenant: str
) -> None:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        system = await manager.get_system()
        assert system["stream_version"] == 0
        system.environment = "production"
        done(await manager.update_system(system))
        system.environment = "another"
        with pytest.raises(OptimisticLockException):
            await manager.update_system(system)


WRONG: list[Any] = [
    5,
    None,
    1.5,
    object(),
    [1],
    {},
    {5: 1},
    "\ud800",
    b"\xff",
    bytearray(b"{}"),
    {"type": 5, "data": 5},
]


async def test_nothing_that_is_wrong_with_a_submission_raises_and_spoils_others(manager: StateManager) -> None:
    assert [(await manager.submit(one)).outcome for one in WRONG] == ["invalid"] * len(WRONG)
    start = {"type": "StartWorkflow", "data": {"workflow_id": "none"}}
    answers = await manager.submit_many([*WRONG, start])
    assert [answer.outcome for answer in answers] == ["invalid"] * len(WRONG) + ["refused"]


@pytest.mark.parametrize("consistency", ["projected", "cached", "live"])
async def test_a_state_of_any_freshness_is_changed_and_handed_back(
    manager: StateManager, consistency: Consistency
) -> None:
    await manager.catch_up()
    for _ in range(2):  # the second time it is kept near, where it is cached
        workflow = await manager.get_workflow_state("w", consistency=consistency)
        assert workflow.state == workflow["state"] == "running"
        workflow.context["bank"] = workflow.get("context", {}).get("bank", 0) + 1
        done(await manager.update_workflow(workflow))
        await manager.catch_up()
    assert (await manager.get_workflow("w")).context == {"bank": 2}
    assert (await manager.get_workflow_state("w", consistency=consistency)).context == {"bank": 2}
    with pytest.raises(OptimisticLockException):
        await manager.update_workflow(workflow)


async def test_what_is_changed_in_a_cached_state_is_seen_by_nobody_else(manager: StateManager) -> None:
    await manager.catch_up()
    one, another = [await manager.get_workflow_state("w", consistency="cached") for _ in range(2)]
    one["metrics"]["total_tasks"] = 99
    one.context["a"] = 1
    assert another["metrics"]["total_tasks"] == 2
    assert (await manager.get_workflow_state("w", consistency="cached"))["context"] == {}
    assert one.changes == {"metrics": {"total_tasks": 99}, "context": {"a": 1}}
    assert another.changes == {}


async def test_each_kind_of_state_is_handed_back_by_its_own_name(manager: StateManager) -> None:
    task: Any = await manager.get_task("t")
    with pytest.raises(InvalidInput, match="update_workflow takes the state of a workflow, and this is that of task t"):
        await manager.update_workflow(task)
    async with manager.transaction() as txn:
        with pytest.raises(InvalidInput, match="hand it back to update_task"):
            await txn.update_agent(task)
        for wrong in ({"workflow_id": "w"}, None, 5):
            with pytest.raises(InvalidInput, match="What is handed back must be what get_workflow"):
                await txn.update_workflow(wrong)  # type: ignore[arg-type]
    task.state = TaskState.CANCELLED
    done(await manager.update_task(task))


async def test_a_state_that_is_handed_back_again_in_a_transaction_says_what_it_says_last(
    manager: StateManager,
) -> None:
    async with manager.transaction() as txn:
        workflow = await txn.get_workflow("w")
        workflow.context |= {"m": 1, "left": 1}
        await txn.update_workflow(workflow)
        workflow.context["m"] = 2
        del workflow.context["left"]
        workflow.state = WorkflowState.PAUSED
        await txn.update_workflow(workflow)
        workflow.state = WorkflowState.RUNNING
        await txn.update_workflow(workflow)
        await txn.update_workflow(workflow)
    assert txn.answer is not None
    assert txn.answer.ok
    workflow = await manager.get_workflow("w")
    assert (workflow.context, workflow.state) == ({"m": 2}, "running")


async def test_progress_may_be_told_twice_in_a_transaction(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        await txn.update_task_state("t", TaskState.ASSIGNED, agent_id="a")
        await txn.update_task_state("t", TaskState.RUNNING)
    async with manager.transaction() as txn:
        task = await txn.get_task("t")
        for percentage in (10, 20):
            task.percentage = percentage
            await txn.update_task(task)
    assert (await manager.get_task("t")).percentage == 20


async def test_another_copy_of_what_was_handed_back_is_refused(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        one, another = [await txn.get_workflow("w") for _ in range(2)]
        one.context["a"], another.context["b"] = 1, 2
        await txn.update_workflow(one)
        with pytest.raises(InvalidInput, match="change that one further, and hand it back again"):
            await txn.update_workflow(another)
    assert (await manager.get_workflow("w")).context == {"a": 1}


async def test_all_of_a_transaction_is_done_or_nothing(manager: StateManager) -> None:
    head = (await manager.platform.log.head()).position
    with pytest.raises(CommandRefused) as caught:
        await completes_too_early(manager)
    assert caught.value.facts["command"] == 2
    assert caught.value.answer.outcome == "refused"
    with pytest.raises(ZeroDivisionError):
        await fails(manager)
    assert (await manager.platform.log.head()).position == head


async def completes_too_early(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        await txn.submit("CancelTask", task_id="u", reason="late")
        await txn.update_task_state("t", TaskState.COMPLETED)


async def fails(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        await txn.submit("CancelTask", task_id="u", reason="late")
        raise ZeroDivisionError


async def test_reads_within_are_of_its_beginning_and_checked_at_its_end(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        await manager.submit({"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"a": 1}}})
        workflow = await txn.get_workflow("w")
        assert workflow.context == {}
    assert txn.answer is None, "there was nothing to do"

    with pytest.raises(OptimisticLockException) as caught:
        await reads_too_early(manager)
    assert caught.value.facts["stream_id"] == "workflow-w"
    assert (await manager.get_task("u"))["state"] == "created"


async def reads_too_early(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        await txn.get_workflow("w")
        await manager.submit({"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"a": 2}}})
        await txn.submit("ScheduleTask", task_id="u")


async def test_a_state_from_before_the_transaction_is_held_against_what_it_has_read(manager: StateManager) -> None:
    old = await manager.get_workflow("w", version=1)
    old.context["a"] = 1
    with pytest.raises(OptimisticLockException):
        await manager.update_workflow(old)
    async with manager.transaction() as txn:
        await txn.get_workflow("w")
        with pytest.raises(OptimisticLockException, match="read it within the transaction"):
            await txn.update_workflow(old)


async def test_after_the_commit_a_transaction_takes_no_more(manager: StateManager) -> None:
    async with manager.transaction() as txn:
        await txn.submit("ScheduleTask", task_id="u")
        done(await txn.commit())
        with pytest.raises(TransactionEnded):
            await txn.submit("CancelTask", task_id="u", reason="late")


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        (TaskState.ASSIGNED, {}, "To whom"),
        (TaskState.CREATED, {}, "No command brings a task to 'created'"),
        ("unknown", {}, "No command brings a task to 'unknown'"),
    ],
)
async def test_a_state_that_no_command_brings_is_refused(
    manager: StateManager, state: str, more: dict[str, Any], said: str
) -> None:
    async with manager.transaction() as txn:
        with pytest.raises(InvalidInput, match=said):
            await txn.update_task_state("t", state, **more)


async def test_the_log_says_when_no_reason_was_given(manager: StateManager) -> None:
    version = await manager.version("workflow", "w")
    done(await manager.submit({"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"a": 1}}}))
    done(await manager.rollback_workflow("w", to_version=version))
    (entry,) = [one for one in await manager.get_workflow_history("w") if one.type == "WorkflowRolledBack"]
    assert (entry.reason, entry.actor) == ("no reason was given", "test")
    workflow = await manager.get_workflow("w")
    workflow.state = WorkflowState.CANCELLED
    done(await manager.update_workflow(workflow))
    (entry,) = [one for one in await manager.get_workflow_history("w") if one.type == "WorkflowCancelled"]
    assert entry.data["reason"] == "no reason was given"


async def test_a_time_without_a_zone_is_utc(manager: StateManager) -> None:
    now = datetime.now(UTC)
    naive = (now + timedelta(seconds=1)).replace(tzinfo=None)
    await asyncio.sleep(1.1)
    done(await manager.submit({"type": "ScheduleTask", "data": {"task_id": "u"}}))
    assert (await manager.get_task_state("u", at_time=naive))["state"] == "created"
    assert (await manager.get_task("u", at_time=naive))["state"] == "created"
    with pytest.raises(CutOutOfRange):
        await manager.get_workflow("w", at_time=datetime(2024, 1, 17))
    with pytest.raises(InvalidInput, match="not both"):
        await manager.get_workflow("w", version=1, at_time=naive)


async def test_states_are_reconstructed_from_their_events_alone(manager: StateManager) -> None:
    for kind, id in (("workflow", "w"), ("task", "t"), ("agent", "a"), ("pool", "p")):
        rebuilt = await manager.reconstruct_state_from_events(kind, id)
        assert rebuilt["stream_version"] == await manager.version(kind, id)
    assert (await manager.reconstruct_state_from_events("workflow", "w", up_to_version=1))["state"] == "created"
    with pytest.raises(NotFound):
        await manager.reconstruct_state_from_events("task", "nobody")
    with pytest.raises(InvalidInput, match="There is no kind wrokflow"):
        await manager.reconstruct_state_from_events("wrokflow", "w")


async def test_events_come_in_specs_shape(manager: StateManager) -> None:
    events = [event async for event in manager.events("workflow", "w")]
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    told = events[0].to_dict()
    assert told.keys() == {
        "event_id", "entity_type", "entity_id", "event_type", "timestamp", "version", "data", "metadata", "actor",
    }  # fmt: skip
    assert (told["entity_type"], told["entity_id"], told["event_type"], told["actor"]) == (
        "workflow",
        "w",
        "WorkflowCreated",
        "test",
    )
    assert [event.version async for event in manager.events("workflow", "w", up_to_version=1)] == [1]


async def test_the_log_is_followed_as_it_grows(manager: StateManager) -> None:
    seen: list[tuple[int, str]] = []

    async def look() -> None:
        async for event in manager.follow(kinds=("task",)):
            seen.append((event.position, event.event_type))
            if event.event_type == "TaskCancelled":
                return

    looking = asyncio.create_task(look())
    done(await manager.submit({"type": "ScheduleTask", "data": {"task_id": "u"}}))
    done(await manager.submit({"type": "CancelTask", "data": {"task_id": "u", "reason": "late"}}))
    async with asyncio.timeout(20):
        await looking
    assert [position for position, _ in seen] == sorted({position for position, _ in seen})
    assert [name for _, name in seen] == [
        "TaskCreated",
        "TaskCreated",
        "TaskScheduled",
        "TaskScheduled",
        "TaskCancelled",
    ]


async def test_health_has_specs_five_checks(manager: StateManager) -> None:
    found = await manager.health_check()
    assert list(found.checks)[:5] == ["database", "cache", "transactions", "memory", "disk"]
    assert found.checks["database"]["status"] == "healthy"
    assert found.overall in ("healthy", "degraded")
