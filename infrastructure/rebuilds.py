"""Schemas in which a projection is built anew beside the one that runs, and the exchange of the two.

`next_NAME_TENANT` holds the one that is being built, `kept_NAME_TENANT` the one that ran before it. Both have a
checkpoint of their own, so that work on them can be broken off and gone on with.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg

from infrastructure import sql
from infrastructure.database import Connection, Role, assume, connect, refused, search_path, tenant_schema
from infrastructure.leading import find_checkpoint
from projections.errors import RebuildRefused
from projections.ports import Checkpoint
from projections.projection import PROJECTIONS, Projection

IN_THE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
READ_MODELS = "01"
"""The migrations that make read models begin so."""
PATIENCE, LONGER_PATIENCE = "500ms", "1500ms"
"""How long the exchange waits for others, who wait behind it meanwhile: the longer one, in which PostgreSQL has an
automatic vacuum give way (after its deadlock_timeout of a second), now and then."""
STAY_SECONDS = 0.5


def next_schema(projection: Projection, tenant: str) -> str:
    return f"next_{projection.name}_{tenant}"


def kept_schema(projection: Projection, tenant: str) -> str:
    return f"kept_{projection.name}_{tenant}"


def schemas_beside(tenant: str) -> list[str]:
    """All that may be there of a tenant."""
    return [name(projection, tenant) for projection in PROJECTIONS.values() for name in (next_schema, kept_schema)]


class Rebuild:
    """The one rebuild of a projection of a tenant, on a connection that may make and exchange tables."""

    def __init__(self, connection: Connection, tenant: str, projection: Projection) -> None:
        self._connection = connection
        self._projection = projection
        self._tenant = tenant_schema(tenant)
        self.next = next_schema(projection, tenant)
        self.kept = kept_schema(projection, tenant)
        self._between = f"swap_{projection.name}_{tenant}"

    async def running(self) -> Checkpoint:
        """Where those that run are."""
        await _look(self._connection, self._tenant)
        return await find_checkpoint(self._connection, self._projection)

    async def require_alone(self) -> None:
        """Raises RebuildRefused where views of others read the tables: they would go with them."""
        await _look(self._connection, self._tenant)
        facts = {"tables": list(self._projection.tables)}
        views = await (await self._connection.execute(sql.load("rebuilds/dependents"), facts)).fetchall()
        if views:
            names = ", ".join(str(name) for (name,) in views)
            raise RebuildRefused(
                f"Other views read the tables of the projection {self._projection.name}, which are to be replaced"
                f" ({names}): drop them first, and make them anew afterwards.",
                views=[str(name) for (name,) in views],
            )

    async def find(self, schema: str) -> Checkpoint | None:
        """Where the tables of a schema are; None if it does not exist. Raises RebuildRefused if it is not ours."""
        ours = await self._value("is_ours", schema=schema)
        if ours is None:
            return None
        if not ours:
            raise RebuildRefused(f"There is a schema {schema} that no rebuild made: rename it, and try again.")
        await _look(self._connection, schema)
        return await find_checkpoint(self._connection, self._projection)

    async def make(self) -> None:
        """An empty set of tables to build into, in place of what may be there."""
        async with self._connection.transaction():
            await self._connection.execute(sql.named("setup/drop_schema", schema=self.next))
            await self._connection.execute(sql.named("replays/schema", schema=self.next))
            await self._connection.execute(sql.named("rebuilds/mark", schema=self.next))
            await _look(self._connection, self.next)
            for script in sql.scripts("migrations"):
                if script.name.startswith(READ_MODELS):
                    await self._connection.execute(script.text)

    async def analyze(self, schema: str) -> None:
        """So that what is switched to is asked well from the first question on; where others hold on to it, later."""
        await _look(self._connection, schema)
        with suppress(psycopg.errors.LockNotAvailable):
            async with self._connection.transaction():
                await self._connection.execute(sql.load("rebuilds/patience"), {"patience": PATIENCE})
                await self._connection.execute(sql.named("rebuilds/analyze", tables=", ".join(self._projection.tables)))

    @asynccontextmanager
    async def switching(self, *, longer: bool = False) -> AsyncIterator["Switch"]:
        """A transaction in which whoever runs the projection waits with its next write.

        Raises one of IN_THE_WAY where readers hold on to the tables for too long: try again a little later.
        """
        await _look(self._connection, self._tenant)
        async with self._connection.transaction(), _staying(self._connection):
            await self._connection.execute(
                sql.load("rebuilds/patience"), {"patience": LONGER_PATIENCE if longer else PATIENCE}
            )
            running = await find_checkpoint(self._connection, self._projection, "lock")
            yield Switch(self._connection, self._projection, self._tenant, self._between, running)

    async def _value(self, query: str, **facts: Any) -> Any:
        row = await (await self._connection.execute(sql.load(f"rebuilds/{query}"), facts)).fetchone()
        return None if row is None else row[0]


class Switch:
    """The moment of the exchange: `running` is where those that run stay until it is over."""

    def __init__(
        self, connection: Connection, projection: Projection, tenant: str, between: str, running: Checkpoint
    ) -> None:
        self._connection = connection
        self._projection = projection
        self._tenant = tenant
        self._between = between
        self.running = running

    async def exchange(
        self, schema: str, *, keep_as: str | None, locked: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """The tables of a schema take the place of those that run, which stay as another schema or go for good.

        `locked` is called when nothing can be in the way any more.
        """
        connection = self._connection
        # Those that run come last, so that nobody waits for them while somebody holds on to others.
        replaced = [keep_as] if keep_as not in (None, schema) and await self._is_there(keep_as) else []
        for one in (schema, *replaced, self._tenant):
            await self._lock(one)
        if locked is not None:
            await locked()
        await _look(self._connection, schema)
        built = await find_checkpoint(connection, self._projection)
        between = self._between
        await connection.execute(sql.named("rebuilds/make_schema", schema=between))
        await self._move(self._tenant, between)
        await self._move(schema, self._tenant)
        await self._move(between, schema)
        await connection.execute(sql.named("setup/drop_schema", schema=between))
        await self._set("take_over", self._tenant, built)
        await self._set("give_way", schema, self.running)
        if keep_as is None:
            await connection.execute(sql.named("setup/drop_schema", schema=schema))
        elif keep_as != schema:
            await connection.execute(sql.named("setup/drop_schema", schema=keep_as))
            await connection.execute(sql.named("rebuilds/rename_schema", schema=schema, name=keep_as))
        await _look(self._connection, self._tenant)

    async def _is_there(self, schema: str) -> bool:
        return (
            await (await self._connection.execute(sql.load("rebuilds/is_ours"), {"schema": schema})).fetchone()
            is not None
        )

    async def _lock(self, schema: str) -> None:
        await _look(self._connection, schema)
        await self._connection.execute(sql.named("rebuilds/lock_tables", tables=", ".join(self._projection.tables)))

    async def _move(self, source: str, target: str) -> None:
        await _look(self._connection, source)
        for table in self._projection.tables:
            await self._connection.execute(sql.named("rebuilds/move_table", table=table, schema=target))

    async def _set(self, query: str, schema: str, checkpoint: Checkpoint) -> None:
        await _look(self._connection, schema)
        about = {
            "name": self._projection.name,
            "position": checkpoint.position,
            "recorded_at": checkpoint.recorded_at,
            "version": checkpoint.version,
            "generation": checkpoint.generation,
        }
        await self._connection.execute(sql.load(f"rebuilds/{query}"), about)


@asynccontextmanager
async def _staying(connection: Connection) -> AsyncIterator[None]:
    """The server does not take us for stopped while something is done elsewhere."""
    done = asyncio.Event()
    staying = asyncio.create_task(_stay(connection, done))
    try:
        yield
    finally:
        done.set()  # a query that is cancelled would take the transaction with it
        await asyncio.gather(staying, return_exceptions=True)


async def _stay(connection: Connection, done: asyncio.Event) -> None:
    while not done.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(STAY_SECONDS):
                await done.wait()
                return
        await connection.execute(sql.load("rebuilds/still_here"))


async def _look(connection: Connection, schema: str) -> None:
    """What is asked for from here on is that of a schema."""
    await connection.execute(sql.load("rebuilds/look"), {"path": search_path(schema)})


@asynccontextmanager
async def rebuilding(database_url: str, tenant: str, projection: Projection) -> AsyncIterator[Rebuild]:
    """Be the one who rebuilds a projection. Raises RebuildRefused where another does; LogUnavailable and LogError."""
    async with await connect(database_url, f"dora-state rebuild {tenant}") as connection:
        try:
            await assume(connection, tenant_schema(tenant), Role.MIGRATOR)
            about = {"name": projection.name, "tenant": tenant}
            row = await (await connection.execute(sql.load("rebuilds/try_rebuild"), about)).fetchone()
            if not row or not row[0]:
                raise RebuildRefused(
                    f"Another process is rebuilding the projection {projection.name}: wait for it, or end it.",
                    projection=projection.name,
                )
            yield Rebuild(connection, tenant, projection)
        except psycopg.Error as error:
            raise refused(database_url, error) from None
