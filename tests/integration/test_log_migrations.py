"""The runner of migrations, the roles, and what people see when there is no server or no tenant."""

import asyncio
import json
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from domain.errors import DoraStateError, InvalidInput, LogUnavailable
from infrastructure import sql
from infrastructure.database import Role, tenant_schema
from infrastructure.event_store import PostgresEventLog
from infrastructure.migrations import SchemaMismatch, drop_tenant, migrate
from infrastructure.pools import open_pool
from infrastructure.sql import Script
from tests.support.log import appended, command
from tests.support.postgres import connected, rows, value
from tests.support.tenants import new_name

MIGRATE = """
import asyncio, json, sys
from infrastructure.migrations import migrate
print(json.dumps(asyncio.run(migrate(*sys.argv[1:]))))
"""


async def test_migrating_again_runs_nothing(database_url: str, tenant: str) -> None:
    assert await migrate(database_url, tenant) == []
    async with connected(database_url, tenant, Role.WRITER) as connection:
        names = [str(name) for (name,) in await rows(connection, "SELECT name FROM migrations ORDER BY name")]
        assert names[0] == "0001_log"
        assert "functions" in names
        assert await rows(connection, "SELECT schema FROM dora_state_control.tenants WHERE name = %s", tenant) == [
            (f"tenant_{tenant}",)
        ]


async def test_sixteen_processes_migrate_a_new_tenant_at_once(database_url: str) -> None:
    tenant = new_name()
    root = Path(__file__).parents[2]
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, database_url, tenant,
            cwd=root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    tasks = [asyncio.create_task(migrate(database_url, tenant)) for _ in range(12)]
    said = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    done = [await task for task in tasks] + [json.loads(out) for out, _ in said]
    assert sum("0001_log" in run for run in done) == 1
    async with await open_pool(database_url, tenant, Role.WRITER) as pool:
        assert appended((await PostgresEventLog(pool).append([command({"task-1": 0})]))[0]).first_position == 1
    await drop_tenant(database_url, tenant)


NEXT = "9990_of_the_next_release"
PLACE = b"CREATE TABLE of_the_next (n int);"


def later_release(monkeypatch: pytest.MonkeyPatch, works_beside: str | None) -> None:
    """What runs from here on is a release with one more script, and another function."""
    scripts = sql.scripts

    def more(directory: str) -> tuple[Script, ...]:
        if directory == "migrations":
            said = f"-- Works beside releases from {works_beside} on.\n" if works_beside else ""
            return (*scripts(directory), Script(NEXT, said.encode() + PLACE))
        if directory == "views":
            return (*scripts(directory), Script("next", b"CREATE VIEW next AS SELECT n FROM of_the_next"))
        return scripts(directory)

    monkeypatch.setattr(sql, "scripts", more)


@pytest.mark.parametrize("works_beside", [None, NEXT])
async def test_a_later_release_that_leaves_nothing_for_this_one_is_refused_in_one_sentence(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch, works_beside: str | None
) -> None:
    with monkeypatch.context() as later:
        later_release(later, works_beside)
        assert await migrate(database_url, tenant) == [NEXT, "functions"]
    with pytest.raises(SchemaMismatch, match=rf"newer than this release.*\(it has {NEXT}\): install"):
        await migrate(database_url, tenant)
    async with connected(database_url, tenant) as connection:
        assert await value(connection, "SELECT count(*) FROM next") == 0  # nothing was run


async def test_this_release_works_with_what_a_later_one_left_and_leaves_it_alone(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = sql.scripts("migrations")[-1].name
    with monkeypatch.context() as later:
        later_release(later, last)
        assert await migrate(database_url, tenant) == [NEXT, "functions"]
    assert await migrate(database_url, tenant) == []
    async with await open_pool(database_url, tenant, Role.WRITER) as pool:
        assert appended((await PostgresEventLog(pool).append([command({"task-1": 0})]))[0]).first_position == 1
    with monkeypatch.context() as later:
        later_release(later, last)
        assert await migrate(database_url, tenant) == []


async def test_a_schema_of_another_line_of_releases_is_refused(database_url: str, tenant: str) -> None:
    last = sql.scripts("migrations")[-1].name
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("DELETE FROM migrations WHERE name = %s", (last,))
        await connection.execute("INSERT INTO migrations VALUES (%s, '', now(), %s)", (NEXT, last))
    with pytest.raises(SchemaMismatch, match=f"newer than this release.*{NEXT}"):
        await migrate(database_url, tenant)


async def test_a_schema_from_before_releases_said_what_they_work_beside_is_brought_up(
    database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("ALTER TABLE migrations DROP COLUMN works_beside")
    assert await migrate(database_url, tenant) == []
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("UPDATE migrations SET checksum = 'older' WHERE name = 'functions'")
    assert await migrate(database_url, tenant) == ["functions"]


@pytest.mark.parametrize(("directory", "first_release"), [("control", "0003"), ("migrations", "0270")])
def test_what_came_after_the_first_release_says_what_it_works_beside(directory: str, first_release: str) -> None:
    names = [script.name for script in sql.scripts(directory)]
    for script in sql.scripts(directory):
        if script.name[:4] > first_release:
            assert script.works_beside in names or b"-- Works beside no earlier release.\n" in script.text, script.name


async def test_a_migration_that_was_changed_after_it_ran_is_refused(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("UPDATE migrations SET checksum = 'other' WHERE name = '0001_log'")
    with pytest.raises(SchemaMismatch, match="another text of 0001_log"):
        await migrate(database_url, tenant)


async def test_functions_that_changed_are_run_again(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await connection.execute("UPDATE migrations SET checksum = 'older' WHERE name = 'functions'")
    assert await migrate(database_url, tenant) == ["functions"]


@pytest.mark.parametrize("name", ["", "Bank", "1bank", "bank-one", "bank;drop", "b" * 51, "bänk"])
async def test_a_name_that_is_none_for_a_tenant_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="no name for a tenant"):
        tenant_schema(name)


async def test_everything_of_a_tenant_is_owned_by_the_role_that_migrates(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant) as connection:
        owners = await rows(
            connection,
            "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace"
            " UNION SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = current_schema()"
            " UNION SELECT pg_get_userbyid(proowner)::text FROM pg_proc"
            " WHERE pronamespace = current_schema()::regnamespace",
        )
    assert owners == [(Role.MIGRATOR,)]


async def test_an_ordinary_login_with_the_roles_can_migrate_and_append(database_url: str) -> None:
    """As on a managed server: no superuser, an administrator made the roles and granted them."""
    tenant, login = new_name(), f"login_{uuid4().hex[:12]}"
    await migrate(database_url, tenant)  # so that the roles exist
    await drop_tenant(database_url, tenant)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'secret'".encode())
        await admin.execute(f"GRANT {', '.join(Role)} TO {login}".encode())
    theirs = psycopg.conninfo.make_conninfo(database_url, user=login, password="secret")
    try:
        await migrate(theirs, tenant)
        async with await open_pool(theirs, tenant, Role.WRITER) as pool:
            assert appended((await PostgresEventLog(pool).append([command({"task-1": 0})]))[0]).first_position == 1
    finally:
        await drop_tenant(database_url, tenant)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
            await admin.execute(f"DROP ROLE {login}".encode())


async def test_a_server_that_can_not_be_reached_is_named_with_what_to_do(tmp_path: Path) -> None:
    url = f"postgresql://someone:secret@/state?host={tmp_path}&port=5999"
    for attempt in (migrate(url, "bank"), open_pool(url, "bank", Role.WRITER)):
        with pytest.raises(LogUnavailable) as refused:
            await attempt
        said = str(refused.value)
        assert str(tmp_path) in said
        assert "5999" in said
        assert "DORA_STATE_DATABASE_URL" in said
        assert "secret" not in said
        assert "\n" not in said


@pytest.mark.parametrize("url", ["nonsense", "postgresql://[", "postgresql://nobody.invalid/x"])
async def test_a_url_that_names_no_server_is_one_sentence_too(url: str) -> None:
    with pytest.raises(DoraStateError, match="DORA_STATE_DATABASE_URL") as refused:
        await open_pool(url, "bank", Role.WRITER)
    assert "\n" not in str(refused.value)


async def test_a_tenant_that_is_not_set_up_is_told_apart(database_url: str, tenant: str) -> None:
    async with await open_pool(database_url, f"{tenant}_none", Role.WRITER) as pool:
        log = PostgresEventLog(pool)
        with pytest.raises(LogUnavailable, match="dora-state init"):
            await log.head()
        with pytest.raises(LogUnavailable, match="dora-state init"):
            await log.append([command({"task-1": 0})])


async def test_a_tenant_is_dropped_though_somebody_locks_its_tables_in_another_order(
    database_url: str, tenant: str
) -> None:
    """PostgreSQL ends the one of two that wait for each other who waited first."""
    locked = (
        "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid <> pg_backend_pid() AND l.granted AND l.mode = 'AccessExclusiveLock' AND c.relkind = 'r'"
        " AND c.relnamespace = current_schema()::regnamespace LIMIT 1"
    )
    async with connected(database_url, tenant) as other, connected(database_url, tenant) as watch:
        async with other.transaction():
            await other.execute("LOCK TABLE agents IN ACCESS SHARE MODE")
            dropping = asyncio.create_task(drop_tenant(database_url, tenant))
            while not (found := await rows(watch, locked)):  # noqa: ASYNC110  # PostgreSQL tells nobody
                await asyncio.sleep(0.01)
            await other.execute(f"LOCK TABLE {found[0][0]} IN ACCESS SHARE MODE")  # only once the drop has let go of it
        await dropping
        assert await value(watch, "SELECT to_regnamespace(%s)", tenant_schema(tenant)) is None
