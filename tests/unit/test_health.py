"""How figures are judged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dora_state.caches import NearVitals
from dora_state.health import HealthReport, cache, database, machine, tenant
from dora_state.health.judging import Check, Status
from infrastructure.machine import DiskVitals, MemoryVitals, disk_vitals, memory_vitals
from infrastructure.vitals import (
    CacheVitals,
    DatabaseVitals,
    OldestTransaction,
    ProcessMemory,
    ProjectionVitals,
    ServerFigures,
    TenantVitals,
)

NOW = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)
TENANT = TenantVitals(
    position=10,
    last_recorded_at=NOW,
    dead_letters=0,
    months_end=NOW + timedelta(days=60),
    import_id=None,
    clock_bound_seconds=60.0,
    projections=(ProjectionVitals("states", 10), ProjectionVitals("actions", 10)),
)
SERVER = ServerFigures(NOW, "18.0", False, 1_000, 3, 100, 5, 1, 0)
DATABASE = DatabaseVitals(0.01, 0.001, SERVER, 0.0, None, TENANT)


def test_all_is_well_when_all_figures_are() -> None:
    found = [
        database.judge_database(DATABASE, "t"),
        database.judge_transactions(DATABASE),
        database.judge_snapshots(DATABASE),
        tenant.judge_projection(TENANT, NOW, "t"),
        tenant.judge_months(TENANT, NOW, "t"),
        database.judge_clock(DATABASE, TENANT),
        tenant.judge_dead_letters(TENANT),
        tenant.judge_mode(TENANT, "t"),
        cache.judge_cache(CacheVitals(0.001, "Valkey", "9", 1, 0)),
        cache.judge_cache(None),
        machine.judge_memory(MemoryVitals(100, 50, 1)),
        machine.judge_disk(DiskVitals(Path("/"), 100, 50)),
    ]
    assert {check.status for check in found} == {"healthy"}


def _tenant(**changes: object) -> TenantVitals:
    return replace(TENANT, **changes)  # type: ignore[arg-type]  # the names are checked by `replace`


def near(*, wanted: bool = False, listening: bool = False, failing: bool = False) -> Check:
    """The check of a process that reads, beside a cache that is well."""
    vitals = NearVitals(wanted, listening, failing, usable=False, documents=0, bytes=0, levels={})
    return cache.judge_near(vitals, cache.judge_cache(CacheVitals(0.001, "Valkey", "9", 1, 0)))


def _of_version(version: int, checkpoint: int = 10, since: datetime | None = None) -> TenantVitals:
    states = ProjectionVitals("states", checkpoint, since, version=version)
    return _tenant(projections=(states, ProjectionVitals("actions", 10)))


def _behind(checkpoint: int, since: datetime, halt: str | None = None) -> TenantVitals:
    """One of two projections is."""
    behind = ProjectionVitals("actions", checkpoint, since, halt, since if halt else None)
    return _tenant(projections=(ProjectionVitals("states", 10), behind))


@pytest.mark.parametrize(
    ("check", "status", "word"),
    [
        (database.judge_database(replace(DATABASE, tenant=None), "t"), "unhealthy", "dora-state --tenant t init"),
        (
            database.judge_database(replace(DATABASE, server=replace(SERVER, read_only=True)), "t"),
            "warning",
            "standby",
        ),
        (
            database.judge_database(replace(DATABASE, server=replace(SERVER, connections=95)), "t"),
            "warning",
            "95 of 100",
        ),
        (database.judge_transactions(replace(DATABASE, transaction_seconds=1.0)), "warning", "1000.0 ms"),
        (database.judge_transactions(replace(DATABASE, transaction_seconds=9.0)), "unhealthy", "9000.0 ms"),
        (
            database.judge_snapshots(
                replace(DATABASE, oldest=OldestTransaction(7, "psql", "idle in transaction", 99.0))
            ),
            "warning",
            "process 7, psql",
        ),
        (
            tenant.judge_projection(_behind(4, NOW - timedelta(seconds=60)), NOW, "t"),
            "warning",
            "6 events behind",
        ),
        (
            tenant.judge_projection(_behind(4, NOW - timedelta(hours=1)), NOW, "t"),
            "unhealthy",
            "dora-state --tenant t worker",
        ),
        (
            tenant.judge_projection(_of_version(99), NOW, "t"),
            "warning",
            "this release has version 1: a later one runs it",
        ),
        (
            tenant.judge_projection(_of_version(99, 4, NOW - timedelta(hours=1)), NOW, "t"),
            "unhealthy",
            "a later one runs it; now nobody does, and it is 6 events behind, 3600 s",
        ),
        (
            tenant.judge_projection(_behind(9, NOW, "Event 10 is new."), NOW, "t"),
            "unhealthy",
            "actions has halted, 1 events behind, since 2024-01-17T10:00:00Z. Event 10 is new.",
        ),
        (tenant.judge_projection(_behind(9, NOW), NOW, "t"), "healthy", "1 events behind"),
        (tenant.judge_months(_tenant(months_end=NOW + timedelta(days=9)), NOW, "t"), "warning", "9 days"),
        (tenant.judge_months(_tenant(months_end=NOW), NOW, "t"), "unhealthy", "0 days"),
        (tenant.judge_months(_tenant(months_end=None), NOW, "t"), "unhealthy", "0 days"),
        (database.judge_clock(replace(DATABASE, clock_offset=-5.0), TENANT), "warning", "differ by 5.0 s"),
        (
            database.judge_clock(DATABASE, _tenant(clock_set_seconds=-5.0)),
            "warning",
            "is set 5.0 s behind the database's",
        ),
        (
            database.judge_clock(DATABASE, _tenant(last_recorded_at=NOW + timedelta(seconds=10))),
            "warning",
            "10.0 s ahead",
        ),
        (
            database.judge_clock(DATABASE, _tenant(last_recorded_at=NOW + timedelta(seconds=90))),
            "unhealthy",
            "nothing can be appended",
        ),
        (tenant.judge_dead_letters(_tenant(dead_letters=2)), "warning", "2 events"),
        (
            tenant.judge_mode(_tenant(import_id=UUID(int=1)), "t"),
            "warning",
            "dora-state --tenant t import xes FILE --continue",
        ),
        (cache.judge_cache("Away."), "unhealthy", "Away."),
        (cache.judge_cache(CacheVitals(0.001, "Valkey", "9", 99, 99, full=True)), "warning", "Valkey is full"),
        (near(wanted=True), "warning", "Valkey 9 answers in 1.0 ms, but changes are not heard of"),
        (near(failing=True), "warning", "Valkey 9 answers in 1.0 ms, but failed this process"),
        (near(wanted=True, listening=True), "healthy", "Valkey 9 answers in 1.0 ms."),
        (near(), "healthy", "Valkey 9 answers in 1.0 ms."),
        (cache.judge_cache(CacheVitals(0.5, "Valkey", "9", 1, 0)), "warning", "Valkey 9 answers in 500.0 ms"),
        (machine.judge_memory(MemoryVitals(100, 5, 1)), "warning", "memory"),
        (machine.judge_memory(MemoryVitals(100, 1, 1)), "unhealthy", "memory"),
        (machine.judge_disk(DiskVitals(Path("/"), 100, 5)), "warning", "free"),
        (machine.judge_disk(DiskVitals(Path("/"), 100, 1)), "unhealthy", "free"),
    ],
)
def test_what_is_wrong_is_said(check: Check, status: str, word: str) -> None:
    assert check.status == status
    assert word in check.message


@pytest.mark.parametrize(
    ("found", "status", "overall"),
    [
        (["healthy", "healthy"], "healthy", "healthy"),
        (["healthy", "warning"], "warning", "degraded"),
        (["unhealthy", "warning"], "unhealthy", "degraded"),
    ],
)
def test_the_worst_check_is_the_report(found: list[Status], status: str, overall: str) -> None:
    report = HealthReport({str(n): Check(one, "") for n, one in enumerate(found)}, NOW)
    assert (report.status, report.overall) == (status, overall)
    assert report.to_json()["overall"] == overall


def test_a_disk_is_looked_at_before_the_home_exists(tmp_path: Path) -> None:
    assert disk_vitals(tmp_path / "not" / "yet").total_bytes > 0


MEMORY = MemoryVitals(10**10, 5 * 10**9, 1)
MINUTES = timedelta(minutes=58)


def _process(name: str, first: int, last: int, most: int | None = None) -> ProcessMemory:
    """In MB, noted for 58 minutes."""
    sizes = (size * 10**6 for size in (first, max(first, last) if most is None else most, last))
    return ProcessMemory(name, NOW - MINUTES, NOW, *sizes)


def test_the_process_that_grew_most_is_told_and_all_are_figures() -> None:
    found = machine.judge_memory(
        MEMORY, [_process("a:1", 70, 72, 90), _process("b:2", 70, 71), _process("c:3", 90, 60)]
    )
    assert found.status == "healthy"
    assert found.message == (
        "5.0 of 10.0 GB of memory are available. Process a:1 has grown from 70 to 72 MB within 58 minutes."
    )
    processes = found.figures["processes"]
    assert isinstance(processes, list)
    assert [one["process"] for one in processes] == ["a:1", "b:2", "c:3"]
    assert processes[0] == {
        "process": "a:1",
        "since": "2024-01-17T09:02:00Z",
        "first_bytes": 70_000_000,
        "most_bytes": 90_000_000,
        "last_bytes": 72_000_000,
    }


@pytest.mark.parametrize("processes", [[], [_process("a:1", 70, 70, 900), _process("b:2", 900, 60)]])
def test_where_no_process_has_grown_none_is_told(processes: list[ProcessMemory]) -> None:
    found = machine.judge_memory(MEMORY, processes)
    assert (found.status, found.message) == ("healthy", "5.0 of 10.0 GB of memory are available.")


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        (400, 601, "warning"),
        (400, 600, "healthy"),  # by half, and by 200 MB: not by more
        (100, 300, "healthy"),
        (100, 301, "warning"),
        (1000, 1500, "healthy"),
        (1000, 1501, "warning"),
    ],
)
def test_a_process_that_grows_fast_is_warned_of(first: int, last: int, status: str) -> None:
    assert machine.judge_memory(MEMORY, [_process("a:1", first, last)]).status == status


def test_who_is_warned_of_is_told_rather_than_one_that_grew_by_more_and_was_large() -> None:
    found = machine.judge_memory(MEMORY, [_process("large:1", 2000, 2900), _process("small:2", 100, 400)])
    assert found.status == "warning"
    assert "Process small:2 has grown from 100 to 400 MB" in found.message


def test_growth_makes_no_better_of_a_machine_without_memory_and_is_told_where_it_does_not_tell() -> None:
    grown = [_process("a:1", 100, 400)]
    assert machine.judge_memory(MemoryVitals(100, 1, 1), grown).status == "unhealthy"
    found = machine.judge_memory(MemoryVitals(None, None, None), grown)
    assert found.status == "warning"
    assert found.message.startswith("This machine does not tell how much memory it has. Process a:1 has grown")


def test_memory_tells_what_this_machine_tells() -> None:
    found = memory_vitals()
    assert found.available_bytes is None or 0 < found.available_bytes <= (found.total_bytes or 0)
