"""The factory: which schema, which servers, and one clear error when something is wrong."""

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import enumerate as threads_of_this_process
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import (
    InfrastructureFactoryError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)

from domain.errors import DoraStateError
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from infrastructure.migrations import migrate
from infrastructure.persistence import LogApplicationRecorder, LogFactory, LogTrackingRecorder
from infrastructure.pools import open_pool
from tests.support.library import SqlEventCounters, construct_factory, stored
from tests.support.log import command
from tests.support.postgres import tenants_of

ROOT = Path(__file__).parents[2]


async def test_each_application_has_a_schema_of_its_own(library: str, database_url: str) -> None:
    first, second, nameless = construct_factory("Orders"), construct_factory("Invoices"), construct_factory("")
    one = uuid4()
    for factory in (first, second, nameless):
        assert factory.application_recorder().insert_events([stored(one, 1)]) == [1]
        factory.close()

    names = ["invoices", "orders", "stored"]
    assert sorted(await tenants_of(database_url, library)) == [f"{library}_{name}" for name in names]


def test_two_factories_on_one_schema_see_one_log(library: str) -> None:
    with ThreadPoolExecutor() as threads:  # both find no schema
        first, second = threads.map(lambda _: _opened(), range(2))
    one = uuid4()
    first.application_recorder().insert_events([stored(one, 1)])
    second.process_recorder().insert_events([stored(one, 2)])

    assert [e.originator_version for e in first.aggregate_recorder().select_events(one)] == [1, 2]
    with pytest.raises(IntegrityError):
        first.aggregate_recorder().insert_events([stored(one, 2)])
    first.close()
    assert second.application_recorder().max_notification_id() == 2
    second.close()


def _opened() -> LogFactory:
    factory = construct_factory()
    factory.application_recorder()
    return factory


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DORA_STATE_TENANT": "No-Tenant"}, "'No-Tenant_case' is no name for a tenant"),
        ({"DORA_STATE_TENANT": "x" * 46}, "is made of DORA_STATE_TENANT and the application's name"),
        ({"DORA_STATE_POOL_SIZE": "many"}, "DORA_STATE_POOL_SIZE is 'many': use a number"),
        ({"DORA_STATE_POOL_SIZE": "9" * 5000}, "use a number from 1 to 1000"),
        ({"DORA_STATE_POOL_SIZE": "0"}, "DORA_STATE_POOL_SIZE is '0': use a number"),
        ({"APPLICATION_RECORDER_TOPIC": "builtins:int"}, "no subclass of LogApplicationRecorder"),
    ],
)
def test_a_wrong_setting_is_named(library: str, settings: dict[str, str], said: str) -> None:
    with pytest.raises(InfrastructureFactoryError, match=said):
        construct_factory(**settings).application_recorder()


def test_an_applications_name_that_is_no_name_of_a_schema_is_refused(library: str) -> None:
    with pytest.raises(InfrastructureFactoryError, match="'My App' can't name a schema"):
        construct_factory("My App")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@localhost:1/nowhere", "PostgreSQL can't be reached at localhost, port 1"),
        ("postgresql://me:sec@ret@localhost/x", "DORA_STATE_DATABASE_URL is no PostgreSQL URL"),
        ("nonsense", "DORA_STATE_DATABASE_URL is no PostgreSQL URL"),
    ],
)
def test_a_wrong_url_gives_one_clear_error_without_its_password(library: str, url: str, said: str) -> None:
    factory = construct_factory(DORA_STATE_DATABASE_URL=url)
    with pytest.raises(OperationalError, match=said) as refused:
        factory.application_recorder()

    assert "sec" not in str(refused.value)
    assert isinstance(refused.value.__cause__, DoraStateError)


async def test_the_log_of_the_service_is_refused(library: str, database_url: str) -> None:
    tenant = f"{library}_case"
    await migrate(database_url, tenant)
    async with await open_pool(database_url, tenant, Role.WRITER) as pool:
        await PostgresEventLog(pool).append([command({"workflow-1": 0})])

    with pytest.raises(InfrastructureFactoryError, match="holds another log"):
        construct_factory().application_recorder()


async def test_it_can_be_constructed_where_a_loop_runs(library: str) -> None:
    factory = construct_factory()
    assert factory.application_recorder().max_notification_id() is None
    factory.close()


def test_without_create_table_the_schema_is_left_as_it_is(library: str) -> None:
    with pytest.raises(ProgrammingError, match="if the schema is not set up, run once without CREATE_TABLE=no"):
        construct_factory(CREATE_TABLE="no").application_recorder()
    made = construct_factory()
    made.application_recorder()
    made.close()

    factory = construct_factory(CREATE_TABLE="no")
    assert factory.application_recorder().insert_events([stored(uuid4(), 1)]) == [1]
    with pytest.raises(ProgrammingError, match="counters"):
        factory.tracking_recorder(SqlEventCounters).get_created_event_counter()
    factory.close()


def test_without_a_url_the_embedded_servers_run(library: str, servers: tuple[str, str], monkeypatch: Any) -> None:
    factory = construct_factory(DORA_STATE_DATABASE_URL="")
    assert factory.application_recorder().insert_events([stored(uuid4(), 1)]) == [1]
    factory.close()


def _threads(tenant: str) -> int:
    """The pool's threads bear the tenant's name."""
    return sum(thread.name.startswith(tenant) for thread in threads_of_this_process())


def test_nothing_is_opened_before_the_first_recorder_and_nothing_after_close(library: str) -> None:
    factory = construct_factory()
    assert _threads(library) == 0
    recorder = factory.application_recorder()
    assert _threads(library) > 0
    factory.close()
    factory.close()

    assert _threads(library) == 0
    for use in (lambda: recorder.max_notification_id(), lambda: factory.process_recorder()):
        with pytest.raises(InterfaceError, match="The store is closed"):
            use()


def test_a_recorder_outlives_its_factory_and_closes_when_it_is_forgotten(library: str) -> None:
    recorder: LogApplicationRecorder | None = construct_factory().application_recorder()
    assert recorder is not None
    gc.collect()
    assert recorder.max_notification_id() is None
    assert _threads(library) > 0
    del recorder
    gc.collect()

    assert _threads(library) == 0


FORKING = """
import os, sys, warnings
from eventsourcing.persistence import InterfaceError
from tests.support.library import construct_factory
recorder = construct_factory().application_recorder()
assert recorder.max_notification_id() is None
# Later Pythons warn of forks where there are threads, which is what is tried here.
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if not child:
    try:
        recorder.max_notification_id()
    except InterfaceError:
        sys.exit(7)  # with all that is done at exit
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
with recorder.store.connection() as connection:
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
"""


def test_a_fork_is_refused_and_leaves_its_parents_connections_alone(library: str) -> None:
    done = subprocess.run((sys.executable, "-c", FORKING), cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_writer_may_not_change_what_is_kept(library: str) -> None:
    factory = construct_factory()
    factory.aggregate_recorder("snapshots").insert_events([stored(uuid4(), 7)])
    factory.tracking_recorder(LogTrackingRecorder)
    statements = (
        "DELETE FROM library_snapshots",
        "UPDATE library_snapshots SET state = ''",
        "TRUNCATE library_tracking",
        "DELETE FROM library_tracking",
        "UPDATE library_tracking SET application_name = 'other'",
        "DROP TABLE library_tracking",
    )
    for statement in statements:
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
            factory.store.connection() as connection,
        ):
            connection.execute(statement.encode())
    factory.close()


def test_snapshots_may_be_of_any_version_and_purpose_but_not_twice(library: str) -> None:
    factory = construct_factory()
    snapshots, drafts = factory.aggregate_recorder("snapshots"), factory.aggregate_recorder("drafts")
    one = uuid4()
    kept = [StoredEvent(one, version, "Snapshot", bytes(range(256))) for version in (40, -3, 7)]
    snapshots.insert_events(kept)
    drafts.insert_events(kept[:1])

    assert [e.originator_version for e in snapshots.select_events(one)] == [-3, 7, 40]
    assert snapshots.select_events(one, lte=39, desc=True, limit=1) == [kept[2]]
    assert drafts.select_events(one) == kept[:1]
    with pytest.raises(IntegrityError):
        snapshots.insert_events([StoredEvent(one, 41, "Snapshot", b""), kept[0]])
    assert len(snapshots.select_events(one, gt=7)) == 1
    assert factory.application_recorder().max_notification_id() is None
    factory.close()
