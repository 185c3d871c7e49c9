"""Nobody gets from one tenant to another: every way in is tried with all that there is to know of the other one."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from redis import Redis

from domain.errors import InvalidInput
from dora_state.http.api import OPERATIONS
from dora_state.http.operations import Operation
from dora_state.queue import CommandQueue
from dora_state.settings import load_settings
from infrastructure.command_queue import open_broker
from infrastructure.database import tenant_schema
from tests.support.command_line import CommandLine, Ended, lines
from tests.support.http import Asked, asked_by_port, asked_directly
from tests.support.queueing import PlainProducer, consuming, own_broker
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
MARK = "only-theirs-to-know"
"""Stands in everything that the other tenant has; what a caller knows of it (ids and the like) is without."""
SAME = {"workflow": "w", "task": "t", "agent": "a", "pool": "p"}
"""Ids that both tenants have."""
BODIES = {"submitCommands", "commitTransaction", "rollBackWorkflow", "takeLock"}


@dataclass
class Other:
    """The other tenant, and what somebody may know of it."""

    asked: Asked
    tenant: str
    command_id: str
    correlation_id: str
    token: int
    known: list[str]

    async def state(self) -> Any:
        """All that must not change."""
        locks = [(lock.stream_id, lock.token) for lock in await self.asked.manager.locks()]
        return (await self.asked.manager.platform.log.head()).position, locks


async def tell_a_story(asked: Asked, mark: str, **more: Any) -> str:
    """One of each kind; gives the id of the last command."""
    async with asked.manager.transaction(actor=f"actor {mark}", **more) as txn:
        await txn.submit("ConfigureSystem", environment=mark)
        await txn.submit("CreatePool", pool_id="p", total={"cpu": "4"})
        await txn.submit("RegisterAgent", agent_id="a", agent_type=mark, max_concurrent_tasks=2, state="healthy")
        await txn.submit("CreateWorkflow", workflow_id="w", definition_id=mark, context={"about": mark})
        await txn.submit("StartWorkflow", workflow_id="w")
        await txn.submit("AddTask", workflow_id="w", task_id="t", definition_id=mark)
        await txn.submit("AddTask", workflow_id="w", task_id="t2", definition_id=mark)
    answer = await asked.give("ScheduleTask", {"task_id": "t"}, actor=f"actor {mark}")
    assert answer.status_code == 200, answer.text
    await asked.catch_up()
    return str(answer.json()["command_id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        await tell_a_story(asked, "ours")
        yield asked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(database_url: str, redis_url: str) -> AsyncIterator[Other]:
    """It has recorded more than we have, so that its positions and versions are none of ours."""
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        command_id = await tell_a_story(asked, MARK, correlation_id="their-conversation")
        create = {"workflow_id": "their-workflow", "definition_id": MARK}
        for number in range(5):
            assert (await asked.give("CreateWorkflow", create | {"workflow_id": f"their-{number}"})).status_code == 200
        await asked.catch_up()
        page = (await asked.get("/v1/workflows", params={"limit": 1})).json()["next"]
        task_page = (await asked.get("/v1/tasks", params={"limit": 1})).json()["next"]
        position = (await asked.manager.platform.log.head()).position
        async with asked.manager.exclusive_lock("workflow:their-1", holder="them"):
            ((_, token),) = [(one.stream_id, one.token) for one in await asked.manager.locks()]
            known = ["their-1", "their-conversation", command_id, page, task_page, str(position), str(token), tenant]
            yield Other(asked, tenant, command_id, "their-conversation", token, known)


def is_endless(operation: Operation) -> bool:
    return operation.id == "followEvents"


def ways(operation: Operation, other: Other) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """Paths, parameters and headers with each thing that is known of the other tenant in each place, one at a time."""
    path = re.sub(
        r"\{[a-z_]+\}", next((id for kind, id in SAME.items() if kind in operation.path), "x"), operation.path
    )
    needed = {"begin": "start", "actor": "actor ours", "format": "jsonl"}
    required = {name: needed[name] for name, one in operation.query.model_fields.items() if one.is_required()}
    found: list[tuple[str, dict[str, str], dict[str, str]]] = [(path, required, {})]
    for text in other.known:
        found += [(re.sub(r"\{[a-z_]+\}", text, operation.path), required, {})] if "{" in operation.path else []
        found += [(path, required | {name: text}, {}) for name in operation.query.model_fields]
        found += [(path, required, {one.name: text}) for one in operation.headers]
    return found


@pytest.mark.parametrize("operation", [pytest.param(one, id=one.id) for one in OPERATIONS if one.id not in BODIES])
async def test_no_question_tells_of_another_tenant(ours: Asked, other: Other, operation: Operation) -> None:
    before = await other.state()
    for path, query, headers in ways(operation, other):
        method = "HEAD" if is_endless(operation) else operation.method
        answer = await ours.client.request(method, path, params=query, headers=headers)
        assert answer.status_code < 500, answer.text
        assert MARK not in answer.text, (path, query, headers)
        assert MARK not in str(answer.headers)
    assert await other.state() == before


async def test_the_same_questions_are_answered_to_who_is_of_that_tenant(other: Other) -> None:
    """So what is looked for above is there to be told."""
    told = 0
    for operation in OPERATIONS:
        if operation.method == "GET" and not is_endless(operation):
            path, query, headers = ways(operation, other)[0]
            answer = await other.asked.client.get(path, params=query, headers=headers)
            told += MARK in answer.text
    assert told > 25


async def test_events_are_those_of_the_tenant(ours: Asked, other: Other, database_url: str, redis_url: str) -> None:
    tenant, told = ours.manager.platform.settings.tenant, ""
    head = (await ours.manager.platform.log.head()).position
    async with asked_by_port(database_url, redis_url, tenant) as served:
        everything = {"after_position": "0"}
        async with asyncio.timeout(30), served.client.stream("GET", "/v1/events", params=everything) as answer:
            give = other.asked.give("RegisterAgent", {"agent_id": f"a-{uuid4()}", "agent_type": MARK})
            assert (await give).status_code == 200
            async for line in answer.aiter_lines():
                told += line
                if line == f"id: {head}":
                    break
    assert '"ours"' in told
    assert MARK not in told


async def test_no_command_reaches_another_tenant(ours: Asked, other: Other) -> None:
    before = await other.state()
    position = int(other.known[5])
    bodies: list[tuple[str, Any]] = [
        ("/v1/commands", {"type": "PauseWorkflow", "data": {"workflow_id": "their-1"}}),
        ("/v1/commands", {"type": "PauseWorkflow", "data": {"workflow_id": "w"}, "tenant": other.tenant}),
        ("/v1/commands", {"type": "StartTask", "data": {"task_id": "t"}, "correlation_id": other.correlation_id}),
        ("/v1/commands", {"type": "StartTask", "data": {"task_id": "t"}, "causation_id": other.command_id}),
        ("/v1/workflows/their-1/rollback", {"to_version": 1, "reason": "r", "operator": "o"}),
        ("/v1/workflows/w/rollback", {"to_version": position, "reason": "r", "operator": "o"}),
        ("/v1/transactions", {"steps": [{"type": "PauseWorkflow", "data": {"workflow_id": "their-1"}}]}),
        (
            "/v1/transactions",
            {
                "steps": [
                    {"state": {"kind": "workflow", "id": "w", "version": position, "changes": {"priority": "high"}}}
                ]
            },
        ),
    ]
    for path, body in bodies:
        for headers in ({}, {"Lock-Token": str(other.token)}, {"X-Correlation-Id": other.correlation_id}):
            answer = await ours.client.post(path, json=body, headers=headers)
            assert answer.status_code in range(400, 500), (path, body, answer.text)
            assert MARK not in answer.text
    assert await other.state() == before


async def test_a_command_id_of_another_tenant_is_new_here(ours: Asked, other: Other) -> None:
    register = {"agent_id": f"a-{uuid4()}", "agent_type": "t"}
    answer = await ours.give("RegisterAgent", register, headers={"Idempotency-Key": other.command_id})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    theirs = await other.asked.get(f"/v1/commands/{other.command_id}")
    assert theirs.json()["versions"].keys() == {"task-t", "workflow-w"}


async def test_a_conversation_of_the_same_name_is_another_one(ours: Asked, other: Other) -> None:
    register = {"agent_id": f"a-{uuid4()}", "agent_type": "t"}
    assert (await ours.give("RegisterAgent", register, correlation_id=other.correlation_id)).status_code == 200
    for asked, mark in ((ours, MARK), (other.asked, register["agent_id"])):
        told = await asked.get(f"/v1/traces/{other.correlation_id}")
        assert told.status_code == 200
        assert mark not in told.text


async def test_a_lock_holds_up_its_own_tenant_only(ours: Asked, other: Other) -> None:
    async with (
        ours.manager.exclusive_lock("workflow:w", timeout=5),
        other.asked.manager.exclusive_lock("workflow:w", timeout=5),
    ):
        assert {one.stream_id for one in await ours.manager.locks()} == {"workflow-w"}
    assert (await ours.client.delete(f"/v1/locks/{other.token}")).status_code == 204
    assert (await ours.client.put(f"/v1/locks/{other.token}")).status_code in (403, 409)
    assert {one.token for one in await other.asked.manager.locks()} == {other.token}


async def test_a_message_of_the_queue_is_for_the_tenant_of_its_queue(ours: Asked, other: Other, redis_url: str) -> None:
    before, tenant = await other.state(), ours.manager.platform.settings.tenant
    agent = {"type": "RegisterAgent", "actor": "x", "data": {"agent_id": f"q-{uuid4()}", "agent_type": "t"}}
    async with own_broker(redis_url, tenant) as broker, open_broker(redis_url, other.tenant) as theirs:
        queue = CommandQueue(broker)
        sent = await queue.send(agent)
        producer = PlainProducer(redis_url, tenant)
        producer.send(agent | {"tenant": other.tenant, "command_id": str(refused := uuid4())})
        async with consuming(broker, ours.manager.submit):
            answer = await queue.answer(sent, 30)
            assert answer is not None
            assert answer.outcome == "accepted"
            wrong = await queue.answer(refused, 30)
        producer.close()
        assert wrong is not None
        assert wrong.outcome == "invalid"
        assert await CommandQueue(theirs).answer(sent, 0.1) is None
    assert await other.state() == before


async def test_the_command_line_is_in_one_tenant_at_a_time(
    ours: Asked, other: Other, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    tenant = ours.manager.platform.settings.tenant
    await ours.catch_up()  # commands would wait for that, as it is ours to do
    before = await other.state()
    line = CommandLine(tmp_path, DORA_STATE_DATABASE_URL=database_url, DORA_STATE_REDIS_URL=redis_url)

    async def run(*arguments: str, given: str = "") -> Ended:
        return await asyncio.to_thread(line, "--tenant", tenant, *arguments, given=given)

    command = {"type": "PauseWorkflow", "data": {"workflow_id": "w"}, "tenant": other.tenant}
    assert (await run("submit", "-", given=lines(command))).code == 2
    shown = await run("show", "workflow", "their-1")
    assert (shown.code, MARK in shown.out + shown.err) == (3, False)
    exported = await run("export", "jsonl")
    assert exported.code == 0
    assert MARK not in exported.out
    assert "ours" in exported.out
    assert await other.state() == before


async def test_what_is_asked_of_one_tenant_touches_no_key_of_another(ours: Asked, other: Other, redis_url: str) -> None:
    client: Any = Redis.from_url(redis_url)

    def keys_of(tenant: str) -> dict[bytes, bytes]:
        found = [name for name in client.scan_iter(f"*{{{tenant}}}*", count=1_000) if b":lease" not in name]
        return {name: client.dump(name) for name in sorted(found) if not re.search(rb":(asked|decayed|mark)$", name)}

    try:
        await other.asked.get("/v1/workflows/w")
        before = keys_of(other.tenant)
        assert before
        for id in ("w", "their-1"):
            await ours.get(f"/v1/workflows/{id}", params={"consistency": "cached"})
        await ours.give("RegisterAgent", {"agent_id": f"a-{uuid4()}", "agent_type": "t"})
        await ours.catch_up()
        assert keys_of(other.tenant) == before
        tenant = ours.manager.platform.settings.tenant
        assert not [name for name in keys_of(tenant) if other.tenant.encode() in name]
    finally:
        client.close()


async def test_a_name_that_leads_out_of_a_schema_is_no_name_of_a_tenant() -> None:
    for name in (
        'x"; DROP SCHEMA public; --',
        "a,pg_catalog",
        "a.b",
        "../a",
        "A",
        "",
        "a{b}",
        "a ",
        "a\n",
        "é",
        "x" * 51,
    ):
        with pytest.raises(InvalidInput, match="TENANT"):
            load_settings(tenant=name)
        with pytest.raises(InvalidInput, match="tenant"):
            tenant_schema(name)
