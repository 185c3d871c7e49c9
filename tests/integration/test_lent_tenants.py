"""Tests get a tenant that another one had, only where nothing of that one is left."""

import psycopg
import pytest

from domain.log import Appended
from infrastructure.database import tenant_schema
from infrastructure.event_store import Appender, PostgresEventLog
from infrastructure.pools import Held
from tests.support.log import command
from tests.support.postgres import connected, controlled, rows, set_clock, value
from tests.support.tenants import give_back, lend

IS_THERE = "SELECT oid FROM pg_namespace WHERE nspname = %s"


async def schema_of(database_url: str, tenant: str) -> object:
    """What tells it from others, whatever it is named; None: there is none."""
    async with controlled(database_url) as connection:
        found = await rows(connection, IS_THERE, tenant_schema(tenant))
    return found[0][0] if found else None


async def append(database_url: str, tenant: str) -> int | None:
    """Its position."""
    appender = Appender(database_url, tenant)
    try:
        async with connected(database_url, tenant) as connection:
            (outcome,) = await PostgresEventLog(Held(connection), appender).append([command({"task-1": 0})])
    finally:
        await appender.close()
    assert isinstance(outcome, Appended)
    return outcome.last_position


async def test_what_was_written_is_gone_and_the_next_one_begins_under_another_name(database_url: str) -> None:
    first = await lend(database_url)
    schema = await schema_of(database_url, first)
    for _ in range(3):
        assert await append(database_url, first) == 1
        await set_clock(database_url, first, "timestamptz '2026-01-01'")
        async with connected(database_url, first) as connection:
            await connection.execute("UPDATE checkpoints SET position = 7")
            await connection.execute("SELECT nextval('lock_tokens')")
        await give_back(database_url, first)
        second = await lend(database_url)
        assert second != first
        assert await schema_of(database_url, first) is None
        assert await schema_of(database_url, second) == schema
        async with connected(database_url, second) as connection:
            assert await value(connection, "SELECT count(*) FROM events") == 0
            assert await value(connection, "SELECT max(position) FROM checkpoints") == 0
            assert await value(connection, "SELECT nextval('lock_tokens')") == 1
            assert await value(connection, "SELECT log_clock() > timestamptz '2026-06-01'") is True
        async with controlled(database_url) as connection:
            known = "SELECT name FROM tenants WHERE name = ANY (%s)"
            assert await rows(connection, known, [first, second]) == [(second,)]
        first = second
    await give_back(database_url, first)


async def test_a_schema_that_was_altered_is_lent_to_nobody(database_url: str) -> None:
    for alter in (
        "CREATE TABLE left_over ()",
        "ALTER TABLE tasks ADD COLUMN left_over text",
        "CREATE INDEX left_over ON tasks (workflow_id)",
        "GRANT DELETE ON tasks TO dora_state_writer",
        "ALTER TABLE events DISABLE TRIGGER refuse_change",
        "DROP FUNCTION log_clock CASCADE",
        "CREATE OR REPLACE FUNCTION left_over() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DELETE FROM leads; ALTER TABLE leads ADD CHECK (name <> 'states')",
    ):
        tenant = await lend(database_url)
        async with connected(database_url, tenant) as connection:
            await connection.execute(alter)
        await give_back(database_url, tenant)
        assert await schema_of(database_url, tenant) is None, alter


async def test_while_somebody_is_still_at_work_a_tenant_is_lent_to_nobody(database_url: str) -> None:
    tenant = await lend(database_url)
    async with connected(database_url, tenant) as connection:
        await connection.execute("SET idle_in_transaction_session_timeout = '2s'")  # dropping waits as well
        await connection.execute("BEGIN; LOCK TABLE tasks IN ACCESS SHARE MODE")
        await give_back(database_url, tenant)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            await connection.execute("SELECT 1")
    assert await schema_of(database_url, tenant) is None
