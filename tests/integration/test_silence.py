"""Connections that stay, and on which nothing comes any more: who waits is told, and what comes after is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from domain.errors import LogUnavailable
from dora_state.health.readiness import KNOWN_SECONDS
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure import silence
from infrastructure.database import Role, connect, tenant_schema
from infrastructure.pools import Pool, schema_pool
from infrastructure.silence import Silences, WatchedConnection
from tests.support.postgres import value
from tests.support.postgres_proxy import Proxy

SOON = 20.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(silence, "DOUBT_SECONDS", 0.5)
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.3)


@pytest.fixture
async def proxy(database_url: str, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with Proxy(database_url, tmp_path).serving() as proxy:
        yield proxy


@pytest.fixture
async def pool(proxy: Proxy, tenant: str) -> AsyncIterator[Pool]:
    async with schema_pool(proxy.url, tenant, Role.WRITER, 1, 2, name="x") as pool:
        yield pool


@pytest.fixture
async def manager(proxy: Proxy, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=proxy.url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="tester") as manager:
        yield manager


async def ask(pool: Pool) -> object:
    async with pool.connection() as connection:
        return await value(connection, "SELECT 1")


async def test_who_waits_on_a_silent_connection_is_told_and_the_next_one_is_answered(proxy: Proxy, pool: Pool) -> None:
    assert await ask(pool) == 1
    proxy.silence_all()
    async with asyncio.timeout(SOON):
        with pytest.raises(psycopg.OperationalError):
            await ask(pool)
        assert await ask(pool) == 1


async def test_one_that_falls_silent_in_the_midst_of_what_is_sent_is_given_up(
    proxy: Proxy, pool: Pool, database_url: str
) -> None:
    """The server is at work on the statement, as it tells, and waits for its parameters."""
    async with pool.connection() as connection, asyncio.timeout(SOON):
        pid = await value(connection, "SELECT pg_backend_pid()")
        cutting = asyncio.create_task(proxy.cut_within("asking", silently=True))
        await asyncio.sleep(0)
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT %s::text", ("x" * 50_000,))
        assert await cutting
    async with await connect(database_url) as admin, asyncio.timeout(SOON):
        while await value(admin, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid):  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.05)


def patience(connection: WatchedConnection) -> float:
    wait = Silences.here().begin(connection)
    wait.end()
    return wait.patience


async def test_where_one_was_given_up_others_that_were_not_heard_of_since_are_doubted_sooner(proxy: Proxy) -> None:
    one, another = await connect(proxy.url), await connect(proxy.url)
    async with one, another, asyncio.timeout(SOON):
        await asyncio.sleep(silence.SILENT_SECONDS)
        assert patience(another) == silence.SILENT_SECONDS
        proxy.silence_all()
        with pytest.raises(psycopg.OperationalError):
            await one.execute("SELECT 1")
        assert patience(another) == silence.DOUBT_SECONDS
        with pytest.raises(psycopg.OperationalError):
            await another.execute("SELECT 1")
        async with await connect(proxy.url) as heard:
            assert patience(heard) == silence.SILENT_SECONDS


async def test_one_that_falls_silent_while_it_is_set_up_is_given_up(
    proxy: Proxy, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which session nobody knows yet, so that the server can't be asked."""
    monkeypatch.setattr(silence, "SET_UP_SECONDS", 1.0)
    proxy.mutes_new = True
    async with asyncio.timeout(SOON):
        with pytest.raises(LogUnavailable):
            await connect(proxy.url)
        async with schema_pool(proxy.url, tenant_schema(tenant), Role.WRITER, 1, 2, name="x", timeout=3.0) as pool:
            with pytest.raises(PoolTimeout):
                await ask(pool)
            proxy.mutes_new = False
            assert await ask(pool) == 1


async def test_a_statement_that_takes_long_is_waited_for(proxy: Proxy, pool: Pool) -> None:
    async with pool.connection() as connection:
        assert await value(connection, "SELECT 1 FROM pg_sleep(4)") == 1


async def test_who_only_listens_is_let_alone(proxy: Proxy) -> None:
    async with await connect(proxy.url) as connection:
        await connection.execute("LISTEN x")
        async with aclosing(connection.notifies()) as notifications:
            listening = asyncio.ensure_future(anext(notifications))
            await asyncio.sleep(3.0)
            async with await connect(proxy.url) as another:
                await another.execute("NOTIFY x, 'y'")
            assert (await listening).payload == "y"


async def test_what_a_silent_connection_is_asked_while_nobody_else_can_be_is_waited_for(
    proxy: Proxy, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the server can't be asked, nothing is known of the answer."""
    await ask(pool)

    async def nobody(*_: object) -> None:
        raise OSError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(silence, "_working", nobody)
        proxy.silence_all()
        asking = asyncio.create_task(ask(pool))
        await asyncio.sleep(3.0)
        assert not asking.done()
    async with asyncio.timeout(SOON):
        with pytest.raises(psycopg.OperationalError):
            await asking


async def test_of_another_server_s_sessions_nothing_is_concluded(
    proxy: Proxy, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a balancer leads who asks to another one, which knows nothing of the session."""

    async def another(*_: object) -> object:
        return datetime(2020, 1, 1, tzinfo=UTC), set()

    monkeypatch.setattr(silence, "_working", another)
    async with pool.connection() as connection:
        assert await value(connection, "SELECT 1 FROM pg_sleep(4)") == 1


async def test_a_session_that_was_given_up_leaves_no_lock_behind(proxy: Proxy, pool: Pool, database_url: str) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted"
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock(4711)")
        proxy.silence_all()
        with pytest.raises(psycopg.OperationalError):
            async with asyncio.timeout(SOON):
                await connection.execute("SELECT 1")
    async with await connect(database_url) as admin, asyncio.timeout(SOON):
        while await value(admin, held):  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.05)


async def test_commands_and_questions_go_on_after_all_connections_fell_silent(
    proxy: Proxy, manager: StateManager
) -> None:
    submission = {"type": "CreateWorkflow", "data": {"workflow_id": "w", "definition_id": "d"}}
    await manager.submit(submission)
    proxy.silence_all()
    async with asyncio.timeout(SOON):
        amend = {"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"a": 1}}}
        answers = [await manager.submit(amend) for _ in range(3)]
        assert answers[-1].outcome in ("accepted", "unchanged"), answers
        assert (await manager.state("workflow", "w", live=True))["context"] == {"a": 1}


async def test_readiness_comes_back(proxy: Proxy, manager: StateManager) -> None:
    health = manager.platform.health
    assert (await health.ready()).status == "healthy"
    proxy.silence_all()
    await asyncio.sleep(KNOWN_SECONDS)
    assert (await health.ready()).status == "unhealthy"
    async with asyncio.timeout(SOON):
        while (await health.ready()).status != "healthy":  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.1)


async def test_a_connection_that_was_ended_while_nobody_used_it_is_given_to_nobody(
    database_url: str, tenant: str
) -> None:
    async with schema_pool(database_url, tenant, Role.WRITER, 2, 2, name="x") as pool:
        await pool.wait()
        async with pool.connection() as one, pool.connection() as another:
            pids = [await value(connection, "SELECT pg_backend_pid()") for connection in (one, another)]
        async with await connect(database_url) as admin:
            await admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) pid", (pids,))
        assert await ask(pool) == 1
