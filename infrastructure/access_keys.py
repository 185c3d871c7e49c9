"""API keys in PostgreSQL. The digest of a secret goes in and comes out; the secret itself never comes here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import InvalidInput, NotFound
from infrastructure import sql
from infrastructure.control import administering, or_unavailable
from infrastructure.pools import Pool

MOST_KEYS = 1000
"""Good keys of one tenant: whoever serves knows them all."""
PATIENCE = 3.0
"""Seconds that a free connection is waited for."""


@dataclass(frozen=True, slots=True)
class GoodKey:
    """A key that is good until `expires_at`, if nobody revokes it before."""

    id: str
    secret_sha256: bytes
    name: str
    role: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is known of a key, good or not: `state` is good, revoked or expired."""

    id: str
    name: str
    role: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None
    state: str


class PostgresKeys:
    """The good keys of one tenant, for those who serve it. Every method raises LogUnavailable."""

    def __init__(self, pool: Pool, tenant: str) -> None:
        self._pool = pool
        self._tenant = tenant

    async def good(self) -> list[GoodKey]:
        with or_unavailable("The keys can't be looked up"):
            async with self._pool.connection(timeout=PATIENCE) as connection:
                cursor = await connection.execute(sql.load("access/good_keys"), {"tenant": self._tenant})
                rows: list[Any] = await cursor.fetchall()
        return [GoodKey(*row) for row in rows]

    async def note_use(self, ids: Sequence[str]) -> None:
        with or_unavailable("The use of keys can't be noted"):
            async with self._pool.connection(timeout=PATIENCE) as connection:
                await connection.execute(sql.load("access/note_use"), {"ids": list(ids)})


async def create_key(database_url: str, tenant: str, key: GoodKey, by: str) -> None:
    """Raises NotFound where there is no such tenant, InvalidInput where it has all the keys that it may have."""
    about = {
        "id": key.id,
        "secret_sha256": key.secret_sha256,
        "tenant": tenant,
        "name": key.name,
        "role": key.role,
        "expires_at": key.expires_at,
        "by": by,
        "most": MOST_KEYS,
    }
    async with administering(database_url) as connection:
        made = await (await connection.execute(sql.load("access/create_key"), about)).fetchone()
        exists = await (await connection.execute(sql.load("setup/tenant_recorded"), (tenant,))).fetchone()
    if made is None and exists == (True,):
        raise InvalidInput(
            f"Tenant {tenant} has {MOST_KEYS} good keys, and may have no more: revoke some that nobody uses"
            " (`dora-state keys list` tells).",
            tenant=tenant,
        )
    if made is None:
        raise NotFound(f"There is no tenant {tenant}; make it with `dora-state tenants create`.", tenant=tenant)


async def list_keys(database_url: str, tenant: str) -> list[KnownKey]:
    async with administering(database_url) as connection:
        cursor = await connection.execute(sql.load("access/keys"), {"tenant": tenant})
        rows: list[Any] = await cursor.fetchall()
    return [KnownKey(*row) for row in rows]


async def revoke_key(database_url: str, tenant: str, key_id: str, by: str) -> datetime:
    """When it was revoked: now, or before. Raises NotFound."""
    about = {"tenant": tenant, "id": key_id, "by": by}
    async with administering(database_url) as connection:
        row: Any = await (await connection.execute(sql.load("access/revoke_key"), about)).fetchone()
    if row is None:
        raise NotFound(
            f"Tenant {tenant} has no key {key_id}; `dora-state keys list` names those that it has.", id=key_id
        )
    moment: datetime = row[0]
    return moment


async def revoke_keys(database_url: str, tenant: str, by: str) -> None:
    """All of a tenant, which may be gone."""
    async with administering(database_url) as connection:
        await connection.execute(sql.load("access/revoke_keys"), {"tenant": tenant, "by": by})


@dataclass(frozen=True, slots=True)
class KnownTenant:
    """`keys`: how many of it are good."""

    name: str
    created_at: datetime
    keys: int


async def list_tenants(database_url: str) -> list[KnownTenant]:
    async with administering(database_url) as connection:
        rows: list[Any] = await (await connection.execute(sql.load("access/tenants"))).fetchall()
    return [KnownTenant(*row) for row in rows]
