"""Keys on a real database: who gets in, and who does not."""

import time
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import InvalidInput, NotFound
from dora_state.access.api_key import ApiKey, new_key
from dora_state.access.caller import Caller, CallerRole, Unauthenticated
from dora_state.access.key_ring import GOOD_SECONDS, KeyRing
from dora_state.access.opening import open_access
from dora_state.servers import Servers
from dora_state.settings import Settings
from infrastructure import access_keys
from infrastructure.access_keys import GoodKey, PostgresKeys, create_key, list_keys, revoke_key, revoke_keys
from infrastructure.control import open_control_pool
from infrastructure.migrations import drop_tenant, migrate
from tests.support.postgres import controlled, value
from tests.support.tenants import lent, new_name


async def made(database_url: str, tenant: str, role: str = "reader", life: timedelta = timedelta(days=1)) -> ApiKey:
    key = new_key()
    await create_key(database_url, tenant, GoodKey(key.id, key.digest, "ann", role, datetime.now(UTC) + life), "root")
    return key


@pytest.fixture
async def other_tenant(database_url: str) -> AsyncIterator[str]:
    async with lent(database_url) as name:
        yield name


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


async def test_a_revoked_key_is_refused_within_five_seconds(database_url: str, tenant: str) -> None:
    key, later = await made(database_url, tenant), 0.0
    async with await open_control_pool(database_url) as pool:
        ring = KeyRing(PostgresKeys(pool, tenant), tenant, lambda: time.monotonic() + later)
        assert await ring.find(key.id) is not None
        first = await revoke_key(database_url, tenant, key.id, "root")
        assert await revoke_key(database_url, tenant, key.id, "eve") == first
        later = GOOD_SECONDS
        assert await ring.find(key.id) is None
        await ring.close()
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
    tenant = new_name()
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
    async with controlled(database_url) as connection:
        kept = await value(connection, "SELECT k::text FROM api_keys k WHERE id = %s", key.id)
    assert key.digest.hex() in str(kept)
    assert key.secret not in str(kept)
