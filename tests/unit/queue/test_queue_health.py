"""How the queue is judged."""

from dataclasses import replace

import pytest

from dora_state.health.judging import Status
from dora_state.health.queue import judge_queue
from infrastructure.command_queue import Fitness
from infrastructure.queue_figures import QueueFigures

FIT = Fitness("noeviction", persists=True, is_cluster=False, used=0.1)
CALM = QueueFigures(waiting=0, in_hand=0, dead=0, delayed=0, oldest_seconds=None)


@pytest.mark.parametrize(
    ("fitness", "found", "named", "status", "words"),
    [
        (FIT, CALM, True, "healthy", "0 commands wait"),
        (FIT, replace(CALM, waiting=9, oldest_seconds=29.0), True, "healthy", "9 commands wait"),
        (FIT, replace(CALM, waiting=9, oldest_seconds=31.0), True, "warning", "the next for 31 s"),
        (FIT, replace(CALM, waiting=9, oldest_seconds=301.0), True, "unhealthy", "the next for 301 s"),
        (FIT, replace(CALM, dead=2), True, "warning", "queue list"),
        (FIT, replace(CALM, delayed=2), True, "warning", "without a delay"),
        (replace(FIT, used=0.85), CALM, True, "warning", "full to 85%"),
        (replace(FIT, persists=False), CALM, True, "warning", "appendonly yes"),
        (replace(FIT, persists=False), CALM, False, "healthy", "0 commands wait"),
        (replace(FIT, eviction="allkeys-lru"), CALM, True, "unhealthy", "maxmemory-policy noeviction"),
        (replace(FIT, eviction="allkeys-lru"), CALM, False, "healthy", "no broker is set"),
    ],
)
def test_the_queue_is_judged_by_what_waits_and_by_its_broker(
    fitness: Fitness, found: QueueFigures, named: bool, status: Status, words: str
) -> None:
    check = judge_queue(fitness, found, named=named)
    assert (check.status, words in check.message) == (status, True), check.message
