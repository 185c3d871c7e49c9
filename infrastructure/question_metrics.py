"""What a process is asked, as metrics for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from infrastructure.metrics import buckets
from projections.questions import BOUNDS, KINDS, TIMED, Questions


class QuestionCollector(Collector):
    """The questions of one tenant in this process; all kinds are there from the beginning."""

    def __init__(self, tenant: str, questions: Questions) -> None:
        self._tenant = tenant
        self._questions = questions

    def collect(self) -> Iterator[Metric]:
        names = ("tenant", "kind")
        asked = CounterMetricFamily("dora_state_questions", "What was asked, by kind.", labels=names)
        for kind in KINDS:
            asked.add_metric((self._tenant, kind), self._questions.counts[kind])
        yield asked
        times = HistogramMetricFamily(
            "dora_state_question_seconds", "How long an answer in one piece took, by kind.", labels=names
        )
        for timed in TIMED:
            times.add_metric(
                (self._tenant, timed), buckets(BOUNDS, self._questions.times[timed]), self._questions.seconds[timed]
            )
        yield times
