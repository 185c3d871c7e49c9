"""The queue of commands as metrics for Prometheus."""

from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from commands.envelope import Outcome
from infrastructure.queue_figures import ConsumerFigures, QueueFigures


class QueueCollector(Collector):
    """How the queue was when it was looked at last, and what this process did.

    Who takes from it looks each three seconds; others ask with their health (`asked`), so that it is seen that nobody
    takes.
    """

    def __init__(self, tenant: str, figures: ConsumerFigures, asked: Callable[[], QueueFigures | None]) -> None:
        self._tenant = tenant
        self._figures = figures
        self._asked = asked

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "dora_state_queue_answers", "Commands of the queue answered here.", labels=("tenant", "outcome")
        )
        for outcome in get_args(Outcome):
            answers.add_metric((self._tenant, outcome), self._figures.outcomes[outcome])
        yield answers
        yield self._counter("dora_state_queue_retries", "Tries beyond the first.", self._figures.retries)
        yield self._counter("dora_state_queue_buried", "Messages that became dead letters here.", self._figures.buried)
        if (queue := self._figures.queue or self._asked()) is not None:
            yield from self._queue(queue)

    def _queue(self, queue: QueueFigures) -> Iterator[Metric]:
        yield self._gauge("dora_state_queue_waiting", "Commands that wait for a worker.", queue.waiting)
        yield self._gauge("dora_state_queue_in_hand", "Commands that workers have taken.", queue.in_hand)
        yield self._gauge("dora_state_queue_dead", "Messages that became no command.", queue.dead)
        yield self._gauge("dora_state_queue_delayed", "Messages for later, which nobody takes.", queue.delayed)
        oldest = queue.oldest_seconds or 0.0
        yield self._gauge("dora_state_queue_oldest_seconds", "How long the next command has waited.", oldest)

    def _counter(self, name: str, told: str, value: float) -> CounterMetricFamily:
        counter = CounterMetricFamily(name, told, labels=("tenant",))
        counter.add_metric((self._tenant,), value)
        return counter

    def _gauge(self, name: str, told: str, value: float) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(name, told, labels=("tenant",))
        gauge.add_metric((self._tenant,), value)
        return gauge
