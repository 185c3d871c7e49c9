"""The runner of migrations: makes roles, schemas, tables and months, and brings them up to this release.

Many processes may start at once: one migrates, the others wait and find nothing to do. Each script runs in
a transaction of its own and is recorded with its checksum.
"""

from hashlib import sha256

import psycopg

from domain.errors import LogError, LogUnavailable
from infrastructure import sql
from infrastructure.database import (
    CONTROL_SCHEMA,
    Connection,
    Role,
    assume,
    connect,
    tenant_schema,
    unreachable,
)

_FUNCTIONS = "functions"


class SchemaMismatch(LogError):
    """The database's schema and this release of dora-state do not fit together."""

    code = "schema_mismatch"


async def migrate(database_url: str, tenant: str) -> list[str]:
    """Bring the control schema and a tenant's up to this release; returns what was run, in order.

    Raises SchemaMismatch when the schema is newer than this release or was changed by hand, LogUnavailable
    when the server can't be reached or the login may not do it.
    """
    schema = tenant_schema(tenant)
    async with await connect(database_url, f"dora-state migrate {tenant}") as connection:
        try:
            await connection.execute(sql.load("setup/lock"))  # until the connection closes
            await _make_roles(connection)
            done = await _bring_up(connection, CONTROL_SCHEMA, "control", ())
            await connection.execute(sql.load("setup/record_tenant"), (tenant, schema))
            done += await _bring_up(connection, schema, "migrations", ("functions", "views"))
            await connection.execute(sql.load("months_ahead"))
        except psycopg.errors.InsufficientPrivilege as error:
            raise LogUnavailable(
                f"The login may not set up the database ({str(error).splitlines()[0]}): let an administrator create"
                f" the roles {', '.join(Role)}, grant them to the login, and grant CREATE on the database to"
                f" {Role.MIGRATOR}.",
            ) from None
        except psycopg.OperationalError as error:
            raise unreachable(database_url, error) from None
    return done


async def drop_tenant(database_url: str, tenant: str) -> None:
    """Drop a tenant's schema with everything in it, for good."""
    schema = tenant_schema(tenant)
    async with await connect(database_url, f"dora-state drop {tenant}") as connection:
        await connection.execute(sql.load("setup/lock"))
        await assume(connection, CONTROL_SCHEMA, Role.MIGRATOR)
        await connection.execute(_for_schema("setup/drop_schema", schema))
        await connection.execute(sql.load("setup/forget_tenant"), (tenant,))


def _for_schema(query: str, schema: str) -> bytes:
    """A statement that must name its schema, which is a checked name."""
    return sql.load(query).replace(b"{schema}", schema.encode())


async def _value(connection: Connection, query: str, *arguments: object) -> object:
    cursor = await connection.execute(sql.load(query), arguments or None)
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _make_roles(connection: Connection) -> None:
    if not await _value(connection, "setup/roles_exist"):
        await connection.execute(sql.load("setup/roles"))


async def _bring_up(connection: Connection, schema: str, numbered: str, repeatable: tuple[str, ...]) -> list[str]:
    await assume(connection, schema, Role.MIGRATOR)
    if not await _value(connection, "setup/schema_exists", f"{schema}.migrations"):
        await connection.execute(_for_schema("setup/schema", schema))
    rows = await (await connection.execute(sql.load("setup/applied"))).fetchall()
    applied = {str(name): str(checksum) for name, checksum in rows}
    _refuse_mismatch(applied, numbered, schema)
    done = []
    for script in sql.scripts(numbered):
        if script.name not in applied:
            await _run(connection, script.name, script.checksum, (script,))
            done.append(script.name)
    again = tuple(script for directory in repeatable for script in sql.scripts(directory))
    checksum = sha256("".join(script.checksum for script in again).encode()).hexdigest()
    if again and applied.get(_FUNCTIONS) != checksum:
        await _run(connection, _FUNCTIONS, checksum, again)
        done.append(_FUNCTIONS)
    return done


def _refuse_mismatch(applied: dict[str, str], numbered: str, schema: str) -> None:
    known = {script.name: script.checksum for script in sql.scripts(numbered)}
    newer = sorted(applied.keys() - known.keys() - {_FUNCTIONS})
    if newer:
        raise SchemaMismatch(
            f"The schema {schema} is newer than this release of dora-state (it has {', '.join(newer)}):"
            " install the release that made it, or a later one.",
            schema=schema,
            unknown=newer,
        )
    changed = sorted(name for name, checksum in known.items() if applied.get(name, checksum) != checksum)
    if changed:
        raise SchemaMismatch(
            f"The schema {schema} was made by another text of {', '.join(changed)}: a migration never changes"
            " after it has run; add a new one.",
            schema=schema,
            changed=changed,
        )


async def _run(connection: Connection, name: str, checksum: str, scripts: tuple[sql.Script, ...]) -> None:
    async with connection.transaction():
        await connection.execute(sql.load("setup/any_order"))
        for script in scripts:
            await connection.execute(script.text)
        await connection.execute(sql.load("setup/record"), (name, checksum))
