"""The runner of migrations: makes roles, schemas, tables and months, and brings them up to this release.

Where nothing is to be done, nothing is locked or written, so that a read-only server will do. Else many
processes may start at once: one migrates, the others wait and find nothing to do. Each script runs in a
transaction of its own and is recorded with its checksum.

A later release may have been here: where all that it ran says that this one can work with it, nothing is run.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import NamedTuple

import psycopg

from domain.errors import LogError, LogUnavailable, NotFound
from infrastructure import sql
from infrastructure.database import (
    CONTROL_SCHEMA,
    Connection,
    Role,
    assume,
    connect,
    refused,
    tenant_schema,
)
from infrastructure.rebuilds import schemas_beside

LOCK_SECONDS = 60
DROPS = 3
"""Tries more, where whoever drops a tenant and whoever works in it wait for each other."""
_FUNCTIONS = "functions"
_CONTROL: tuple[str, tuple[str, ...]] = ("control", ())
_TENANT: tuple[str, tuple[str, ...]] = ("migrations", ("functions", "views"))


class _Run(NamedTuple):
    """Scripts that are run in one transaction and recorded under one name."""

    name: str
    checksum: str
    scripts: tuple[sql.Script, ...]


class SchemaMismatch(LogError):
    """The database's schema and this release of dora-state do not fit together."""

    code = "schema_mismatch"


async def migrate(database_url: str, tenant: str) -> list[str]:
    """Bring the control schema and a tenant's up to this release; returns what was run, in order.

    Raises SchemaMismatch when the schema is newer than this release or was changed by hand, LogUnavailable
    when the server can't be reached, is read-only or locked, or the login or the database won't do, and
    LogError when the server refuses for another reason.
    """
    schema = tenant_schema(tenant)
    async with await connect(database_url, f"dora-state migrate {tenant}") as connection:
        with _no_driver_errors(database_url):
            _refuse_encoding(connection)
            await connection.execute(sql.load("setup/lock_timeout"), (f"{LOCK_SECONDS}s",))
            done = []
            roles_exist = await _value(connection, "setup/roles_exist")
            if not roles_exist or not await _is_current(connection, tenant, schema):
                await _lock(connection)
                if not roles_exist:
                    await connection.execute(sql.load("setup/roles"))
                done += await _bring_up(connection, CONTROL_SCHEMA, *_CONTROL)
                await connection.execute(sql.load("setup/record_tenant"), (tenant, schema))
                done += await _bring_up(connection, schema, *_TENANT)
            await connection.execute(sql.load("months_ahead"))  # writes only where one is missing
    return done


async def migrate_control(database_url: str) -> None:
    """Bring the control schema alone up to this release, for what concerns no tenant. Raises as `migrate` does."""
    async with await connect(database_url, "dora-state migrate control") as connection:
        with _no_driver_errors(database_url):
            _refuse_encoding(connection)
            await connection.execute(sql.load("setup/lock_timeout"), (f"{LOCK_SECONDS}s",))
            roles_exist = await _value(connection, "setup/roles_exist")
            if not roles_exist or not await _has_all(connection, CONTROL_SCHEMA, *_CONTROL):
                await _lock(connection)
                if not roles_exist:
                    await connection.execute(sql.load("setup/roles"))
                await _bring_up(connection, CONTROL_SCHEMA, *_CONTROL)


async def require_tenant(database_url: str, tenant: str) -> None:
    """Raises NotFound where nothing was ever set up for a tenant, LogUnavailable or LogError."""
    schema = tenant_schema(tenant)
    async with await connect(database_url, f"dora-state look {tenant}") as connection:
        with _no_driver_errors(database_url):
            exists = await _value(connection, "setup/tenant_exists", schema)
    if not exists:
        raise NotFound(
            f"There is no tenant {tenant}; check the name, make it with `dora-state --tenant {tenant} init`, "
            "or submit something to it.",
            tenant=tenant,
        )


async def drop_tenant(database_url: str, tenant: str) -> None:
    """Drop a tenant's schemas with everything in them, for good. Raises LogUnavailable or LogError."""
    schema = tenant_schema(tenant)
    async with await connect(database_url, f"dora-state drop {tenant}") as connection:
        with _no_driver_errors(database_url):
            await connection.execute(sql.load("setup/lock_timeout"), (f"{LOCK_SECONDS}s",))
            await _lock(connection)
            await assume(connection, CONTROL_SCHEMA, Role.MIGRATOR)
            for name in (schema, *schemas_beside(tenant)):
                await _drop(connection, name)
            await connection.execute(sql.load("setup/forget_tenant"), (tenant,))


async def _drop(connection: Connection, schema: str) -> None:
    """Whoever still reads and writes there may have locked tables in another order: then once more, some times."""
    for _ in range(DROPS):
        with suppress(psycopg.errors.DeadlockDetected):
            await connection.execute(sql.named("setup/drop_schema", schema=schema))
            return
    await connection.execute(sql.named("setup/drop_schema", schema=schema))


@contextmanager
def _no_driver_errors(database_url: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise LogUnavailable(
            f"The login may not set up the database ({str(error).splitlines()[0]}): let an administrator create"
            f" the roles {', '.join(Role)}, grant them to the login, and grant CREATE on the database to"
            f" {Role.MIGRATOR}.",
        ) from None
    except psycopg.Error as error:
        raise refused(database_url, error) from None


def _refuse_encoding(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LogUnavailable(
            f"The database {connection.info.dbname} is encoded in {encoding}, not in UTF8: create another with"
            " TEMPLATE template0 ENCODING 'UTF8', and name it in DORA_STATE_DATABASE_URL.",
            database=connection.info.dbname,
            encoding=encoding,
        )


async def _lock(connection: Connection) -> None:
    """Until the connection closes; raises LogUnavailable when another has it for too long."""
    try:
        await connection.execute(sql.load("setup/lock"))
    except psycopg.errors.LockNotAvailable:
        holder = await _value(connection, "setup/lock_holder") or "gone by now"
        raise LogUnavailable(
            f"Another process has been setting up this database for more than {LOCK_SECONDS} s ({holder}): wait for"
            " it or end it, and try again.",
            holder=holder,
        ) from None


async def _is_current(connection: Connection, tenant: str, schema: str) -> bool:
    """Whether there is nothing to run or record; looks without a lock and leaves the tenant's schema in sight."""
    for name, directories in ((CONTROL_SCHEMA, _CONTROL), (schema, _TENANT)):
        if not await _has_all(connection, name, *directories):
            return False
        if name == CONTROL_SCHEMA and not await _value(connection, "setup/tenant_recorded", tenant):
            return False
    return True


async def _has_all(connection: Connection, schema: str, numbered: str, repeatable: tuple[str, ...]) -> bool:
    """Looks without a lock, and leaves the schema in sight."""
    await assume(connection, schema, Role.MIGRATOR)
    if not await _value(connection, "setup/schema_exists", f"{schema}.migrations"):
        return False
    return not await _pending(connection, schema, numbered, repeatable)


async def _value(connection: Connection, query: str, *arguments: object) -> object:
    cursor = await connection.execute(sql.load(query), arguments or None)
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _bring_up(connection: Connection, schema: str, numbered: str, repeatable: tuple[str, ...]) -> list[str]:
    await assume(connection, schema, Role.MIGRATOR)
    exists = await _value(connection, "setup/schema_exists", f"{schema}.migrations")
    if not exists or await _pending(connection, schema, numbered, repeatable):
        await connection.execute(sql.named("setup/schema", schema=schema))
    runs = await _pending(connection, schema, numbered, repeatable)
    for run in runs:
        await _run(connection, run, waits=run is runs[-1])
    return [run.name for run in runs]


async def _pending(connection: Connection, schema: str, numbered: str, repeatable: tuple[str, ...]) -> list[_Run]:
    """What a schema lacks, in order. Raises SchemaMismatch."""
    rows = await (await connection.execute(sql.load("setup/applied"))).fetchall()
    applied = {str(name): str(checksum) for name, checksum, _ in rows}
    _refuse_change(applied, numbered, schema)
    if _is_later({str(name): works_beside for name, _, works_beside in rows}, numbered, schema):
        return []
    runs = [
        _Run(script.name, script.checksum, (script,)) for script in sql.scripts(numbered) if script.name not in applied
    ]
    again = tuple(script for directory in repeatable for script in sql.scripts(directory))
    checksum = sha256("".join(script.checksum for script in again).encode()).hexdigest()
    if again and applied.get(_FUNCTIONS) != checksum:
        runs.append(_Run(_FUNCTIONS, checksum, again))
    return runs


def _is_later(applied: dict[str, object], numbered: str, schema: str) -> bool:
    """Whether a later release brought a schema up, with which this one can work. Raises SchemaMismatch if it can't."""
    known = [script.name for script in sql.scripts(numbered)]
    newer = sorted(applied.keys() - {*known, _FUNCTIONS})
    apart = [name for name in newer if not _goes_with(applied[name], known[-1])]
    if apart or (newer and applied.keys() - {*newer, _FUNCTIONS} != set(known)):
        raise SchemaMismatch(
            f"The schema {schema} is newer than this release of dora-state can work with (it has"
            f" {', '.join(apart or newer)}): install the release that made it, or a later one.",
            schema=schema,
            unknown=newer,
        )
    return bool(newer)


def _goes_with(works_beside: object, last: str) -> bool:
    return isinstance(works_beside, str) and works_beside <= last


def _refuse_change(applied: dict[str, str], numbered: str, schema: str) -> None:
    known = {script.name: script.checksum for script in sql.scripts(numbered)}
    changed = sorted(name for name, checksum in known.items() if applied.get(name, checksum) != checksum)
    if changed:
        raise SchemaMismatch(
            f"The schema {schema} was made by another text of {', '.join(changed)} than this release has (a migration"
            " never changes once released): use it with what made it, or name another tenant or home.",
            schema=schema,
            changed=changed,
        )


async def _run(connection: Connection, run: _Run, *, waits: bool) -> None:
    """Only the last one need wait for the disk: with its commit all that were before it are there."""
    async with connection.transaction():
        if not waits:
            await connection.execute(sql.load("setup/does_not_wait"))
        await connection.execute(sql.load("setup/any_order"))
        for script in run.scripts:
            await connection.execute(script.text)
        await connection.execute(sql.load("setup/record"), (run.name, run.checksum, run.scripts[-1].works_beside))
