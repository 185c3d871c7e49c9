"""The PostgreSQL that the tests run on, and ways to look into it with any rights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString, cast

import psycopg

from domain.log import AppendOutcome, CommandAppend
from infrastructure import sql
from infrastructure.database import CONTROL_SCHEMA, Role, assume, connect, tenant_schema
from infrastructure.event_store.group import Group, OutcomeRow, outcomes

Connection = psycopg.AsyncConnection[tuple[object, ...]]


@asynccontextmanager
async def connected(database_url: str, tenant: str, role: Role | None = None) -> AsyncIterator[Connection]:
    """A connection that sees a tenant with a role's rights; without a role, with the login's."""
    async with await connect(database_url, "dora-state tests") as connection:
        await assume(connection, tenant_schema(tenant), role or Role.MIGRATOR)
        if role is None:
            await connection.execute("RESET ROLE")
        yield connection


@asynccontextmanager
async def controlled(database_url: str, role: Role | None = None) -> AsyncIterator[Connection]:
    """A connection that sees the control schema with a role's rights; without a role, with the login's."""
    async with await connect(database_url, "dora-state tests") as connection:
        await assume(connection, CONTROL_SCHEMA, role or Role.MIGRATOR)
        if role is None:
            await connection.execute("RESET ROLE")
        yield connection


async def rows(connection: Connection, query: LiteralString, *arguments: object) -> list[tuple[object, ...]]:
    return await (await connection.execute(query, arguments or None)).fetchall()


async def value(connection: Connection, query: LiteralString, *arguments: object) -> object:
    ((only,),) = await rows(connection, query, *arguments)
    return only


async def tell_plans(connection: Connection) -> list[str]:
    """Lets the server tell of each statement on a login's connection as it ends, of those within functions too: returns
    a list that gets the text and the plan of each from now on.
    """
    told: list[str] = []
    for statement in (
        "LOAD 'auto_explain'",
        "SET auto_explain.log_min_duration = 0",
        "SET auto_explain.log_analyze = on",
        "SET auto_explain.log_nested_statements = on",
        "SET client_min_messages = log",
    ):
        await connection.execute(statement)
    connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    return told


async def tenants_of(database_url: str, prefix: str) -> list[str]:
    """The tenants whose names begin like that; none on a server where nothing was ever set up."""
    async with await connect(database_url, "dora-state tests") as connection:
        if not await rows(
            connection, "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'tenants'", CONTROL_SCHEMA
        ):
            return []
        await assume(connection, CONTROL_SCHEMA, Role.MIGRATOR)
        found = await rows(connection, "SELECT name FROM tenants WHERE starts_with(name, %s)", prefix)
    return [str(name) for (name,) in found]


async def set_clock(database_url: str, tenant: str, expression: LiteralString) -> None:
    """Make a tenant's clock tell what a SQL expression says; only the migrating role can."""
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute(
            "CREATE OR REPLACE FUNCTION log_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT "
            + expression
            + " $$"
        )


async def append_in(connection: Connection, *commands: CommandAppend) -> list[AppendOutcome]:
    """Append on a connection of one's own, say in the middle of a transaction."""
    group = Group()
    for command in commands:
        group.add(command)
    cursor = await connection.execute(sql.load("append"), group.arguments(None), binary=True)
    return outcomes(commands, group, cast(list[OutcomeRow], await cursor.fetchall()))


async def until_waiting(connection: Connection, backend: Connection) -> str:
    """Wait until another backend waits for a lock; returns the kind of lock."""
    for _ in range(500):
        found = await rows(
            connection,
            "SELECT wait_event FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
            backend.info.backend_pid,
        )
        if found:
            return str(found[0][0])
        await asyncio.sleep(0.01)
    raise AssertionError("the other backend does not wait for anything")
