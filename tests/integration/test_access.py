"""Keys and the record of reading on a real database: who gets in, who does not, and that nothing is seen unrecorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain.errors import InvalidInput, LogUnavailable, NotFound
from dora_state.access.api_key import ApiKey, new_key
from dora_state.access.caller import Caller, CallerRole, Reading, Unauthenticated
from dora_state.access.key_ring import GOOD_SECONDS, KeyRing
from dora_state.access.opening import open_access
from dora_state.access.recording import RecordedReadings, looking, open_readings
from dora_state.servers import Servers
from dora_state.settings import Settings
from infrastructure import access_keys
from infrastructure.access_keys import GoodKey, create_key, list_keys, revoke_key, revoke_keys
from infrastructure.control import open_control_pool
from infrastructure.database import CONTROL_SCHEMA, Role, assume, connect
from infrastructure.migrations import drop_tenant, migrate, migrate_control
from infrastructure.readings import ReadingBook, list_readings
from tests.support.postgres import Connection, rows, value


async def made(database_url: str, tenant: str, role: str = "reader", life: timedelta = timedelta(days=1)) -> ApiKey:
    key = new_key()
    await create_key(database_url, tenant, GoodKey(key.id, key.digest, "ann", role, datetime.now(UTC) + life), "root")
    return key


@pytest.fixture
async def other_tenant(database_url: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex[:16]}"
    await migrate(database_url, name)
    yield name
    await drop_tenant(database_url, name)


async def is_refused(asking: Awaitable[Caller]) -> bool:
    try:
        await asking
    except Unauthenticated:
        return True
    return False


async def test_a_key_opens_its_own_tenant_and_no_other(database_url: str, tenant: str, other_tenant: str) -> None:
    mine, theirs = await made(database_url, tenant, "auditor"), await made(database_url, other_tenant, "operator")
    async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
        caller = await access.authenticator.caller(f"Bearer {mine.text}")
        assert (caller.name, caller.role, caller.tenant) == ("ann", CallerRole.AUDITOR, tenant)
        for text in (theirs.text, ApiKey(mine.id, theirs.secret).text, ApiKey(theirs.id, mine.secret).text):
            assert await is_refused(access.authenticator.caller(f"Bearer {text}"))
    with pytest.raises(NotFound):
        await revoke_key(database_url, tenant, theirs.id, "root")
    assert [key.id for key in await list_keys(database_url, tenant)] == [mine.id]


async def test_a_revoked_key_is_refused_within_five_seconds(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, later = await made(database_url, tenant), 0.0
    ring_clock = KeyRing.__init__.__defaults__
    assert ring_clock is not None
    monkeypatch.setattr(KeyRing.__init__, "__defaults__", (lambda: asyncio.get_running_loop().time() + later,))
    async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
        await access.authenticator.caller(f"Bearer {key.text}")
        first = await revoke_key(database_url, tenant, key.id, "root")
        assert await revoke_key(database_url, tenant, key.id, "eve") == first
        later = GOOD_SECONDS
        assert await is_refused(access.authenticator.caller(f"Bearer {key.text}"))
    (told,) = await list_keys(database_url, tenant)
    assert (told.state, told.revoked_at) == ("revoked", first)
    assert str(told.revoked_by).startswith("root as ")


async def test_an_expired_key_is_refused_and_listed_as_such(database_url: str, tenant: str) -> None:
    key = await made(database_url, tenant, life=timedelta(0))
    await made(database_url, tenant)
    async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
        assert await is_refused(access.authenticator.caller(f"Bearer {key.text}"))
    assert sorted(told.state for told in await list_keys(database_url, tenant)) == ["expired", "good"]


async def test_a_key_that_was_just_made_is_taken_by_a_running_server(database_url: str, tenant: str) -> None:
    await made(database_url, tenant)
    async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
        assert await is_refused(access.authenticator.caller(f"Bearer {new_key().text}"))
        key = await made(database_url, tenant)
        await access.authenticator.caller(f"Bearer {key.text}")
    used = {told.id: told.last_used_at for told in await list_keys(database_url, tenant)}
    assert used[key.id] is not None


async def test_a_server_of_a_tenant_without_keys_may_listen_on_loopback_only(database_url: str, tenant: str) -> None:
    async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
        assert (await access.authenticator.caller(None)).role is CallerRole.OPERATOR
        assert "loopback only" in str(access.notice)
        access.require_may_listen("127.0.0.1")
        with pytest.raises(InvalidInput, match=r"listens on loopback only, not on 0\.0\.0\.0: make a key"):
            access.require_may_listen("0.0.0.0")
    key = await made(database_url, tenant)
    await revoke_key(database_url, tenant, key.id, "root")
    await made(database_url, tenant)
    async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
        assert access.notice is None
        access.require_may_listen("0.0.0.0")
        assert await is_refused(access.authenticator.caller(None))


async def test_a_server_that_takes_tokens_is_never_an_open_house(database_url: str, tenant: str) -> None:
    settings = Settings(tenant=tenant, oidc_issuer="https://login.bank.example", oidc_audience="dora-state")
    async with open_access(settings, Servers(database_url, None, None)) as access:
        assert access.notice is None
        assert await is_refused(access.authenticator.caller(None))


async def test_a_tenant_has_no_more_good_keys_than_a_server_can_know(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_keys, "MOST_KEYS", 2)
    first = await made(database_url, tenant)
    await made(database_url, tenant)
    with pytest.raises(InvalidInput, match="revoke some that nobody uses"):
        await made(database_url, tenant)
    await revoke_key(database_url, tenant, first.id, "root")
    await made(database_url, tenant)


async def test_a_tenant_that_gets_the_name_of_one_that_was_dropped_takes_none_of_its_keys(database_url: str) -> None:
    tenant = f"test_{uuid4().hex[:16]}"
    await migrate(database_url, tenant)
    key = await made(database_url, tenant)
    await revoke_keys(database_url, tenant, "root")
    await drop_tenant(database_url, tenant)
    with pytest.raises(NotFound, match="There is no tenant"):
        await made(database_url, tenant)
    await migrate(database_url, tenant)
    try:
        await made(database_url, tenant)
        async with open_access(Settings(tenant=tenant), Servers(database_url, None, None)) as access:
            assert await is_refused(access.authenticator.caller(f"Bearer {key.text}"))
    finally:
        await drop_tenant(database_url, tenant)


async def test_of_a_secret_only_its_digest_is_in_the_database(database_url: str, tenant: str) -> None:
    key = await made(database_url, tenant)
    async with controlling(database_url) as connection:
        kept = await value(connection, "SELECT k::text FROM api_keys k WHERE id = %s", key.id)
    assert key.digest.hex() in str(kept)
    assert key.secret not in str(kept)


class controlling:
    """A connection that sees the control schema with a role's rights; without a role, with the login's."""

    def __init__(self, database_url: str, role: Role | None = None) -> None:
        self._url = database_url
        self._role = role

    async def __aenter__(self) -> Connection:
        self._connection = await connect(self._url, "dora-state tests")
        await assume(self._connection, CONTROL_SCHEMA, self._role or Role.MIGRATOR)
        if self._role is None:
            await self._connection.execute("RESET ROLE")
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


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
    async with controlling(database_url, role) as connection:
        for statement in FORBIDDEN[role]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement)


@pytest.mark.parametrize("role", [Role.MIGRATOR, None], ids=["owner", "login"])
@pytest.mark.parametrize("table", ["readings", "reading_ends"])
async def test_the_record_of_reading_is_never_changed_even_by_its_owner(
    database_url: str, role: Role | None, table: str
) -> None:
    await migrate_control(database_url)
    async with controlling(database_url, role) as connection:
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
    async with controlling(database_url) as connection:
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
    async with controlling(database_url) as connection:
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
