"""What docs/limits.md tells of, where no other test gets there: what still works, and what the next is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from commands.edge import MAX_BYTES, Edge
from domain.errors import AppendRejected, InvalidInput, LogUnavailable
from domain.room import LARGEST_WORKFLOW
from dora_state.importing import importer
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.command_queue.messages import MAX_MESSAGE_BYTES, read, write
from infrastructure.embedded import EmbeddedServers
from infrastructure.event_store import PostgresEventLog
from infrastructure.migrations import migrate
from projections import traces
from tests.support.command_line import ROOT
from tests.support.homes import furnished_home
from tests.support.http import Asked, asked_directly
from tests.support.importing import Tenant
from tests.support.postgres import Connection, connected
from tests.support.xes_logs import LoggedEvent, LoggedTrace

MEGABYTE = 1_000_000
DOCS = (ROOT / "docs" / "limits.md").read_text()


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        yield manager


@pytest.fixture
async def asked(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Asked]:
    async with asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


def sized(size: int) -> bytes:
    """A command of just so many bytes."""
    command = {"type": "CreateWorkflow", "data": {"workflow_id": "w", "definition_id": "d", "context": {"text": ""}}}
    command["data"]["context"]["text"] = "x" * (size - len(orjson.dumps(command)))  # type: ignore[index]  # objects
    return orjson.dumps(command)


def nested(levels: int) -> Any:
    """So deep that a context which holds it has so many levels, what is innermost being the last."""
    value: Any = 1
    for _ in range(levels - 2):
        value = [value]
    return {"deep": value}


WORKFLOW = {"workflow_id": "w", "definition_id": "d"}
STEP = {"type": "PauseWorkflow", "data": {"workflow_id": "w"}}
EDGES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("CreateWorkflow", {"workflow_id": "x" * 255}, {"workflow_id": "x" * 256}, "must have at most 255 characters"),
    ("CreateWorkflow", {"context": nested(32)}, {"context": nested(33)}, "must not be nested deeper than 32 levels"),
    ("CreateWorkflow", {"context": {"n": 2**64 - 1}}, {"context": {"n": 2**64}}, "whole numbers beyond 64 bits"),
    ("CreateWorkflow", {"max_retries": 10**9}, {"max_retries": 10**9 + 1}, "must be at most 1000000000"),
    ("FailWorkflow", {"error": "x" * 10_000}, {"error": "x" * 10_001}, "must have at most 10000 characters"),
    ("FailWorkflow", {"error": "e", "longer_than": 3_155_760_000}, {"error": "e", "longer_than": 3_155_760_001},
     "must be at most 3155760000"),
    ("Transaction", {"commands": [STEP] * 1_000}, {"commands": [STEP] * 1_001}, "must have at most 1000"),
    ("Transaction", {"commands": [STEP], "expected": {f"task-{n}": 0 for n in range(1_000)}},
     {"commands": [STEP], "expected": {f"task-{n}": 0 for n in range(1_001)}}, "must have at most 1000"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fits", "more", "said"), EDGES, ids=[said for *_, said in EDGES])
def test_what_is_just_within_is_taken_and_the_next_is_told_the_limit(
    name: str, fits: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    edge = Edge(tenant="t", new_id=uuid4, clock=lambda: datetime.now(UTC), default_actor="test")
    base = {} if name == "Transaction" else WORKFLOW if name == "CreateWorkflow" else {"workflow_id": "w"}
    assert edge.check({"type": name, "data": base | fits}).command.type == name
    with pytest.raises(InvalidInput, match=said):
        edge.check({"type": name, "data": base | more})
    assert said in DOCS, "what is told is what the docs say"


def test_each_test_that_the_docs_name_is_there() -> None:
    named = set(re.findall(r"`(test_[a-z_]+)`", DOCS))
    assert len(named) > 20
    assert named - {path.stem for path in (ROOT / "tests").rglob("test_*.py")} == set()


async def test_a_page_has_a_thousand_documents_and_no_more(asked: Asked) -> None:
    for path in ("/v1/workflows", "/v1/tasks", "/v1/agents", "/v1/pools", "/v1/reservations", "/v1/pending"):
        assert (await asked.get(f"{path}?limit=1000")).status_code == 200
        answer = await asked.get(f"{path}?limit=1001")
        assert (answer.status_code, answer.json()["facts"]["field"]) == (422, "limit")
        assert "limit: must be at most 1000" in answer.json()["detail"]
    assert "limit: must be at most 1000" in DOCS


async def test_a_command_of_just_the_limit_is_taken_and_one_byte_more_is_413(asked: Asked) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await asked.client.post("/v1/commands", content=sized(MAX_BYTES + 1), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.json()["detail"] == f"The command has {MAX_BYTES + 1} bytes and the limit is {MAX_BYTES}; send less."
    answer = await asked.client.post("/v1/commands", content=sized(MAX_BYTES), headers=headers)
    assert answer.json()["outcome"] == "accepted"


async def test_a_workflow_that_is_full_is_refused_more_for_ever_and_goes_on_all_the_same(asked: Asked) -> None:
    """To the byte where it is full, and back again: it can still be rolled back, as its event fits into the log."""
    await asked.give("CreateWorkflow", {"workflow_id": "w", "definition_id": "d"})
    for number in range(8):
        told = await asked.give("AmendWorkflow", {"workflow_id": "w", "context": {f"part{number}": "x" * MEGABYTE}})
        assert told.status_code == 200
    more = {"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"more": "x" * 500_000}}}
    key = "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001"
    for _ in range(2):
        refused = await asked.client.post("/v1/commands", json=more, headers={"Idempotency-Key": key})
        assert (refused.status_code, refused.json()["code"]) == (409, "workflow_too_large")
        assert refused.json()["facts"]["limit"] == LARGEST_WORKFLOW
    assert (await asked.give("StartWorkflow", {"workflow_id": "w"})).status_code == 200
    await asked.catch_up()
    document = (await asked.get("/v1/workflows/w")).json()
    assert (document["state"], len(document["context"])) == ("running", 8)
    back = {"workflow_id": "w", "to_version": 9, "reason": "r", "operator": "o"}
    assert (await asked.give("RollBackWorkflow", back)).status_code == 200


def test_a_message_of_just_the_limit_is_read_and_one_byte_more_is_none() -> None:
    id, raw = write({"type": "x", "data": {}, "actor": "a"}, read_id := uuid4())
    full = raw[:-1] + b" " * (MAX_MESSAGE_BYTES - len(raw)) + raw[-1:]
    assert read(id.encode(), full).fault is None
    assert read(id.encode(), full).command_id == read_id
    fault = read(id.encode(), full + b" ").fault
    assert fault == f"The message has {MAX_MESSAGE_BYTES + 1} bytes and the limit is {MAX_MESSAGE_BYTES}; send less."


async def test_a_queue_that_is_full_says_so_at_once_and_takes_more_when_it_is_not(
    database_url: str, redis_url: str, tenant: str
) -> None:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant, queue_size=50)
    async with open_state_manager(settings, default_actor="test") as manager:

        def create(number: int) -> dict[str, Any]:
            return {"type": "CreateWorkflow", "data": {"workflow_id": f"w{number}", "definition_id": "d"}}

        answers = await asyncio.gather(*[manager.submit(create(number)) for number in range(60)])
        told = [answer.problem.message if answer.problem else answer.outcome for answer in answers]
        busy = "50 commands are waiting already; try again in a moment."
        assert told == ["accepted"] * 50 + [busy] * 10
        assert {answer.outcome for answer in answers[50:]} == {"failed"}
        assert (await manager.submit(create(99))).outcome == "accepted"


async def test_a_trace_tells_so_many_events_and_then_how_to_ask_for_a_part(
    manager: StateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "MOST", 3)
    for number in range(4):
        data = WORKFLOW | {"workflow_id": f"w{number}"}
        told = await manager.submit({"type": "CreateWorkflow", "data": data, "correlation_id": f"c{number // 3}"})
        assert told.outcome == "accepted"
    assert len((await manager.trace("c0")).roots) == 3
    await manager.submit({"type": "StartWorkflow", "data": {"workflow_id": "w3"}, "correlation_id": "c0"})
    with pytest.raises(InvalidInput, match="has more than 3 events; ask for a part of it, between two times"):
        await manager.trace("c0")


async def test_an_import_of_more_months_than_there_may_be_is_refused_before_it_begins(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "MAX_MONTHS", 2)
    into = Tenant(tenant, tmp_path / "home", database_url, redis_url)
    times = [datetime(2011, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    events = tuple(LoggedEvent("A", "complete", time) for time in times)
    path = into.write(LoggedTrace("long", events))
    with pytest.raises(InvalidInput, match="has events in 3 months, more than 2; check its times"):
        await into.imports(path)
    assert await into.log() == []
    assert (await into.imports(into.write(LoggedTrace("long", events[:2])))).tasks == {"completed": 2}


async def test_a_hundred_years_of_months_are_made_and_no_more(log: PostgresEventLog) -> None:
    with pytest.raises(AppendRejected, match="months are made from a time to a later one, 100 years at most"):
        await log.ensure_months(datetime(1900, 1, 1, tzinfo=UTC), datetime(2000, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize(("name", "is_one"), [("a" * 50, True), ("a" * 51, False), ("A", False), ("1a", False)])
def test_the_name_of_a_tenant_has_50_characters(name: str, is_one: bool) -> None:
    if is_one:
        assert load_settings(tenant=name).tenant == name
    else:
        with pytest.raises(InvalidInput, match="DORA_STATE_TENANT"):
            load_settings(tenant=name)


async def take_all_locks(connection: Connection) -> None:
    """All that the server has room for, as a transaction over thousands of partitions does."""
    key, step = 0, 16_384
    while step > 0:
        try:
            async with connection.transaction():
                await connection.execute(
                    "SELECT pg_advisory_xact_lock(g) FROM generate_series(%s::int, %s::int) g", (key, key + step)
                )
            key += step + 1
        except psycopg.errors.OutOfMemory:
            step //= 2


@pytest.fixture
def own_home() -> Iterator[Path]:
    with furnished_home("dora-state-limits-") as home:
        yield home


async def test_a_server_without_room_for_locks_is_told_what_to_raise_and_goes_on_afterwards(own_home: Path) -> None:
    with EmbeddedServers(own_home) as servers:
        settings = load_settings(database_url=servers.database_url, redis_url=servers.redis_url, tenant="full")
        async with open_state_manager(settings, default_actor="test") as manager:
            create = {"type": "CreateWorkflow", "data": {"workflow_id": "w", "definition_id": "d"}}
            async with connected(servers.database_url, "full") as hoarder, hoarder.transaction():
                await take_all_locks(hoarder)
                answer = await manager.submit(create)
                assert answer.outcome == "failed"
                assert answer.problem is not None
                assert answer.problem.code == "log_unavailable"
                assert "raise its max_locks_per_transaction" in answer.problem.message
            assert (await manager.submit(create)).outcome == "accepted"


async def test_a_server_without_a_connection_left_is_told_what_to_raise(own_home: Path) -> None:
    with EmbeddedServers(own_home) as servers:
        await migrate(servers.database_url, "full")
        async with AsyncExitStack() as stack:
            with suppress(psycopg.OperationalError):
                while True:
                    await stack.enter_async_context(await psycopg.AsyncConnection.connect(servers.database_url))
            settings = load_settings(database_url=servers.database_url, redis_url=servers.redis_url, tenant="full")
            with pytest.raises(LogUnavailable, match="raise its max_connections, or lower DORA_STATE_POOL_SIZE"):
                async with open_state_manager(settings):
                    raise AssertionError("It was opened all the same")
