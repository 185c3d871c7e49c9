"""What is known of the queue of commands, for health and metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How the queue is. `waiting` for a worker, `in_hand` of workers; `oldest_seconds` is how long the next one has
    waited, None with none. `delayed` are messages for later, which nobody takes."""

    waiting: int
    in_hand: int
    dead: int
    delayed: int
    oldest_seconds: float | None


@dataclass(slots=True)
class ConsumerFigures:
    """What this process did: answers by outcome, tries beyond the first, dead letters; and how the queue was last."""

    outcomes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    buried: int = 0
    queue: QueueFigures | None = None

    @property
    def answered(self) -> int:
        return self.outcomes.total()
