"""Schemas that replays make: read models as of a moment of a tenant's log, for SQL, beside all that runs."""

import re
from dataclasses import dataclass
from datetime import datetime

import psycopg

from domain.errors import InvalidInput, LogUnavailable
from infrastructure import sql
from infrastructure.database import CONTROL_SCHEMA, Connection, Role, assume, connect, refused
from infrastructure.pools import Pool
from infrastructure.rebuilds import READ_MODELS

_NAME = re.compile("[a-z][a-z0-9_]{0,49}")
_OURS = ("tenant_", "next_", "kept_", "pg_")
_TAKEN = (CONTROL_SCHEMA, "public", "information_schema")


@dataclass(frozen=True, slots=True)
class Replay:
    """What a schema holds, or is to hold: a tenant's read models as of a position, which was at a moment."""

    tenant: str
    until_position: int
    until_at: datetime
    finished_at: datetime | None = None


def check_schema(name: str) -> str:
    """Raises InvalidInput for a name that no replay may use."""
    if not _NAME.fullmatch(name) or name.startswith(_OURS) or name in _TAKEN:
        raise InvalidInput(
            f"{name!r} is no name for a replay's schema: use a lower-case letter, then up to 49 letters, digits and _;"
            " not public, and nothing that begins with tenant_, next_, kept_ or pg_.",
            schema=name,
        )
    return name


async def prepare(database_url: str, schema: str, wanted: Replay, *, anew: bool = False, go_on: bool = False) -> Replay:
    """Make the schema of a replay, or find the one that was begun; gives what it is to hold.

    `anew`: drop what an earlier replay left. `go_on`: with the tenant's that is not finished, as of whichever position.
    Raises InvalidInput for a schema that no replay made, or that one made as of elsewhere; LogUnavailable and LogError.
    """
    async with await connect(database_url, f"dora-state replay {schema}") as connection:
        try:
            await assume(connection, check_schema(schema), Role.MIGRATOR)
            found = await _find(connection, schema)
            if found is not None and anew:
                await connection.execute(sql.named("setup/drop_schema", schema=schema))
                found = None
            if found is None:
                await _make(connection, schema, wanted)
                return wanted
        except psycopg.errors.DuplicateSchema:
            raise LogUnavailable(f"Another process is just making the schema {schema}: try again.") from None
        except psycopg.Error as error:
            raise refused(database_url, error) from None
    begun = go_on and found.finished_at is None
    if found.tenant != wanted.tenant or not (begun or found.until_position == wanted.until_position):
        raise InvalidInput(
            f"The schema {schema} is for tenant {found.tenant} as of position {found.until_position}, not for"
            f" {wanted.tenant} as of {wanted.until_position}: name another schema, or have it made again with --anew.",
            schema=schema,
            tenant=found.tenant,
            until_position=found.until_position,
        )
    return found


async def _find(connection: Connection, schema: str) -> Replay | None:
    if await _value(connection, "replays/is_replay", schema):
        row = await (await connection.execute(sql.load("replays/find"))).fetchone()
        if row is not None:
            return Replay(*row)  # type: ignore[arg-type]  # rows are of any type
    if await _value(connection, "replays/schema_exists", schema):
        raise InvalidInput(
            f"The schema {schema} exists, and no replay made it: name one that does not exist.", schema=schema
        )
    return None


async def _make(connection: Connection, schema: str, wanted: Replay) -> None:
    async with connection.transaction():
        await connection.execute(sql.named("replays/schema", schema=schema))
        for script in sql.scripts("migrations"):
            if script.name.startswith(READ_MODELS):
                await connection.execute(script.text)
        await connection.execute(sql.load("replays/table"))
        about = {"tenant": wanted.tenant, "until_position": wanted.until_position, "until_at": wanted.until_at}
        await connection.execute(sql.load("replays/begin"), about)


async def finish(pool: Pool) -> None:
    """The read models are complete."""
    async with pool.connection() as connection:
        await connection.execute(sql.load("replays/finish"))


async def _value(connection: Connection, query: str, *arguments: object) -> object:
    row = await (await connection.execute(sql.load(query), arguments)).fetchone()
    return None if row is None else row[0]
