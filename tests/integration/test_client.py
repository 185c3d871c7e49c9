"""The light client speaks StateManager's names over HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from domain.errors import CutOutOfRange, InvalidInput, LockTimeout, NotFound
from dora_state import CommandRefused, OptimisticLockException, TaskState, WorkflowState
from dora_state.client import Client, ServerError, ServerUnavailable, open_client
from dora_state.client.sync import open_client as open_without_asyncio
from dora_state.client.wire import names_no_id, with_id
from dora_state.http.serving import address, listening
from dora_state.refusals import TransactionEnded
from dora_state.settings import Settings, load_settings
from dora_state.state_manager import StateManager, open_state_manager
from tests.support.serving import served

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
async def client(manager: StateManager) -> AsyncIterator[Client]:
    async with served(manager) as url, open_client(url, patience=5.0) as client:
        yield client


def test_it_imports_no_server_no_driver_and_no_model() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys, dora_state.client.sync; print(*sys.modules)"],
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


async def test_a_state_in_which_nothing_was_changed_is_held_against_the_log_too(client: Client) -> None:
    workflow, version = await client.get_workflow_with_version("w")
    assert await client.update_workflow(workflow, expected_version=version) is None
    await client.submit({"type": "AmendWorkflow", "actor": "me", "data": {"workflow_id": "w", "context": {"a": 1}}})
    with pytest.raises(OptimisticLockException):
        await client.update_workflow(workflow)


async def test_what_was_not_there_must_not_have_come_meanwhile(client: Client) -> None:
    with pytest.raises(OptimisticLockException):
        await reads_before_it_is_there(client)


async def reads_before_it_is_there(client: Client) -> None:
    async with client.transaction() as txn:
        with pytest.raises(NotFound):
            await txn.get_workflow("new")
        created = {"workflow_id": "new", "definition_id": "d"}
        await client.submit({"type": "CreateWorkflow", "actor": "me", "data": created})
        await txn.submit("StartTask", task_id="u")


async def tells_a_status(client: Client) -> None:
    workflow = await client.get_workflow("w")
    workflow.status = "updated"
    await client.update_workflow(workflow)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the line is SPEC's
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
    assert isinstance(await client.rates("minute"), list)
    history = await client.get_workflow_history("w")
    assert [entry["version"] for entry in history] == list(range(1, len(history) + 1))
    assert (await client.diff("workflow", "w", "v1"))["kind"] == "workflow"
    assert (await client.get_workflow("w", version=1)).state == "created"
    assert (await client.get_task_state("t", consistency="cached"))["state"] == "running"
    assert b"".join([piece async for piece in client.export("jsonl")]).count(b"\n") > 5
    assert (await client.health_check()).checks["database"]["status"] == "healthy"
    with pytest.raises(NotFound):
        await client.get_workflow("nobody")
    with pytest.raises(CutOutOfRange):
        await client.get_workflow("w", at_time=datetime(2024, 1, 17))
    with pytest.raises(InvalidInput, match="There is no kind"):
        await client.state("wrokflow", "w")


def test_it_has_all_that_a_state_manager_has() -> None:
    in_process = {"catch_up", "parse", "platform"}
    missing = {name for name in dir(StateManager) if not name.startswith("_")} - set(dir(Client)) - in_process
    assert missing == set()


async def test_what_happened_is_told_as_in_process(client: Client, manager: StateManager) -> None:
    task = await client.get_task_history("t")
    assert [(one.version, one.recorded_at) for one in task] == [
        (one.version, one.recorded_at) for one in await manager.get_task_history("t")
    ]
    assert "AgentRegistered" in [one.type for one in await client.get_agent_history("a")]
    with pytest.raises(NotFound):
        await client.get_pool_history("nobody")
    assert await client.version("task", "t") == await manager.version("task", "t")
    assert await client.version("task", "nobody") == 0
    events = [event async for event in client.events("task", "t", up_to_version=2)]
    assert events == [event async for event in manager.events("task", "t", up_to_version=2)]
    for version in (1, None):
        theirs = await client.reconstruct_state_from_events("workflow", "w", version)
        assert theirs == await manager.reconstruct_state_from_events("workflow", "w", version)
    with pytest.raises(CutOutOfRange):
        await client.reconstruct_state_from_events("workflow", "w", 1_000)
    with pytest.raises(NotFound):
        assert [event async for event in client.events("workflow", "nobody")]
    changed = {(one.kind, one.id): one async for one in client.diff_everything("start")}
    assert changed["task", "t"].after.document["state"] == "running"
    timeline = await client.timeline("workflow", "w")
    assert len(timeline.rows) == len((await manager.timeline("workflow", "w")).rows) == 2
    correlation = task[0].correlation_id
    assert [one.depth for one in await client.trace(correlation)] == [0]


async def test_a_line_ends_where_json_lines_end(client: Client, manager: StateManager) -> None:
    odd = "a\u2028b\u2029c"
    amend = {"workflow_id": "w", "context": {"note": odd}}
    assert (await client.submit({"type": "AmendWorkflow", "actor": "me", "data": amend})).ok
    assert (await client.get_workflow_history("w"))[-1].data["context"]["note"] == odd
    after = await manager.version("workflow", "w")
    async for event in client.follow(kinds=("workflow",)):
        if event.version == after:
            assert event.data["context"]["note"] == odd
            break


async def test_it_is_there_without_asyncio_too(manager: StateManager) -> None:
    def use(url: str) -> None:
        with open_without_asyncio(url) as client:
            assert client.submit({"type": "StartTask", "actor": "me", "data": {"task_id": "u"}}).outcome == "accepted"
            with client.transaction() as txn:
                txn.update_task_state("u", TaskState.COMPLETED)
            assert client.get_task("u").state == "completed"
            with client.exclusive_lock("workflow:w"):
                assert [lock.stream_id for lock in client.locks()] == ["workflow-w"]
            assert client.locks() == []
            assert [event.position for event in islice(client.follow(), 2)] == [1, 2]
            assert [one["task_id"] for one in client.lists.tasks().items] == ["t", "u"]

    async with served(manager) as url:
        await asyncio.to_thread(use, url)


async def test_a_text_is_sent_again_under_an_id_that_it_was_given(client: Client) -> None:
    text = '{"type":"CreatePool","actor":"me","data":{"pool_id":"p","total":{"cpu":"1"}}}'
    assert (await client.submit(text)).command_id is not None
    assert names_no_id(text)
    body = with_id(text)
    assert not names_no_id(body.decode())
    named = f'{{"command_id":"{uuid4()}",{text[1:]}'
    assert with_id(named) == named.encode()
    assert with_id("{}").startswith(b'{"command_id":')
    assert with_id(b"\xff{") == b"\xff{"


async def test_one_that_is_no_command_spoils_no_others(client: Client) -> None:
    def pool(number: int) -> dict[str, object]:
        return {"type": "CreatePool", "actor": "me", "data": {"pool_id": f"p{number}", "total": {"cpu": "1"}}}

    answers = await client.submit_many(
        [pool(1), "nonsense", {"type": "CreatePool", "data": object()}, b"5", pool(2), {"x": float("nan")}]
    )
    outcomes = ["accepted", "invalid", "invalid", "invalid", "accepted", "invalid"]
    assert [answer.outcome for answer in answers] == outcomes
    assert [(await client.submit(one)).outcome for one in ("nonsense", {"a": {1}}, b"[]")] == ["invalid"] * 3
    assert await client.submit_many([]) == []
    many = await client.submit_many(pool(number) for number in range(3, 1_205))
    assert {answer.outcome for answer in many} == {"accepted"}


async def test_nothing_that_is_wrong_with_a_submission_raises(client: Client) -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    wrong: list[Any] = [5, None, object(), [1], {5: 1}, "\ud800", b"\xff", bytearray(b"{}"), {"data": deep}]
    assert [(await client.submit(one)).outcome for one in wrong] == ["invalid"] * len(wrong)
    assert [one.outcome for one in await client.submit_many(wrong)] == ["invalid"] * len(wrong)


async def test_a_system_of_which_nothing_was_said_is_as_in_process(client: Client, manager: StateManager) -> None:
    system, version = await client.get_system_with_version()
    here = await manager.get_system()
    assert (version, system["environment"], here["stream_version"]) == (0, here["environment"], 0)
    system.environment = "production"
    assert (await client.update_system(system)) is not None
    assert (await manager.get_system()).environment == "production"


async def test_what_is_shown_may_be_handed_back_by_its_own_name(client: Client, manager: StateManager) -> None:
    workflow = await client.get_workflow_state("w")
    workflow.context["bank"] = "b"
    with pytest.raises(InvalidInput, match="update_task takes the state of a task"):
        await client.update_task(workflow)
    assert await client.update_workflow(workflow) is not None
    assert (await manager.get_workflow("w")).context == {"bank": "b"}


async def test_a_state_that_is_handed_back_again_in_a_transaction_says_what_it_says_last(client: Client) -> None:
    async with client.transaction() as txn:
        workflow = await txn.get_workflow("w")
        for number in (1, 2):
            workflow.context |= {"m": number, f"only {number}": 1}
            await txn.update_workflow(workflow)
        del workflow.context["only 1"]
        await txn.update_workflow(workflow)
        with pytest.raises(InvalidInput, match="Another copy of the state of workflow w"):
            await txn.update_workflow(await txn.get_workflow("w"))
    assert (await client.get_workflow("w")).context == {"m": 2, "only 2": 1}


async def test_a_transaction_that_was_committed_takes_no_more(client: Client) -> None:
    async with client.transaction() as txn:
        await txn.submit("AmendWorkflow", workflow_id="w", context={"a": 1})
        await txn.commit()
        for late in (txn.submit("StartTask", task_id="u"), txn.get_workflow("w"), txn.set_task_outputs("u", {})):
            with pytest.raises(TransactionEnded):
                await late
        with pytest.raises(TransactionEnded):
            txn.expect("workflow-w", 1)


async def test_what_was_only_read_in_a_transaction_is_checked_too(client: Client) -> None:
    async def reads_two_moments() -> None:
        async with client.transaction() as txn:
            await txn.get_workflow("w")
            amend = {"workflow_id": "w", "context": {"a": 1}}
            await client.submit({"type": "AmendWorkflow", "actor": "another", "data": amend})
            await txn.get_task("u")

    with pytest.raises(OptimisticLockException):
        await reads_two_moments()
    async with client.transaction() as txn:
        await txn.get_workflow("w")
        txn.expect("workflow-nobody", 0)
    assert txn.answer is None


@pytest.mark.parametrize("id", [".", "..", "a/b", "a?b", "a%2Fb"])
async def test_an_id_is_never_taken_for_a_way(client: Client, id: str) -> None:
    made = await client.submit(
        {"type": "CreateWorkflow", "actor": "me", "data": {"workflow_id": id, "definition_id": "d"}}
    )
    assert made.outcome == "accepted"
    assert (await client.get_workflow(id)).workflow_id == id
    assert len(await client.get_workflow_history(id)) == 1
    assert [event.entity_id async for event in client.events("workflow", id)] == [id]


async def test_what_is_no_state_is_not_handed_back(client: Client, manager: StateManager) -> None:
    for face in (client, manager):
        with pytest.raises(InvalidInput, match="must be what get_workflow"):
            await face.update_workflow({"workflow_id": "w"})  # type: ignore[arg-type]  # as untyped programs do


async def test_lists_come_by_pages(client: Client) -> None:
    first = await client.lists.tasks(limit=1)
    second = await client.lists.tasks(limit=1, mark=first.next)
    assert [one["task_id"] for one in (*first.items, *second.items)] == ["t", "u"]
    assert second.next is None
    assert [one["workflow_id"] for one in (await client.lists.workflows(state="running")).items] == ["w"]
    assert [one["agent_id"] for one in (await client.lists.agents()).items] == ["a"]
    assert (await client.lists.stalled_tasks(timedelta(hours=1))).items == []
    assert (await client.lists.overdue()).items == (await client.lists.pools()).items == []
    assert (await client.lists.reservations()).items == []
    assert [one["task_id"] for one in await client.pending_tasks()] == ["u"]
    board = await client.lists.board("agent")
    assert [(column.value, column.total) for column in board.columns] == [("a", 2)]
    with pytest.raises(InvalidInput, match="colour"):
        await client.lists.tasks(colour="red")


async def test_a_rollback_over_http_says_why_and_by_whom(client: Client) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        await client.rollback_workflow("w", to_version=1)


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


@pytest.mark.parametrize("text", ["\udcff", "a\0b", "x" * 20_000])
async def test_what_can_be_the_name_of_nothing_is_refused_in_a_sentence(client: Client, text: str) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: client.state("workflow", text),
        lambda: client.get_task(text),
        lambda: anext(client.history("workflow", text)),
        lambda: anext(client.history("workflow", "w", type=[text])),
        lambda: client.diff("workflow", text, "v1"),
        lambda: client.timeline("workflow", text),
        lambda: client.trace(text),
        lambda: anext(client.events("workflow", text)),
        lambda: client.lists.tasks(agent_id=text),
        lambda: client.lists.tasks(mark=text),
        lambda: client.lists.board(text),
        lambda: anext(client.follow(0, types=[text])),
    ]
    for ask in asked:
        with pytest.raises((InvalidInput, ServerError)) as caught:
            await ask()
        assert caught.value.facts.get("status", 422) == 422, caught.value
        assert "\n" not in caught.value.message


async def amend(manager: StateManager, value: int) -> None:
    data = {"workflow_id": "w", "context": {"a": value}}
    assert (await manager.submit({"type": "AmendWorkflow", "data": data})).outcome == "accepted"


async def test_a_server_that_is_away_is_waited_for_and_then_told(manager: StateManager) -> None:
    with listening("127.0.0.1", 0) as listener:
        url = address(listener)
    async with open_client(url.replace("//", "//me:hunter2@"), patience=0.3) as client:
        with pytest.raises(ServerUnavailable, match=f"^{url}/* can't be reached"):
            await client.get_workflow("w")
    async with open_client(url, patience=20.0) as client:
        asking = asyncio.create_task(client.submit({"type": "StartTask", "actor": "me", "data": {"task_id": "u"}}))
        await asyncio.sleep(0.3)
        async with served(manager, int(url.rpartition(":")[2])):
            assert (await asking).outcome == "accepted"
