"""A process's figures as metrics for Prometheus, gathered when somebody asks."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from commands.figures import Spread
from infrastructure.near import NearDocuments
from infrastructure.read_meter import BOUNDS, ReadMeter
from projections.running_figures import BOUNDS as LAGS
from projections.running_figures import RunningFigures


class ReadCollector(Collector):
    """The metrics of one tenant's reads in this process. L1's latencies are of one look in 256."""

    def __init__(self, tenant: str, meter: ReadMeter, near: NearDocuments) -> None:
        self._tenant = tenant
        self._meter = meter
        self._near = near

    def collect(self) -> Iterator[Metric]:
        near = self._near.figures
        self._meter.told(near)
        looks = CounterMetricFamily(
            "dora_state_reads", "Documents looked for, by level and outcome.", labels=("tenant", "level", "outcome")
        )
        size = CounterMetricFamily(
            "dora_state_read_bytes", "Bytes of the documents found in Redis and PostgreSQL.", labels=("tenant", "level")
        )
        times = HistogramMetricFamily(
            "dora_state_read_seconds", "How long a look took, hit or miss.", labels=("tenant", "level")
        )
        for level, figures in self._meter.levels.items():
            looks.add_metric((self._tenant, level, "hit"), figures.hits)
            looks.add_metric((self._tenant, level, "miss"), figures.misses)
            times.add_metric((self._tenant, level), buckets(BOUNDS, figures.times), figures.seconds)
            if level != "l1":
                size.add_metric((self._tenant, level), figures.bytes)
        yield from (looks, size, times)
        yield gauge("dora_state_l1_bytes", "Memory of the documents kept in this process.", self._tenant, near.bytes)
        yield gauge("dora_state_l1_documents", "Documents kept in this process.", self._tenant, self._near.count)
        usable = int(self._near.usable)
        yield gauge("dora_state_l1_usable", "1 while changes are heard of, else 0.", self._tenant, usable)
        gone = CounterMetricFamily(
            "dora_state_l1_dropped", "Documents that went from this process, by why.", labels=("tenant", "why")
        )
        gone.add_metric((self._tenant, "changed"), near.invalidated)
        gone.add_metric((self._tenant, "room"), near.evicted)
        yield gone


class ProjectionCollector(Collector):
    """The metrics of one tenant's projections, as far as this process has run them."""

    def __init__(self, tenant: str, runners: Mapping[str, RunningFigures]) -> None:
        self._tenant = tenant
        self._runners = runners

    def collect(self) -> Iterator[Metric]:
        names = ("tenant", "projection")
        events = CounterMetricFamily("dora_state_projected_events", "Events applied here.", labels=names)
        busy = CounterMetricFamily("dora_state_projecting_seconds", "Time spent on batches.", labels=names)
        failed = CounterMetricFamily(
            "dora_state_projection_failures", "Batches that failed, by the error's code.", labels=(*names, "code")
        )
        position = GaugeMetricFamily("dora_state_projection_position", "The last position applied here.", labels=names)
        lag = HistogramMetricFamily(
            "dora_state_projection_lag_seconds", "Age of a batch's last event when it was kept.", labels=names
        )
        for name, figures in self._runners.items():
            about = (self._tenant, name)
            events.add_metric(about, figures.events)
            busy.add_metric(about, figures.seconds)
            position.add_metric(about, figures.position)
            lag.add_metric(about, buckets(LAGS, figures.lags), figures.lag_seconds)
            for code, count in figures.failures.items():
                failed.add_metric((*about, code), count)
        yield from (events, busy, failed, position, lag)


def new_registry(*collectors: Collector) -> CollectorRegistry:
    """A registry with the metrics of one platform; whoever serves metrics reads it."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


def buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket what is in those below it, too."""
    so_far, buckets = 0, []
    for bound, times in zip((*bounds, float("inf")), counts, strict=True):
        so_far += times
        buckets.append((floatToGoString(bound), float(so_far)))  # type: ignore[no-untyped-call]  # it has no types
    return buckets


def gauge(name: str, told: str, tenant: str, value: float) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, told, labels=("tenant",))
    gauge.add_metric((tenant,), value)
    return gauge


def counter(name: str, told: str, tenant: str, value: float) -> CounterMetricFamily:
    """`name` without the ending `_total`, which all counters have."""
    counter = CounterMetricFamily(name, told, labels=("tenant",))
    counter.add_metric((tenant,), value)
    return counter


def histogram(name: str, told: str, tenant: str, spread: Spread) -> HistogramMetricFamily:
    histogram = HistogramMetricFamily(name, told, labels=("tenant",))
    histogram.add_metric((tenant,), buckets(spread.bounds, list(spread.counts)), spread.sum)
    return histogram
