"""How a tenant is: its read models, its months, its dead letters, and whether it is live."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.values import iso
from dora_state.health.judging import Check, Figure, Figures, Status, graded, line
from infrastructure.vitals import ProjectionVitals, TenantVitals
from projections.projection import PROJECTIONS

LAG = 30.0
LONG_LAG = 300.0
MONTHS_AHEAD = timedelta(days=28)
LAST_DAYS = timedelta(days=3)
SEVERITY: Mapping[Status, int] = {"healthy": 0, "warning": 1, "unhealthy": 2}


def judge_projection(tenant: TenantVitals, clock: datetime, name: str) -> Check:
    """The status of the one that is worst, how far back the last one is, and each by itself."""
    found = [_judged(one, tenant, clock, name) for one in tenant.projections]
    last = min((figures for figures, _ in found), key=lambda figures: figures["checkpoint"])
    worst = max(found, key=lambda one: (SEVERITY[one[1].status], one[0]["lag_positions"]))[1]
    figures: Figures = {
        "position": tenant.position,
        **{key: last[key] for key in ("checkpoint", "lag_positions", "lag_seconds")},
        "projections": [one for one, _ in found],
    }
    return Check(worst.status, worst.message, figures)


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
            f"build it anew with `{line(name, f'rebuild {one.name}')}`" if one.version < ours else "a later one runs it"
        )
        message = f"The projection {one.name} is of version {one.version} and this release has version {ours}: {what}."
        status = max("warning", graded(seconds, LAG, LONG_LAG), key=lambda found: SEVERITY[found])
        if status == "unhealthy":
            message = f"{message[:-1]}; now nobody does, and it is {behind} events behind, {seconds:.0f} s."
        return figures, Check(status, message)
    if not behind:
        return figures, Check("healthy", f"The read models are at the log's end, position {tenant.position}.")
    status = graded(seconds, LAG, LONG_LAG)
    advice = "" if status == "healthy" else f": run `{line(name, 'worker')}`"
    return figures, Check(status, f"The projection {one.name} is {behind} events behind, {seconds:.0f} s{advice}.")


def judge_months(tenant: TenantVitals, clock: datetime, name: str) -> Check:
    end = tenant.months_end
    # As they are made: by the server's clock, or from the last event on where that lies ahead.
    left = end - max(clock, tenant.last_recorded_at or clock) if end is not None else timedelta(0)
    figures: dict[str, Figure] = {
        "end": iso(end) if end is not None else None,
        "days_ahead": round(left / timedelta(days=1), 1),
    }
    if left >= MONTHS_AHEAD:
        return Check("healthy", f"Months are made {left.days} days ahead.", figures)
    status: Status = "warning" if left >= LAST_DAYS else "unhealthy"
    return Check(status, f"Months are made only {max(left.days, 0)} days ahead: run `{line(name, 'init')}`.", figures)


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
    go_on = line(name, "import xes FILE --continue")
    message = f"The tenant is importing; if no import runs, go on with `{go_on}`."
    return Check("warning", message, figures)
