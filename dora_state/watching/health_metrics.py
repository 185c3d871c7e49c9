"""Health and sizes as metrics for Prometheus: what was gathered last, and when that was."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dora_state.health import HealthReport
from dora_state.watching.gathering import Gathered
from infrastructure.metrics import counter, gauge
from infrastructure.queue_figures import QueueFigures
from infrastructure.storage import Storage

DAY = 86_400
GRADES: Mapping[str, int] = {"healthy": 0, "warning": 1, "unhealthy": 2}


class Figure(NamedTuple):
    """A figure of a check, and its metric."""

    check: str
    figure: str
    metric: str
    told: str
    times: float = 1.0


GAUGES = (
    Figure("database", "bytes", "dora_state_database_bytes", "Size of the database, all tenants."),
    Figure("database", "connections", "dora_state_database_connections", "Connections to the database."),
    Figure("database", "max_connections", "dora_state_database_max_connections", "Connections the server takes."),
    Figure("transactions", "seconds", "dora_state_transaction_seconds", "How long the least transaction took."),
    Figure("snapshots", "oldest_seconds", "dora_state_oldest_transaction_seconds", "Age of the oldest open one."),
    Figure("projection", "position", "dora_state_log_position", "The last position of the log."),
    Figure("months", "days_ahead", "dora_state_months_ahead_seconds", "Until the last month made ends.", DAY),
    Figure("clock", "offset_seconds", "dora_state_clock_offset_seconds", "The database's clock ahead of ours."),
    Figure("clock", "set_seconds", "dora_state_clock_set_seconds", "The tenant's clock ahead of the database's."),
    Figure("clock", "last_recorded_ahead_seconds", "dora_state_last_event_ahead_seconds", "Ahead of its clock."),
    Figure("dead_letters", "count", "dora_state_dead_letters", "Events that their document could not take."),
    Figure("cache", "seconds", "dora_state_cache_seconds", "How long Redis took to answer."),
    Figure("cache", "used_bytes", "dora_state_cache_used_bytes", "Memory that Redis uses."),
    Figure("cache", "max_bytes", "dora_state_cache_max_bytes", "Memory that Redis may use."),
    Figure(
        "memory",
        "available_bytes",
        "dora_state_memory_available_bytes",
        "Memory that is left, of the machine or of the container's limit.",
    ),
    Figure("disk", "free_bytes", "dora_state_disk_free_bytes", "Free where the home is."),
    Figure("disk", "total_bytes", "dora_state_disk_total_bytes", "All where the home is."),
    Figure("replica", "lag_seconds", "dora_state_replica_lag_seconds", "How far the reading replica is behind."),
)
COUNTERS = (
    Figure("transactions", "committed", "dora_state_database_commits", "Transactions committed, of all logins."),
    Figure("transactions", "rolled_back", "dora_state_database_rollbacks", "Transactions rolled back, of all logins."),
    Figure("replica", "asked", "dora_state_replica_questions", "Questions answered by the reading replica."),
    Figure("replica", "fell_back", "dora_state_replica_fallbacks", "Questions that the primary answered after all."),
    Figure("transactions", "deadlocks", "dora_state_database_deadlocks", "Deadlocks PostgreSQL found, of all logins."),
)
PROJECTIONS = (
    ("checkpoint", "dora_state_projection_checkpoint", "The last position a projection includes, whoever runs it."),
    ("lag_positions", "dora_state_projection_behind_events", "Events that a projection lacks."),
    ("lag_seconds", "dora_state_projection_behind_seconds", "Age of the first event that a projection lacks."),
)


class GatheredCollector(Collector):
    """What was gathered last; nothing where nothing was."""

    def __init__(self, tenant: str, gathered: Gathered) -> None:
        self._tenant = tenant
        self._gathered = gathered

    def collect(self) -> Iterator[Metric]:
        report, storage = self._gathered.health, self._gathered.storage
        if report is not None:
            yield from self._health(report)
            at = self._gathered.health_at or 0.0
            yield gauge("dora_state_health_timestamp_seconds", "When health was asked last.", self._tenant, at)
        if storage is not None:
            yield from self._storage(storage)

    def _health(self, report: HealthReport) -> Iterator[Metric]:
        grades = GaugeMetricFamily(
            "dora_state_health", "0 healthy, 1 a warning, 2 unhealthy, by check.", labels=("tenant", "check")
        )
        for name, check in report.checks.items():
            grades.add_metric((self._tenant, name), GRADES[check.status])
        yield grades
        for make, figures in ((gauge, GAUGES), (counter, COUNTERS)):
            for one in figures:
                check_found = report.checks.get(one.check)
                value = None if check_found is None else check_found.figures.get(one.figure)
                if isinstance(value, int | float):
                    yield make(one.metric, one.told, self._tenant, value * one.times)
        if (projection := report.checks.get("projection")) is not None:
            found: Any = projection.figures["projections"]
            yield from self._projections(found)

    def _projections(self, found: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
        halted = GaugeMetricFamily(
            "dora_state_projection_halted", "1 where a projection can't go on.", labels=("tenant", "projection")
        )
        for one in found:
            halted.add_metric((self._tenant, one["name"]), one["halted_since"] is not None)
        yield halted
        for key, name, told in PROJECTIONS:
            metric = GaugeMetricFamily(name, told, labels=("tenant", "projection"))
            for one in found:
                metric.add_metric((self._tenant, one["name"]), one[key])
            yield metric

    def _storage(self, storage: Storage) -> Iterator[Metric]:
        months = GaugeMetricFamily(
            "dora_state_log_bytes", "Size of the log with its indexes, by month.", labels=("tenant", "month")
        )
        tables = GaugeMetricFamily(
            "dora_state_table_bytes", "Size of all other tables with their indexes.", labels=("tenant", "table")
        )
        for metric, sizes in ((months, storage.months), (tables, storage.tables)):
            for name, size in sizes.items():
                metric.add_metric((self._tenant, name), size)
            yield metric


def queue_of(report: HealthReport | None) -> QueueFigures | None:
    """How the queue of commands was; None where there is none, or it could not be looked at."""
    check = None if report is None else report.checks.get("queue")
    if check is None or "waiting" not in check.figures:
        return None
    found: Any = check.figures
    return QueueFigures(*(found[one.name] for one in fields(QueueFigures)))
