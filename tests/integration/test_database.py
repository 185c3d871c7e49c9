"""Connections: what is said of a URL or a server that won't do, and what each connection is pinned to."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool.base import AttemptWithBackoff

from domain.errors import InvalidInput, LogError, LogUnavailable
from infrastructure import migrations, pools, sql
from infrastructure.database import Role, connect
from infrastructure.event_store import PostgresEventLog
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.pools import open_pool, schema_pool
from tests.support.log import appended, command
from tests.support.postgres import connected, value
from tests.support.tenants import new_name

READ_ONLY = "-c default_transaction_read_only=on"


@pytest.fixture
def new_tenant() -> str:
    return new_name()


@pytest.fixture
async def ascii_url(database_url: str) -> AsyncIterator[str]:
    """A database without an encoding."""
    name = f"ascii_{uuid4().hex[:12]}"
    async with await connect(database_url) as admin:
        await admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'".encode()
        )
        yield make_conninfo(database_url, dbname=name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def own_url(database_url: str) -> AsyncIterator[str]:
    """A database that others don't use."""
    name = f"own_{uuid4().hex[:12]}"
    async with await connect(database_url) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        yield make_conninfo(database_url, dbname=name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize(
    "url",
    [
        "postgres:/u:secretpw@h.invalid/db",
        "postgresql://u:sec%zzretpw@h.invalid/db",
        "postgresql://u:sec/retpw@h.invalid/db",
        "postgresql://u:1/retpw@h.invalid/db",
        "postgresql://u:sec@retpw@h.invalid/db",
        "host=h.invalid password=sec retpw",
        "postgresql://u:secretpw\udc00@h.invalid/db",
        "postgresql://u:secretpw@h.invalid:port/db",
    ],
)
async def test_a_malformed_url_is_told_without_a_word_of_it(url: str) -> None:
    for attempt in (migrate(url, "bank"), open_pool(url, "bank", Role.WRITER)):
        with pytest.raises(InvalidInput) as refused:
            await attempt
        assert str(refused.value) == (
            "DORA_STATE_DATABASE_URL is no PostgreSQL URL: write it like"
            " postgresql://user:password@host:5432/database, with special characters percent-encoded."
        )
        assert refused.value.facts == {}


async def test_a_server_that_does_not_answer_is_told_without_the_drivers_question(tmp_path: Path) -> None:
    for url in (f"postgresql://u:secretpw@/db?host={tmp_path}", "postgresql://u:secretpw@127.0.0.1:1/db"):
        with pytest.raises(LogUnavailable, match="can't be reached") as refused:
            await migrate(url, "bank")
        assert "?" not in str(refused.value)
        assert "secretpw" not in str(refused.value)


async def test_an_up_to_date_schema_is_enough_on_a_read_only_server(database_url: str, tenant: str) -> None:
    read_only = make_conninfo(database_url, options=READ_ONLY)
    assert await migrate(read_only, tenant) == []
    async with await open_pool(read_only, tenant, Role.WRITER) as pool:
        assert (await PostgresEventLog(pool).head()).position == 0


async def test_a_read_only_server_without_the_schema_is_one_sentence(
    database_url: str, tenant: str, new_tenant: str
) -> None:
    with pytest.raises(LogUnavailable, match=r"read-only.*dora-state init") as refused:
        await migrate(make_conninfo(database_url, options=READ_ONLY), new_tenant)
    assert "\n" not in str(refused.value)


async def test_a_cancelled_statement_is_not_taken_for_a_server_that_is_gone(database_url: str, new_tenant: str) -> None:
    hasty = make_conninfo(database_url, options="-c statement_timeout=1")
    with pytest.raises(LogUnavailable, match="statement_timeout") as refused:
        await migrate(hasty, new_tenant)
    assert "start it" not in str(refused.value)
    await drop_tenant(database_url, new_tenant)


async def test_any_other_error_of_the_driver_is_one_sentence_too(
    database_url: str, new_tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, scripts = sql.Script("0001_broken", b"SELECT 1 / 0"), sql.scripts
    monkeypatch.setattr(sql, "scripts", lambda name: (broken,) if name == "migrations" else scripts(name))
    with pytest.raises(LogError, match=r"division by zero.*dora-state init") as refused:
        await migrate(database_url, new_tenant)
    assert "\n" not in str(refused.value)
    monkeypatch.undo()
    await drop_tenant(database_url, new_tenant)


@pytest.mark.parametrize("isolation", ["serializable", "repeatable\\ read"])
async def test_the_servers_default_isolation_does_not_matter(
    database_url: str, new_tenant: str, isolation: str
) -> None:
    strict = make_conninfo(database_url, options=f"-c default_transaction_isolation={isolation}")
    try:
        assert await migrate(strict, new_tenant)
        async with await open_pool(strict, new_tenant, Role.WRITER) as pool:
            appended((await PostgresEventLog(pool).append([command({"task-1": 0})]))[0])
        async with await connect(strict) as connection:
            assert await value(connection, "SHOW transaction_isolation") == "read committed"
    finally:
        await drop_tenant(database_url, new_tenant)


async def test_the_clients_encoding_does_not_matter(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    assert await migrate(database_url, tenant) == []
    async with await open_pool(database_url, tenant, Role.WRITER) as pool:
        log = PostgresEventLog(pool)
        await log.append([command({"task-ü": 0})])
        assert [event.stream_id for event in await log.read_log(after_position=0, limit=9)] == ["task-ü"]


async def test_a_database_in_another_encoding_is_refused(ascii_url: str) -> None:
    with pytest.raises(LogUnavailable, match=r"SQL_ASCII, not in UTF8: create") as refused:
        await migrate(ascii_url, "bank")
    assert "\n" not in str(refused.value)


async def test_a_held_lock_of_the_migration_does_not_matter_where_nothing_is_to_be_done(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1)
    async with await connect(database_url) as holder:
        await holder.execute(sql.load("setup/lock"))
        assert await migrate(database_url, tenant) == []


async def test_who_waits_too_long_for_the_lock_of_the_migration_is_told_who_holds_it(
    database_url: str, new_tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1)
    async with await connect(database_url, "dora-state of another") as holder:
        await holder.execute(sql.load("setup/lock"))
        holding = rf"setting up this database .*\(dora-state of another, pid {holder.info.backend_pid}\)"
        for attempt in (migrate(database_url, new_tenant), drop_tenant(database_url, new_tenant)):
            with pytest.raises(LogUnavailable, match=holding) as refused:
                await attempt
            assert not re.search("\n", str(refused.value))


async def test_months_that_are_missing_are_made_though_the_schema_is_up_to_date(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        last = await value(connection, "SELECT max(partition) FROM months")
        await connection.execute(f"DROP TABLE {last}".encode())
        await connection.execute("DELETE FROM months WHERE partition = %s", (last,))
        with pytest.raises(LogUnavailable, match="read-only"):
            await migrate(make_conninfo(database_url, options=READ_ONLY), tenant)
        assert await migrate(database_url, tenant) == []
        assert await value(connection, "SELECT max(partition) FROM months") == last


async def test_a_tenant_that_is_not_recorded_is_recorded_again(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("DELETE FROM dora_state_control.tenants WHERE name = %s", (tenant,))
        await migrate(database_url, tenant)
        recorded = "SELECT count(*) FROM dora_state_control.tenants WHERE name = %s"
        assert await value(connection, recorded, tenant) == 1


async def test_a_pool_is_refused_in_one_sentence_where_the_server_cancels(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = sql.load("session") + b", pg_sleep(1)"
    monkeypatch.setattr(sql, "load", lambda name, load=sql.load: slow if name == "session" else load(name))
    with pytest.raises(LogUnavailable, match="statement_timeout"):
        await open_pool(make_conninfo(database_url, options="-c statement_timeout=200"), tenant, Role.WRITER)


async def _let_in(database_url: str, own_url: str, allowed: bool) -> None:
    name = conninfo_to_dict(own_url)["dbname"]
    async with await connect(database_url) as admin:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}".encode())
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


async def test_a_pool_is_there_again_soon_after_an_outage_however_long_it_was(
    database_url: str, own_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AttemptWithBackoff, "INITIAL_DELAY", 0.05)
    monkeypatch.setattr(pools, "RECONNECT_SECONDS", 0.05)
    async with schema_pool(own_url, tenant, Role.WRITER, 1, 1, name="x") as pool:
        async with pool.connection() as connection:
            await _let_in(database_url, own_url, False)
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 1")
        async with asyncio.timeout(30):
            while pool.get_stats().get("connections_errors", 0) < 6:  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.01)
        await _let_in(database_url, own_url, True)
        async with pool.connection(timeout=1.0) as connection:  # a pause of twice the last one would be longer
            assert await value(connection, "SELECT 1") == 1
