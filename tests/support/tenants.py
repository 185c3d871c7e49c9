"""Tenants for tests, as they are right after they were made: making and dropping one for each test would take longer
than most tests.

A tenant that is given back is emptied and goes under another name to the next test, if nothing but its rows is other
than when it was made; else it is dropped. So no test meets what another one left: not by the name (the schema, Redis,
caches and processes that outlive their test know the old one), and not in the schema, which is compared as a whole.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import psycopg.sql

from infrastructure import sql
from infrastructure.database import CONTROL_SCHEMA, Role, parameters, search_path, tenant_schema
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.rebuilds import schemas_beside

_TABLES = """
    SELECT quote_ident(relname) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname
"""
# What guards the log is always on, also for a superuser who lets no trigger work.
_EMPTY = """
DO $$
DECLARE
    ours regclass;
    guards text[];
    guard text;
BEGIN
    FOR ours IN SELECT oid FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname
    LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', ours);  -- nobody is still at work
        IF pg_relation_size(ours) > 0 THEN
            guards := ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = ours AND tgenabled = 'A');
            FOREACH guard IN ARRAY guards LOOP
                EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', ours, guard);
            END LOOP;
            EXECUTE format('DELETE FROM %s', ours);
            FOREACH guard IN ARRAY guards LOOP
                EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', ours, guard);
            END LOOP;
        END IF;
    END LOOP;
    PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence
    WHERE seqrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace);
END
$$
"""

_CLOCK = "SELECT replace(pg_get_functiondef('log_clock'::regproc), current_schema() || '.', '')"

# Functions that run with their owner's rights name the schema.
_SEE_OWN = """
DO $$
DECLARE
    ours regprocedure;
BEGIN
    FOR ours IN SELECT oid FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proconfig::text LIKE '%search_path=%'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', ours, current_schema());
    END LOOP;
END
$$
"""

# Whatever may be made, altered or granted within a schema, without what names it by number; also tables of more than
# a megabyte and statistics, which are left by tests that wrote so much that a tenant is made anew as soon as emptied.
_LOOK = """
WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = current_schema()::regnamespace),
said (line) AS (
    SELECT concat_ws('|', relname, relkind, relpersistence, relreplident, relowner::regrole, relacl, reloptions,
        reltuples > 0, pg_relation_size(oid) > 1048576, pg_get_expr(relpartbound, oid),
        CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
    FROM ours
    UNION ALL
    SELECT concat_ws('|', relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attacl,
        attstattarget, attoptions, pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN ours ON ours.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0
    UNION ALL
    SELECT concat_ws('|', relname, indisvalid, indisunique, pg_get_indexdef(indexrelid))
    FROM pg_index JOIN ours ON ours.oid = indexrelid
    UNION ALL
    SELECT concat_ws('|', relname, conname, convalidated, pg_get_constraintdef(pg_constraint.oid))
    FROM pg_constraint JOIN ours ON ours.oid = conrelid
    UNION ALL
    SELECT concat_ws('|', relname, tgname, tgenabled, pg_get_triggerdef(pg_trigger.oid))
    FROM pg_trigger JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL
    SELECT concat_ws('|', proname, proowner::regrole, proacl, proconfig, pg_get_functiondef(oid))
    FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prokind IN ('f', 'p')
    UNION ALL
    SELECT concat_ws('|', typname, typtype, typacl) FROM pg_type WHERE typnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT concat_ws('|', nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname = current_schema()
)
SELECT md5(string_agg(line, E'\\n' ORDER BY line COLLATE "C"))
FROM (SELECT replace(line, current_schema(), 'HERE') FROM said) AS anywhere (line)
"""


@dataclass(frozen=True, slots=True)
class _Made:
    """What a tenant is to be again: how its schema looked, how its clock is defined, which many tests change, and the
    rows that its migrations left, by table, as JSON.
    """

    look: str
    clock: str
    rows: dict[str, str]


_made: dict[str, _Made] = {}
_idle: defaultdict[str, list[str]] = defaultdict(list)
"""By the server, the tenants that wait for the next test of this process."""


async def lend(database_url: str) -> str:
    """A tenant that is as if it had just been made."""
    name = new_name()
    if idle := _idle[database_url]:
        before = idle.pop()
        await asyncio.to_thread(_rename, database_url, before, name)
        _made[name] = _made.pop(before)
    else:
        await migrate(database_url, name)
        _made[name] = await asyncio.to_thread(_look, database_url, name)
    return name


async def give_back(database_url: str, tenant: str) -> None:
    try:
        if await asyncio.to_thread(_emptied, database_url, tenant, _made[tenant]):
            _idle[database_url].append(tenant)
            return
    except psycopg.Error:
        pass  # somebody holds it, or the login may not: then it is dropped
    del _made[tenant]
    await drop_tenant(database_url, tenant)


@asynccontextmanager
async def lent(database_url: str) -> AsyncIterator[str]:
    tenant = await lend(database_url)
    try:
        yield tenant
    finally:
        await give_back(database_url, tenant)


def new_name() -> str:
    return f"test_{uuid4().hex[:16]}"


def drop_idle() -> None:
    """At the end of this process's tests; in a thread, as a loop may be running."""

    async def drop() -> None:
        for database_url, names in _idle.items():
            for name in names:
                await drop_tenant(database_url, name)

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, drop()).result()
    _idle.clear()
    for connection in _kept.values():
        connection.close()
    _kept.clear()


_kept: dict[str, psycopg.Connection] = {}
"""By the server. It knows the catalogues of tenants by heart, which a new one would have to read for each test."""
_turn = threading.Lock()


@contextmanager
def _owned(database_url: str, tenant: str) -> Iterator[psycopg.Connection]:
    """A transaction with the login's rights, of which triggers take no notice."""
    with _turn:
        kept = _kept.get(database_url)
        if kept is None or kept.broken or kept.closed:
            kept = psycopg.connect(database_url, **parameters(database_url, "dora-state tests"))
            _kept[database_url] = kept
        with kept.transaction():
            kept.execute("SET LOCAL session_replication_role = replica")
            kept.execute("SET LOCAL lock_timeout = '1s'")
            kept.execute("SET LOCAL jit = off")
            _see(kept, tenant_schema(tenant))
            yield kept


def _see(connection: psycopg.Connection, schema: str) -> None:
    connection.execute("SELECT set_config('search_path', %s, true)", (search_path(schema),))


@contextmanager
def _as_migrator(connection: psycopg.Connection) -> Iterator[None]:
    """What is made or altered there is the migrator's."""
    connection.execute(f"SET LOCAL ROLE {Role.MIGRATOR}")
    yield
    connection.execute("RESET ROLE")


def _look(database_url: str, tenant: str) -> _Made:
    with _owned(database_url, tenant) as connection:
        return _seen(connection)


def _seen(connection: psycopg.Connection) -> _Made:
    ((look,),) = connection.execute(_LOOK).fetchall()
    ((clock,),) = connection.execute(_CLOCK).fetchall()
    tables = [str(name) for (name,) in connection.execute(_TABLES).fetchall()]
    asked = " UNION ALL ".join(f"SELECT '{name}', json_agg(t)::text FROM {name} AS t" for name in tables)
    found = connection.execute(asked).fetchall()
    return _Made(str(look), str(clock), {str(name): str(kept) for name, kept in found if kept is not None})


def _emptied(database_url: str, tenant: str, made: _Made) -> bool:
    """Whether a tenant is now as it was made; its name is free then."""
    with _owned(database_url, tenant) as connection:
        connection.execute(_EMPTY)
        for name, kept in made.rows.items():
            connection.execute(f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, %s)", (kept,))
        with _as_migrator(connection):
            connection.execute(made.clock)
            connection.execute("SELECT point_to_open_month()")
        if _seen(connection) != made:
            return False
        for beside in schemas_beside(tenant):
            connection.execute(sql.named("setup/drop_schema", schema=beside))
        _see(connection, CONTROL_SCHEMA)
        connection.execute(sql.load("setup/forget_tenant"), (tenant,))
    return True


def _rename(database_url: str, before: str, now: str) -> None:
    schema = tenant_schema(now)
    with _owned(database_url, before) as connection, _as_migrator(connection):
        connection.execute(
            psycopg.sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                *map(psycopg.sql.Identifier, (tenant_schema(before), schema))
            )
        )
        _see(connection, CONTROL_SCHEMA)
        connection.execute(sql.load("setup/record_tenant"), (now, schema))
        _see(connection, schema)
        connection.execute(_SEE_OWN)
