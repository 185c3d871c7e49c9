"""How the database server is: whether it answers, how quickly, what holds it up, and its clock."""

from dora_state.health.judging import Check, Figure, graded, line
from infrastructure.vitals import DatabaseVitals, TenantVitals

SLOW_TRANSACTION = 0.5
VERY_SLOW_TRANSACTION = 5.0
LONG_TRANSACTION = 60.0
VERY_LONG_TRANSACTION = 900.0
CLOCK_OFFSET = 2.0


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
        message = f"PostgreSQL answers, but tenant {tenant} is not set up: run `{line(tenant, 'init')}`."
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
    return Check(graded(seconds, SLOW_TRANSACTION, VERY_SLOW_TRANSACTION), message, figures)


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
    status = graded(oldest.seconds, LONG_TRANSACTION, VERY_LONG_TRANSACTION)
    message = f"The oldest open transaction is {oldest.seconds:.1f} s old."
    if status != "healthy":
        message = (
            f"{message[:-1]} (process {oldest.pid}, {oldest.application or 'unnamed'}): end it, it slows all down."
        )
    return Check(status, message, figures)


def judge_clock(found: DatabaseVitals, tenant: TenantVitals) -> Check:
    last = tenant.last_recorded_at
    ahead = max((last - found.log_clock).total_seconds(), 0.0) if last is not None else 0.0
    figures: dict[str, Figure] = {
        "offset_seconds": round(found.clock_offset, 4),
        "set_seconds": round(tenant.clock_set_seconds, 3),
        "last_recorded_ahead_seconds": round(ahead, 3),
        "bound_seconds": tenant.clock_bound_seconds,
    }
    if ahead > tenant.clock_bound_seconds:
        message = f"The last event lies {ahead:.0f} s ahead of the database's clock: nothing can be appended, mend it."
        return Check("unhealthy", message, figures)
    if ahead > CLOCK_OFFSET:
        return Check("warning", f"The last event lies {ahead:.1f} s ahead of the database's clock: mend it.", figures)
    if abs(tenant.clock_set_seconds) > CLOCK_OFFSET:
        away = "ahead of" if tenant.clock_set_seconds > 0 else "behind"
        message = (
            f"The tenant's clock is set {abs(tenant.clock_set_seconds):.1f} s {away} the database's, as for a drill:"
            " when that is over, set `log_clock` back to clock_timestamp()."
        )
        return Check("warning", message, figures)
    if abs(found.clock_offset) > CLOCK_OFFSET:
        message = f"The database's clock and ours differ by {abs(found.clock_offset):.1f} s: mend one of them."
        return Check("warning", message, figures)
    return Check("healthy", "The clocks agree.", figures)
