"""The checks of health: each judges one thing by its figures, and says in one sentence how it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from domain.values import iso
from infrastructure.vitals import (
    CacheVitals,
    DatabaseVitals,
    DiskVitals,
    MemoryVitals,
    ProcessMemory,
    ProjectionVitals,
    TenantVitals,
)
from projections.projection import PROJECTIONS

Status = Literal["healthy", "warning", "unhealthy"]
Figure = str | int | float | bool | None
Figures = Mapping[str, Figure | Sequence[Mapping[str, Figure]]]

SLOW_TRANSACTION = 0.5
VERY_SLOW_TRANSACTION = 5.0
LONG_TRANSACTION = 60.0
VERY_LONG_TRANSACTION = 900.0
SLOW_CACHE = 0.1
LAG = 30.0
LONG_LAG = 300.0
CLOCK_OFFSET = 2.0
MONTHS_AHEAD = timedelta(days=28)
LAST_DAYS = timedelta(days=3)
MEMORY_LEFT = 0.10
MEMORY_NEARLY_GONE = 0.03
GROWN_BY_PART = 0.5
GROWN_BY_BYTES = 200_000_000
DISK_LEFT = 0.10
DISK_NEARLY_FULL = 0.02
MEGA = 10**6
GIGA = 10**9


@dataclass(frozen=True, slots=True)
class NearVitals:
    """How a process reads: `wanted` documents near, `listening` for changes, `failing` without Redis just now."""

    wanted: bool
    listening: bool
    failing: bool
    usable: bool
    documents: int
    bytes: int
    levels: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is. Figures are in seconds and bytes where their names say so."""

    status: Status
    message: str
    figures: Figures = field(default_factory=dict)


def judge_database(found: DatabaseVitals, tenant: str) -> Check:
    server = found.server
    figures: dict[str, Figure] = {
        "connect_seconds": round(found.connect_seconds, 4),
        "server_version": server.version,
        "bytes": server.bytes,
        "connections": server.connections,
        "max_connections": server.max_connections,
        "read_only": server.read_only,
    }
    if found.tenant is None:
        message = f"PostgreSQL answers, but tenant {tenant} is not set up: run `{_line(tenant, 'init')}`."
        return Check("unhealthy", message, figures)
    if server.read_only:
        return Check("warning", "PostgreSQL is a standby: it can be read and not written.", figures)
    if server.connections > 0.9 * server.max_connections:
        message = f"{server.connections} of {server.max_connections} connections of PostgreSQL are taken."
        return Check("warning", message, figures)
    return Check("healthy", f"PostgreSQL {server.version} answers.", figures)


def judge_transactions(found: DatabaseVitals) -> Check:
    seconds = found.transaction_seconds
    figures: dict[str, Figure] = {
        "seconds": round(seconds, 4),
        "committed": found.server.committed,
        "rolled_back": found.server.rolled_back,
        "deadlocks": found.server.deadlocks,
    }
    message = f"A transaction takes {1000 * seconds:.1f} ms."
    return Check(_graded(seconds, SLOW_TRANSACTION, VERY_SLOW_TRANSACTION), message, figures)


def judge_snapshots(found: DatabaseVitals) -> Check:
    oldest = found.oldest
    if oldest is None:
        return Check("healthy", "No transaction is open.", {"oldest_seconds": None})
    figures: dict[str, Figure] = {
        "oldest_seconds": round(oldest.seconds, 3),
        "pid": oldest.pid,
        "application": oldest.application,
        "state": oldest.state,
    }
    status = _graded(oldest.seconds, LONG_TRANSACTION, VERY_LONG_TRANSACTION)
    message = f"The oldest open transaction is {oldest.seconds:.1f} s old."
    if status != "healthy":
        message = (
            f"{message[:-1]} (process {oldest.pid}, {oldest.application or 'unnamed'}): end it, it slows all down."
        )
    return Check(status, message, figures)


def _line(tenant: str, command: str) -> str:
    """What to type, with the tenant, whichever the environment names."""
    return f"dora-state --tenant {tenant} {command}"


def judge_projection(tenant: TenantVitals, clock: datetime, name: str) -> Check:
    """The status of the one that is worst, how far back the last one is, and each by itself."""
    found = [_judged(one, tenant, clock, name) for one in tenant.projections]
    last = min((figures for figures, _ in found), key=lambda figures: figures["checkpoint"])
    worst = max(found, key=lambda one: (_SEVERITY[one[1].status], one[0]["lag_positions"]))[1]
    figures: Figures = {
        "position": tenant.position,
        **{key: last[key] for key in ("checkpoint", "lag_positions", "lag_seconds")},
        "projections": [one for one, _ in found],
    }
    return Check(worst.status, worst.message, figures)


_SEVERITY: dict[Status, int] = {"healthy": 0, "warning": 1, "unhealthy": 2}


def _judged(one: ProjectionVitals, tenant: TenantVitals, clock: datetime, name: str) -> tuple[dict[str, Any], Check]:
    behind = max(tenant.position - one.checkpoint, 0)
    since = one.unapplied_since
    seconds = max((clock - since).total_seconds(), 0.0) if since is not None else 0.0
    figures: dict[str, Any] = {
        "name": one.name,
        "checkpoint": one.checkpoint,
        "lag_positions": behind,
        "lag_seconds": round(seconds, 3),
        "halted_since": iso(one.halted_since) if one.halted_since is not None else None,
    }
    if one.halt_reason is not None and one.halted_since is not None:
        message = f"The projection {one.name} has halted, {behind} events behind, since {iso(one.halted_since)}. "
        return figures, Check("unhealthy", message + one.halt_reason)
    ours = PROJECTIONS[one.name].version
    if one.checkpoint and one.version and one.version != ours:
        what = (
            f"build it anew with `{_line(name, f'rebuild {one.name}')}`"
            if one.version < ours
            else "a later one runs it"
        )
        message = f"The projection {one.name} is of version {one.version} and this release has version {ours}: {what}."
        return figures, Check("warning", message)
    if not behind:
        return figures, Check("healthy", f"The read models are at the log's end, position {tenant.position}.")
    status = _graded(seconds, LAG, LONG_LAG)
    advice = "" if status == "healthy" else f": run `{_line(name, 'worker')}`"
    return figures, Check(status, f"The projection {one.name} is {behind} events behind, {seconds:.0f} s{advice}.")


def judge_months(tenant: TenantVitals, clock: datetime, name: str) -> Check:
    end = tenant.months_end
    left = end - clock if end is not None else timedelta(0)
    figures: dict[str, Figure] = {
        "end": iso(end) if end is not None else None,
        "days_ahead": round(left / timedelta(days=1), 1),
    }
    if left >= MONTHS_AHEAD:
        return Check("healthy", f"Months are made {left.days} days ahead.", figures)
    status: Status = "warning" if left >= LAST_DAYS else "unhealthy"
    return Check(status, f"Months are made only {max(left.days, 0)} days ahead: run `{_line(name, 'init')}`.", figures)


def judge_clock(found: DatabaseVitals, tenant: TenantVitals) -> Check:
    last = tenant.last_recorded_at
    ahead = max((last - found.server.clock).total_seconds(), 0.0) if last is not None else 0.0
    figures: dict[str, Figure] = {
        "offset_seconds": round(found.clock_offset, 4),
        "last_recorded_ahead_seconds": round(ahead, 3),
        "bound_seconds": tenant.clock_bound_seconds,
    }
    if ahead > tenant.clock_bound_seconds:
        message = f"The last event lies {ahead:.0f} s ahead of the database's clock: nothing can be appended, mend it."
        return Check("unhealthy", message, figures)
    if ahead > CLOCK_OFFSET:
        return Check("warning", f"The last event lies {ahead:.1f} s ahead of the database's clock: mend it.", figures)
    if abs(found.clock_offset) > CLOCK_OFFSET:
        message = f"The database's clock and ours differ by {abs(found.clock_offset):.1f} s: mend one of them."
        return Check("warning", message, figures)
    return Check("healthy", "The clocks agree.", figures)


def judge_dead_letters(tenant: TenantVitals) -> Check:
    count = tenant.dead_letters
    figures: dict[str, Figure] = {"count": count}
    if count:
        message = f"{count} events could not be applied; `dora-state dead-letters list` names them."
        return Check("warning", message, figures)
    return Check("healthy", "Every event could be applied.", figures)


def judge_mode(tenant: TenantVitals, name: str) -> Check:
    importing = tenant.import_id
    figures: dict[str, Figure] = {
        "mode": "live" if importing is None else "importing",
        "import_id": None if importing is None else str(importing),
    }
    if importing is None:
        return Check("healthy", "The tenant is live.", figures)
    go_on = _line(name, "import xes FILE --continue")
    message = f"The tenant is importing; if no import runs, go on with `{go_on}`."
    return Check("warning", message, figures)


def judge_cache(found: CacheVitals | str | None) -> Check:
    if found is None:
        return Check("healthy", "No Redis is set; answers come from PostgreSQL.", {"configured": False})
    if isinstance(found, str):
        return Check("unhealthy", found, {"configured": True})
    figures: dict[str, Figure] = {
        "configured": True,
        "seconds": round(found.seconds, 5),
        "server": found.server,
        "server_version": found.server_version,
        "used_bytes": found.used_bytes,
        "max_bytes": found.max_bytes or None,
        "copies_position": found.position,
    }
    if found.full:
        message = (
            f"{found.server} is full, at {found.used_bytes / MEGA:.0f} of {found.max_bytes / MEGA:.0f} MB, and takes "
            "nothing more: give it more, or a maxmemory-policy that makes room."
        )
        return Check("warning", message, figures)
    message = f"{found.server} {found.server_version} answers in {1000 * found.seconds:.1f} ms."
    return Check("warning" if found.seconds > SLOW_CACHE else "healthy", message, figures)


def judge_memory(found: MemoryVitals, processes: Sequence[ProcessMemory] = ()) -> Check:
    figures: Figures = {
        "total_bytes": found.total_bytes,
        "available_bytes": found.available_bytes,
        "own_bytes": found.own_bytes,
        "processes": [
            {
                "process": one.process,
                "since": iso(one.since),
                "first_bytes": one.first_bytes,
                "most_bytes": one.most_bytes,
                "last_bytes": one.last_bytes,
            }
            for one in processes
        ],
    }
    if not found.total_bytes or found.available_bytes is None:
        status: Status = "healthy"
        message = "This machine does not tell how much memory it has."
    else:
        left = found.available_bytes / found.total_bytes
        status = _graded(-left, -MEMORY_LEFT, -MEMORY_NEARLY_GONE)
        message = f"{found.available_bytes / GIGA:.1f} of {found.total_bytes / GIGA:.1f} GB of memory are available."
    # Who is warned of is named, also where another grew by more that is little for its size.
    growing = max(processes, key=lambda one: (_grows_fast(one), _growth(one)), default=None)
    if growing is not None and _growth(growing) >= MEGA:  # less does not show in MB
        message = f"{message} {_grown(growing)}"
        if _grows_fast(growing) and status == "healthy":
            status = "warning"
    return Check(status, message, figures)


def _growth(process: ProcessMemory) -> int:
    return process.last_bytes - process.first_bytes


def _grows_fast(process: ProcessMemory) -> bool:
    grown = _growth(process)
    return grown > GROWN_BY_BYTES and grown > GROWN_BY_PART * process.first_bytes


def _grown(process: ProcessMemory) -> str:
    minutes = round((process.until - process.since) / timedelta(minutes=1))
    first, last = process.first_bytes / MEGA, process.last_bytes / MEGA
    unit = "minute" if minutes == 1 else "minutes"
    return f"Process {process.process} has grown from {first:.0f} to {last:.0f} MB within {minutes} {unit}."


def judge_disk(found: DiskVitals) -> Check:
    figures: dict[str, Figure] = {
        "path": str(found.path),
        "total_bytes": found.total_bytes,
        "free_bytes": found.free_bytes,
    }
    left = found.free_bytes / found.total_bytes if found.total_bytes else 1.0
    message = f"{found.free_bytes / GIGA:.1f} of {found.total_bytes / GIGA:.1f} GB are free where the home is."
    return Check(_graded(-left, -DISK_LEFT, -DISK_NEARLY_FULL), message, figures)


def _graded(value: float, warning: float, unhealthy: float) -> Status:
    """Above the one it is a warning, above the other worse."""
    if value > unhealthy:
        return "unhealthy"
    return "warning" if value > warning else "healthy"


def judge_near(near: NearVitals, cache: Check) -> Check:
    """What a process keeps of the read models, beside the cache that it hears of changes by."""
    figures = {
        **cache.figures,
        "near_usable": near.usable,
        "near_documents": near.documents,
        "near_bytes": near.bytes,
        **{f"{level}_{name}": value for level, facts in near.levels.items() for name, value in facts.items()},
    }
    if cache.status == "healthy" and near.wanted and not near.listening:
        message = f"{cache.message[:-1]}, but changes are not heard of: this process keeps no documents for now."
        return Check("warning", message, figures)
    if cache.status == "healthy" and near.failing:
        message = f"{cache.message[:-1]}, but failed this process a moment ago: it reads from PostgreSQL for now."
        return Check("warning", message, figures)
    return Check(cache.status, cache.message, figures)
