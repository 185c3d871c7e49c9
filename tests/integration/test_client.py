"""The light client speaks StateManager's names over HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from domain.errors import CutOutOfRange, InvalidInput, LockTimeout, NotFound
from dora_state import CommandRefused, OptimisticLockException, TaskState, WorkflowState
from dora_state.access.opening import open_access
from dora_state.client import Client, ServerUnavailable, open_client
from dora_state.http.serving import address, listening, make_server, run
from dora_state.settings import Settings, load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.migrations import drop_tenant

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def served(manager: StateManager, port: int = 0) -> AsyncIterator[str]:
    """A server on a port of its own, as long as the block runs."""
    stop = asyncio.Event()
    platform = manager.platform
    async with open_access(platform.settings, platform.servers) as access:
        with listening("127.0.0.1", port) as listener:
            serving = asyncio.create_task(run(make_server(manager, access), listener, stop))
            try:
                yield address(listener)
            finally:
                stop.set()
                await serving


@pytest.fixture
def settings(database_url: str, redis_url: str, tenant: str) -> Settings:
    return load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)


@pytest.fixture
async def manager(settings: Settings, database_url: str, tenant: str) -> AsyncIterator[StateManager]:
    async with open_state_manager(settings, default_actor="test") as manager:
        async with manager.transaction() as txn:
            await txn.submit("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=9, state="healthy")
            await txn.submit("CreateWorkflow", workflow_id="w", definition_id="d")
            await txn.submit("StartWorkflow", workflow_id="w")
            for task_id in ("t", "u"):
                await txn.submit("AddTask", workflow_id="w", task_id=task_id, definition_id="d")
                await txn.submit("ScheduleTask", task_id=task_id)
                await txn.submit("AssignTask", task_id=task_id, agent_id="a", reason="test")
            await txn.submit("StartTask", task_id="t")
        await manager.catch_up()
        yield manager
    await drop_tenant(database_url, tenant)


@pytest.fixture
async def client(manager: StateManager) -> AsyncIterator[Client]:
    async with served(manager) as url, open_client(url, patience=5.0) as client:
        yield client


def test_it_imports_no_server_no_driver_and_no_model() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys, dora_state.client; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    loaded = found.stdout.decode().split()
    heavy = {"fastapi", "uvicorn", "psycopg", "redis", "pydantic", "dramatiq"}
    heavy |= {"commands", "projections", "infrastructure"}
    assert heavy.isdisjoint(loaded)


async def test_commands_are_answered_as_in_process(client: Client) -> None:
    answer = await client.submit({"type": "StartTask", "actor": "me", "data": {"task_id": "u"}})
    assert (answer.outcome, answer.ok) == ("accepted", True)
    refused = await client.submit({"type": "StartTask", "actor": "me", "data": {"task_id": "nobody"}})
    assert refused.problem is not None
    assert (refused.outcome, refused.problem.code) == ("refused", "unknown_id")
    invalid = await client.submit({"type": "StartTask", "actor": "me", "data": {"task": "u"}})
    assert invalid.outcome == "invalid"
    several = await client.submit_many(
        [
            {"type": "ReportProgress", "actor": "me", "data": {"task_id": "t", "percentage": 10}},
            {"type": "ReportProgress", "actor": "me", "data": {"task_id": "t", "percentage": 5}},
        ]
    )
    assert [one.outcome for one in several] == ["accepted", "refused"]


async def test_a_state_is_read_changed_and_handed_back(client: Client, manager: StateManager) -> None:
    workflow, version = await client.get_workflow_with_version("w")
    workflow.context["bank"] = "b"
    answer = await client.update_workflow(workflow, expected_version=version)
    assert answer is not None
    assert answer.versions == {"workflow-w": version + 1}
    assert (await manager.get_workflow("w"))["context"] == {"bank": "b"}
    workflow.context["bank"] = "c"
    with pytest.raises(OptimisticLockException):
        await client.update_workflow(workflow)
    with pytest.raises(InvalidInput, match="status of a workflow is not changed by handing back its state"):
        await tells_a_status(client)


async def tells_a_status(client: Client) -> None:
    workflow = await client.get_workflow("w")
    workflow.status = "updated"
    await client.update_workflow(workflow)


async def test_specs_transaction_works_over_http(client: Client) -> None:
    async with client.transaction(actor="scheduler") as txn:
        await txn.update_task_state("t", TaskState.COMPLETED)
        await txn.set_task_outputs("t", {"score": 0.78})
        workflow = await txn.get_workflow("w")
        workflow.completed_tasks += 1
        workflow.progress = workflow.completed_tasks / workflow.total_tasks
        await txn.update_workflow(workflow)
        await txn.commit()
    assert txn.answer is not None
    assert txn.answer.type == "Transaction"
    async with client.transaction(actor="scheduler") as txn:
        await txn.update_task_state("u", TaskState.RUNNING)
        await txn.update_task_state("u", TaskState.COMPLETED)
        workflow = await txn.get_workflow("w")
        workflow.completed_tasks += 1
        workflow.state = WorkflowState.COMPLETED
        workflow.completed_at = datetime.utcnow()
        await txn.update_workflow(workflow)
    assert (await client.get_workflow("w")).state == "completed"
    with pytest.raises(CommandRefused):
        await completes_again(client)


async def completes_again(client: Client) -> None:
    async with client.transaction() as txn:
        await txn.update_task_state("t", TaskState.RUNNING)


async def test_what_was_read_in_a_transaction_is_checked_at_its_end(client: Client) -> None:
    async def reads_too_early() -> None:
        async with client.transaction() as txn:
            await txn.get_workflow("w")
            amend = {"workflow_id": "w", "context": {"a": 1}}
            await client.submit({"type": "AmendWorkflow", "actor": "another", "data": amend})
            await txn.submit("StartTask", task_id="u")

    with pytest.raises(OptimisticLockException):
        await reads_too_early()
    assert (await client.get_task("u")).state == "assigned"


async def test_a_lock_is_held_over_http(client: Client, manager: StateManager) -> None:
    amend = {"type": "AmendWorkflow", "actor": "me", "data": {"workflow_id": "w", "context": {"a": 1}}}
    async with client.exclusive_lock("workflow:w", holder="the auditor") as lock:
        assert (await client.submit(amend)).outcome == "accepted"
        refused = await manager.submit(amend | {"data": {"workflow_id": "w", "context": {"a": 2}}})
        assert refused.problem is not None
        assert refused.problem.code == "locked"
        (held,) = await manager.locks()
        assert (held.token, held.holder) == (lock.token, "the auditor (local)")
        with pytest.raises(LockTimeout):
            await takes_it_too(client)
        async with client.exclusive_lock("workflow:w") as again:
            assert again is lock
    assert await manager.locks() == []


async def takes_it_too(client: Client) -> None:
    url = str(client._transport._http.base_url)
    async with (
        open_client(url, patience=0.2) as another,
        another.exclusive_lock("workflow:w", timeout=0.1),
    ):
        raise AssertionError


async def test_whoever_goes_away_lets_go(client: Client, manager: StateManager) -> None:
    async def hold() -> None:
        async with client.exclusive_lock("workflow:w"):
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    async with asyncio.timeout(20):
        while not await manager.locks():  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.02)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    async with asyncio.timeout(20):
        while await manager.locks():  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.02)


async def test_lists_and_the_past_are_asked_for(client: Client) -> None:
    assert [one["task_id"] async for one in client.all_of("tasks", limit=1, sort="created")] == ["t", "u"]
    assert (await client.board("state"))["total"] == 2
    assert isinstance(await client.rates("minute"), list)
    history = await client.get_workflow_history("w")
    assert [entry["version"] for entry in history] == list(range(1, len(history) + 1))
    assert (await client.diff("workflow", "w", "v1"))["kind"] == "workflow"
    assert (await client.get_workflow("w", version=1)).state == "created"
    assert (await client.get_task_state("t", consistency="cached"))["state"] == "running"
    assert b"".join([piece async for piece in client.export("jsonl")]).count(b"\n") > 5
    assert (await client.health_check())["overall"] in ("healthy", "degraded")
    with pytest.raises(NotFound):
        await client.get_workflow("nobody")
    with pytest.raises(CutOutOfRange):
        await client.get_workflow("w", at_time=datetime(2024, 1, 17))
    with pytest.raises(InvalidInput, match="There is no kind"):
        await client.state("wrokflow", "w")


async def test_a_rollback_is_tried_and_done(client: Client) -> None:
    version = (await client.get_workflow("w"))["stream_version"]
    amend = {"workflow_id": "w", "context": {"a": 1}}
    await client.submit({"type": "AmendWorkflow", "actor": "me", "data": amend})
    assert (await client.preview_rollback("w", to_version=version))["after"]["context"] == {}
    answer = await client.rollback_workflow("w", to_version=version, reason="wrong", operator="me")
    assert answer.outcome == "accepted"


async def test_the_log_is_followed_over_a_restart_of_the_server(settings: Settings, manager: StateManager) -> None:
    seen: list[int] = []
    enough = asyncio.Event()

    async def look(url: str) -> None:
        async with open_client(url, patience=20.0) as client:
            async for event in client.follow(kinds=("workflow",)):
                seen.append(event.position)
                if event.data.get("context") == {"a": 2}:
                    enough.set()

    async with served(manager) as url:
        looking = asyncio.create_task(look(url))
        await amend(manager, 1)
        async with asyncio.timeout(20):
            while not seen:  # noqa: ASYNC110  # it is another's list
                await asyncio.sleep(0.02)
    port = int(url.rpartition(":")[2])
    await amend(manager, 2)
    async with served(manager, port):
        async with asyncio.timeout(20):
            await enough.wait()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    wanted = [event.position async for event in manager.events("workflow", "w")]
    assert seen == wanted


async def test_without_a_place_the_log_is_followed_from_now_on(manager: StateManager, client: Client) -> None:
    value = 0
    for followed in (client.follow(None), manager.follow(None)):
        begun, seen = (await manager.platform.log.head()).position, asyncio.ensure_future(anext(followed))
        async with asyncio.timeout(20):
            while not seen.done():  # until it has begun, it hears of nothing
                value += 1
                await amend(manager, value)
                await asyncio.wait({seen}, timeout=0.1)
        assert (await seen).position > begun


async def amend(manager: StateManager, value: int) -> None:
    data = {"workflow_id": "w", "context": {"a": value}}
    assert (await manager.submit({"type": "AmendWorkflow", "data": data})).outcome == "accepted"


async def test_a_server_that_is_away_is_waited_for_and_then_told(manager: StateManager) -> None:
    with listening("127.0.0.1", 0) as listener:
        url = address(listener)
    async with open_client(url, patience=0.3) as client:
        with pytest.raises(ServerUnavailable, match="can't be reached"):
            await client.get_workflow("w")
    async with open_client(url, patience=20.0) as client:
        asking = asyncio.create_task(client.submit({"type": "StartTask", "actor": "me", "data": {"task_id": "u"}}))
        await asyncio.sleep(0.3)
        async with served(manager, int(url.rpartition(":")[2])):
            assert (await asking).outcome == "accepted"
