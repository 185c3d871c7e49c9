"""Events are never changed: not by the role that appends, and not by their owner."""

from typing import LiteralString

import psycopg
import pytest

from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from tests.support.log import command
from tests.support.postgres import Connection, append_in, connected, rows, value

CHANGES: tuple[LiteralString, ...] = (
    "UPDATE {table} SET data = ''",
    "UPDATE {table} SET data = '' WHERE false",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
)
INNER = (
    "accepted_commands",
    "append_closely",
    "append_lock",
    "append_times",
    "archive_month",
    "attach_month",
    "check_claims",
    "insert_statements",
    "is_clean",
    "judge_commands",
    "make_append",
    "make_month",
    "make_read_streams",
    "open_months",
    "point_to_open_month",
    "record_group",
    "record_streams",
    "refuse_append",
)


async def _partitions(connection: Connection) -> list[str]:
    return [str(name) for (name,) in await rows(connection, "SELECT partition FROM months ORDER BY starts_at")]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", [Role.MIGRATOR, None], ids=["owner", "login"])
async def test_triggers_refuse_to_change_events_even_for_their_owner(
    log: PostgresEventLog, database_url: str, tenant: str, change: str, role: Role | None
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, role) as connection:
        partitions = await _partitions(connection)
        assert len(partitions) >= 3
        for table in ("events", *partitions):
            for replication in ("origin", "replica") if role is None else ("origin",):
                if role is None:
                    await connection.execute(f"SET session_replication_role = {replication}".encode())
                with pytest.raises(psycopg.Error) as refused:
                    await connection.execute(change.format(table=table).encode())
                assert refused.value.sqlstate == "DS006", (table, replication)
                assert f'"table": "{table}"' in str(refused.value.diag.message_detail)
        assert await value(connection, "SELECT count(*) FROM events") == 1


@pytest.mark.parametrize("role", [Role.WRITER, Role.PROJECTOR])
@pytest.mark.parametrize(
    "statement",
    [
        *CHANGES,
        "INSERT INTO {table} SELECT * FROM events",
        "DROP TABLE {table}",
        "ALTER TABLE {table} DISABLE TRIGGER refuse_change",
        "ALTER TABLE {table} ADD COLUMN more text",
        "DROP TRIGGER refuse_change ON {table}",
        "CREATE RULE nothing AS ON INSERT TO {table} DO INSTEAD NOTHING",
    ],
)
async def test_other_roles_may_only_read_and_append(
    log: PostgresEventLog, database_url: str, tenant: str, role: Role, statement: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, role) as connection:
        for table in ("events", *await _partitions(connection)):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.format(table=table).encode())
        assert await value(connection, "SELECT count(*) FROM events") == 1


@pytest.mark.parametrize("table", ["streams", "months", "commands", "mode", "migrations"])
async def test_the_writer_may_not_touch_the_tables_beside_the_events(
    log: PostgresEventLog, database_url: str, tenant: str, table: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, Role.WRITER) as connection:
        for statement in (
            "DELETE FROM {table}",
            "TRUNCATE {table}",
            "DROP TABLE {table}",
            "INSERT INTO {table} DEFAULT VALUES",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.format(table=table).encode())


async def test_the_writer_owns_nothing_and_may_execute_only_what_it_is_meant_to(database_url: str, tenant: str) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        owned = "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole"
        assert await value(connection, owned, Role.WRITER) == 0
        executable = await rows(
            connection,
            "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace"
            " AND p.prosecdef AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1",
        )
        assert [name for (name,) in executable] == [
            "append",
            "ask_for_lock",
            "begin_import",
            "claim_log",
            "end_import",
            "ensure_months",
            "keep_lock_place",
            "leave_locks",
            "look_for_locks",
            "open_lock_place",
            "renew_lock",
        ]
        for name in INNER:
            allowed = "SELECT bool_or(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc WHERE proname = %s"
            assert await value(connection, allowed, name) is False, name


async def test_a_temporary_table_of_the_writer_does_not_shadow_the_log(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        await connection.execute("CREATE TEMPORARY TABLE streams (stream_id text, version bigint)")
        await connection.execute("CREATE TEMPORARY TABLE mode (only_row boolean, import_id uuid, clock_bound interval)")
        await append_in(connection, command({"task-1": 0}))
    assert await log.stream_version("task-1") == 1


async def test_every_function_that_runs_with_its_owners_rights_has_a_search_path_of_its_own(
    database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        found = await rows(
            connection,
            "SELECT p.proname::text, p.proconfig FROM pg_proc p"
            " WHERE p.pronamespace = current_schema()::regnamespace AND p.prosecdef",
        )
    assert len(found) >= 4
    for name, settings in found:
        assert f"search_path=tenant_{tenant}, pg_temp" in list(settings), name  # type: ignore[call-overload]  # a text[]


async def test_partitions_have_the_keys_that_guard_positions_and_versions(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        for doubled in ("position", "stream_id, version"):
            columns = {"position": "position + 1", "stream_id, version": "position"}[doubled]
            version = {"position": "version", "stream_id, version": "version + 1"}[doubled]
            with pytest.raises(psycopg.errors.UniqueViolation):
                await connection.execute(
                    f"INSERT INTO events SELECT {columns}, recorded_at, {version}, event_id, schema_version,"
                    " following, stream_id, type, data, metadata FROM events".encode()
                )


async def test_append_looks_into_its_own_schema_first_whoever_makes_it_anew(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    await log.append([command({"task-1": 0})])
    setting = "SELECT proconfig[1] FROM pg_proc WHERE oid = 'append'::regproc"
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        before = await value(connection, setting)
        assert str(before).endswith(", pg_temp")
        schema = await value(connection, "SELECT current_schema()")
        await connection.execute(f"SET search_path TO {schema}, public".encode())
        await rows(connection, "SELECT point_to_open_month()")
        assert await value(connection, setting) == before
