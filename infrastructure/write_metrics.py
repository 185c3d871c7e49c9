"""What a process counts of its commands, its locks and its connections, as metrics for Prometheus."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from commands.bus import CommandBus
from commands.committer import Committer
from infrastructure.locks import BOUNDS, LockFigures
from infrastructure.metrics import buckets, counter, gauge, histogram
from infrastructure.pools import Pool


class BusCollector(Collector):
    """The metrics of one tenant's commands in this process."""

    def __init__(self, tenant: str, bus: CommandBus, committer: Committer) -> None:
        self._tenant = tenant
        self._bus = bus
        self._committer = committer

    def collect(self) -> Iterator[Metric]:
        tenant, figures, committer = self._tenant, self._bus.figures, self._committer
        answers = CounterMetricFamily(
            "dora_state_commands", "Commands answered, by type and outcome.", labels=("tenant", "type", "outcome")
        )
        for type, outcome, count in figures.counts():
            answers.add_metric((tenant, type, outcome), count)
        yield answers
        yield histogram("dora_state_command_seconds", "From submission to answer.", tenant, figures.commands)
        yield histogram("dora_state_append_seconds", "How long an append of a group took.", tenant, figures.appends)
        yield histogram("dora_state_group_commands", "Commands that were appended at once.", tenant, figures.groups)
        yield counter("dora_state_commands_repeated", "Commands whose id was known.", tenant, figures.repeated)
        yield counter("dora_state_commands_busy", "Commands that found the queue full.", tenant, figures.busy)
        yield gauge("dora_state_queue_commands", "Commands that wait to be decided.", tenant, self._bus.waiting)
        yield gauge("dora_state_queue_limit", "How many may wait.", tenant, self._bus.queue_size)
        yield counter("dora_state_appended_events", "Events appended by this process.", tenant, committer.events)
        yield counter("dora_state_commands_lost", "Decided again after a conflict.", tenant, committer.lost)
        yield counter("dora_state_appends_resent", "Sent again, as no answer came.", tenant, committer.resent)


class LockCollector(Collector):
    """The metrics of the exclusive locks that this process takes of one tenant."""

    def __init__(self, tenant: str, figures: LockFigures) -> None:
        self._tenant = tenant
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        tenant, figures = self._tenant, self._figures
        ends = CounterMetricFamily(
            "dora_state_locks", "Locks asked for, by how that ended.", labels=("tenant", "outcome")
        )
        for outcome, count in (
            ("taken", figures.taken),
            ("timeout", figures.timeouts),
            ("deadlock", figures.deadlocks),
        ):
            ends.add_metric((tenant, outcome), count)
        yield ends
        yield counter("dora_state_locks_lost", "Locks lost while they were held.", tenant, figures.losses)
        yield gauge("dora_state_locks_waiting", "Locks that this process waits for now.", tenant, figures.waiting)
        yield gauge("dora_state_locks_held", "Locks that this process holds now.", tenant, figures.held)
        waits = HistogramMetricFamily(
            "dora_state_lock_wait_seconds", "How long a lock was waited for.", labels=("tenant",)
        )
        waits.add_metric((tenant,), buckets(BOUNDS, list(figures.waits)), figures.seconds)
        yield waits


class PoolCollector(Collector):
    """The metrics of this process's connections to PostgreSQL, by pool."""

    def __init__(self, tenant: str, pools: Mapping[str, Pool]) -> None:
        self._tenant = tenant
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        names = ("tenant", "pool")
        size = GaugeMetricFamily("dora_state_pool_connections", "Connections there are.", labels=names)
        idle = GaugeMetricFamily("dora_state_pool_idle_connections", "Connections that nobody uses.", labels=names)
        waiting = GaugeMetricFamily("dora_state_pool_waiting", "Who waits for a connection.", labels=names)
        asked = CounterMetricFamily("dora_state_pool_requests", "How often a connection was asked for.", labels=names)
        wait = CounterMetricFamily("dora_state_pool_wait_seconds", "Time spent waiting for one.", labels=names)
        failed = CounterMetricFamily("dora_state_pool_errors", "Requests that got no connection.", labels=names)
        for name, pool in self._pools.items():
            about, told = (self._tenant, name), pool.get_stats()
            size.add_metric(about, told.get("pool_size", 0))
            idle.add_metric(about, told.get("pool_available", 0))
            waiting.add_metric(about, told.get("requests_waiting", 0))
            asked.add_metric(about, told.get("requests_num", 0))
            wait.add_metric(about, told.get("requests_wait_ms", 0) / 1000)
            failed.add_metric(about, told.get("requests_errors", 0))
        yield from (size, idle, waiting, asked, wait, failed)
