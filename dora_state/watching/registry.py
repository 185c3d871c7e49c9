"""All metrics of one process for one tenant. Imported when somebody asks for them: the library takes a while."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dora_state.platform import Platform
from dora_state.watching.health_metrics import GatheredCollector, queue_of
from dora_state.watching.release import release
from dora_state.watching.request_metrics import RequestCollector
from infrastructure.metrics import ProjectionCollector, ReadCollector, new_registry
from infrastructure.question_metrics import QuestionCollector
from infrastructure.queue_metrics import QueueCollector
from infrastructure.write_metrics import BusCollector, LockCollector, PoolCollector


class ReleaseCollector(Collector):
    """Which release this is."""

    def collect(self) -> Iterator[Metric]:
        told = GaugeMetricFamily("dora_state_release", "Always 1, with the release.", labels=("version",))
        told.add_metric((release(),), 1)
        yield told


def registry_of(platform: Platform) -> CollectorRegistry:
    """For whoever serves them: what this process counts, and what it gathers from now on, since somebody asks."""
    platform.gathered.wanted.set()
    tenant = platform.settings.tenant
    pools = {"writer": platform.writer_pool, "projector": platform.projector_pool}
    if platform.replica is not None:
        pools["replica"] = platform.replica.pool
    registry = new_registry(
        ReleaseCollector(),
        ReadCollector(tenant, platform.caches.meter, platform.caches.near),
        ProjectionCollector(tenant, {one.projection.name: one.figures for one in platform.runners}),
        QuestionCollector(tenant, platform.questions),
        BusCollector(tenant, platform.bus, platform.committer),
        RequestCollector(tenant, platform.requests),
        LockCollector(tenant, platform.locks.figures),
        QueueCollector(tenant, platform.queue_figures, lambda: queue_of(platform.gathered.health)),
        PoolCollector(tenant, pools),
        GatheredCollector(tenant, platform.gathered),
    )
    for collect in (ProcessCollector, PlatformCollector, GCCollector):
        collect(registry=registry)
    return registry
