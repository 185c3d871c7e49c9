"""The record of who looked: nothing is seen unrecorded, nothing recorded is changed, and roles have few rights."""

import asyncio
from typing import LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain.errors import InvalidInput, LogUnavailable
from dora_state.access.caller import Caller, CallerRole, Reading
from dora_state.access.recording import RecordedReadings, looking, open_readings
from dora_state.servers import Servers
from infrastructure.control import open_control_pool
from infrastructure.database import Role
from infrastructure.migrations import migrate_control
from infrastructure.readings import ReadingBook, list_readings
from tests.support.postgres import controlled, rows, value

FORBIDDEN: dict[Role, tuple[LiteralString, ...]] = {
    Role.WRITER: (
        "INSERT INTO api_keys DEFAULT VALUES",
        "UPDATE api_keys SET revoked_at = NULL",
        "UPDATE api_keys SET expires_at = 'infinity'",
        "UPDATE api_keys SET secret_sha256 = ''",
        "DELETE FROM api_keys",
        "SELECT * FROM readings",
        "SELECT * FROM reading_ends",
        "UPDATE readings SET actor = 'nobody'",
        "DELETE FROM readings",
        "TRUNCATE readings CASCADE",
        "INSERT INTO readings (id, at) VALUES (gen_random_uuid(), now())",
        "INSERT INTO readings (id, login) VALUES (gen_random_uuid(), 'nobody')",
        "INSERT INTO tenants (name, schema) VALUES ('a', 'a')",
    ),
    Role.PROJECTOR: (
        "SELECT * FROM api_keys",
        "SELECT * FROM readings",
        "INSERT INTO readings (id) VALUES (gen_random_uuid())",
        "UPDATE api_keys SET last_used_at = now()",
    ),
}


@pytest.mark.parametrize("role", FORBIDDEN)
async def test_roles_have_no_more_rights_on_keys_and_readings_than_they_need(database_url: str, role: Role) -> None:
    await migrate_control(database_url)
    async with controlled(database_url, role) as connection:
        for statement in FORBIDDEN[role]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement)


@pytest.mark.parametrize("role", [Role.MIGRATOR, None], ids=["owner", "login"])
@pytest.mark.parametrize("table", ["readings", "reading_ends"])
async def test_the_record_of_reading_is_never_changed_even_by_its_owner(
    database_url: str, role: Role | None, table: str
) -> None:
    await migrate_control(database_url)
    async with controlled(database_url, role) as connection:
        for change in ("UPDATE {} SET rows = 0", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with pytest.raises(psycopg.Error) as refused:
                await connection.execute(change.format(table).encode())
            assert refused.value.sqlstate == "DS006"


async def test_who_looked_is_recorded_before_anything_is_shown_and_how_much_in_the_end(
    database_url: str, tenant: str
) -> None:
    ann = Caller("ann", CallerRole.AUDITOR, tenant, "key abc")
    async with open_readings(Servers(database_url, None, None)) as readings:
        async with looking(readings, Reading(ann, "history", "workflow w", {"version": 3})) as shown:
            (begun,) = await list_readings(database_url, tenant, limit=10)
            assert (begun.actor, begun.role, begun.credential) == ("ann", "auditor", "key abc")
            assert (begun.what, begun.about, begun.cut) == ("history", "workflow w", {"version": 3})
            assert (begun.rows, begun.ended_at) == (None, None)
            shown.rows = 7
        await readings.record(Reading(ann, "diff", "workflow w", {"from": "v1", "to": "now"}, rows=2))
    told = await list_readings(database_url, tenant, limit=10)
    assert [(one.what, one.rows) for one in told] == [("diff", 2), ("history", 7)]
    async with controlled(database_url) as connection:
        assert told[0].login == await value(connection, "SELECT session_user::text")


async def test_how_much_was_shown_is_recorded_also_of_who_goes_away(database_url: str, tenant: str) -> None:
    ann = Caller("ann", CallerRole.AUDITOR, tenant)
    begun = asyncio.Event()
    async with open_readings(Servers(database_url, None, None)) as readings:

        async def show() -> None:
            async with looking(readings, Reading(ann, "export", "everything")) as shown:
                shown.rows = 4
                begun.set()
                await asyncio.Event().wait()

        showing = asyncio.create_task(show())
        await begun.wait()
        showing.cancel()
        await asyncio.wait({showing})
    (told,) = await list_readings(database_url, tenant, limit=10)
    assert told.rows == 4


async def test_many_readings_are_recorded_with_few_transactions(database_url: str, tenant: str) -> None:
    ann = Caller("ann", CallerRole.AUDITOR, tenant)
    async with open_readings(Servers(database_url, None, None)) as readings:
        await asyncio.gather(*(readings.record(Reading(ann, "history", f"task {n}", rows=n)) for n in range(2_000)))
    told = await list_readings(database_url, tenant, limit=5_000)
    assert sorted(one.rows or 0 for one in told) == list(range(2_000))
    async with controlled(database_url) as connection:
        transactions = await rows(connection, "SELECT DISTINCT xmin::text FROM readings WHERE tenant = %s", tenant)
    assert len(transactions) <= 10


async def test_nothing_is_shown_where_it_can_not_be_recorded(database_url: str, tenant: str) -> None:
    read_only = make_conninfo(database_url, options="-c default_transaction_read_only=on")
    ann, was_shown = Caller("ann", CallerRole.AUDITOR, tenant), False
    async with open_readings(Servers(read_only, None, None)) as readings:
        with pytest.raises(LogUnavailable, match="so that nothing is shown"):
            async with looking(readings, Reading(ann, "history", "workflow w")):
                was_shown = True
    assert not was_shown
    pool = await open_control_pool(database_url)
    book = ReadingBook(pool)
    await pool.close()
    with pytest.raises(LogUnavailable, match="so that nothing is shown"):
        await RecordedReadings(book).record(Reading(ann, "history", "workflow w"))


async def test_what_can_not_be_stored_keeps_nobody_else_from_being_recorded(database_url: str, tenant: str) -> None:
    ann = Caller("ann", CallerRole.AUDITOR, tenant)
    async with open_readings(Servers(database_url, None, None)) as readings:
        bad = [Reading(ann, "history", about) for about in ("a\x00b", "a\udc00b")]
        good = [Reading(ann, "history", "x" * 5_000)]
        results = await asyncio.gather(*(readings.record(one) for one in bad + good), return_exceptions=True)
    assert [type(result) for result in results] == [InvalidInput, InvalidInput, type(None)]
    assert len(await list_readings(database_url, tenant, limit=10)) == 1


async def test_what_was_asked_for_is_kept_and_fills_no_disk(database_url: str, tenant: str) -> None:
    ann = Caller("ann", CallerRole.AUDITOR, tenant)
    asked = {"types": ["TaskStarted", "x" * 5_000] * 1_000, "limit": 5, "large": 10**30, "deep": {"a": {"b": [1]}}}
    async with open_readings(Servers(database_url, None, None)) as readings:
        await readings.record(Reading(ann, "history", "workflow w", {"version": 2}, asked=asked))
    (told,) = await list_readings(database_url, tenant, limit=10)
    assert told.asked["limit"] == 5
    assert told.asked["types"] == ["TaskStarted", "x" * 500] * 32
    assert told.asked["large"] == str(10**30)
    assert told.asked["deep"] == {"a": "{'b': [1]}"}


async def test_readings_are_found_by_whom_and_when_page_by_page(database_url: str, tenant: str) -> None:
    async with open_readings(Servers(database_url, None, None)) as readings:
        for number, name in enumerate(("ann", "bob", "ann")):
            await readings.record(Reading(Caller(name, CallerRole.AUDITOR, tenant), "history", str(number), rows=1))
    everything = await list_readings(database_url, tenant, limit=10)
    assert [one.about for one in everything] == ["2", "1", "0"]
    assert [one.about for one in await list_readings(database_url, tenant, actor="ann", limit=10)] == ["2", "0"]
    newest = everything[0]
    assert len(await list_readings(database_url, tenant, since=newest.at, limit=10)) == 1
    assert len(await list_readings(database_url, tenant, until=everything[1].at, limit=10)) == 2
    assert [one.about for one in await list_readings(database_url, tenant, before=newest.number, limit=1)] == ["1"]
    assert await list_readings(database_url, f"{tenant}x", limit=10) == []
