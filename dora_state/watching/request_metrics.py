"""Requests of HTTP as metrics for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dora_state.watching.requests import METHODS, RequestFigures
from infrastructure.metrics import gauge, histogram


class RequestCollector(Collector):
    """Nothing but zeros in a process that serves no HTTP."""

    def __init__(self, tenant: str, figures: RequestFigures) -> None:
        self._tenant = tenant
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        tenant, figures = self._tenant, self._figures
        requests = CounterMetricFamily(
            "dora_state_http_requests",
            "Requests answered, by method, route and status.",
            labels=("tenant", "method", "route", "status"),
        )
        for (method, route, status), count in list(figures.requests.items()):
            requests.add_metric((tenant, method, route, str(status)), count)
        yield requests
        away = CounterMetricFamily(
            "dora_state_http_unavailable",
            "Requests answered 503, by method; without those for locks, and of health, whose answer it is.",
            labels=("tenant", "method"),
        )
        for asked in sorted(METHODS):
            away.add_metric((tenant, asked), figures.unavailable(asked))
        yield away
        yield histogram("dora_state_http_request_seconds", "To where the answer begins.", tenant, figures.seconds)
        yield gauge("dora_state_http_requests_open", "Requests that are being served.", tenant, figures.open)
