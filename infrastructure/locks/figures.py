"""What a process counts of the locks that it takes."""

from bisect import bisect_left
from dataclasses import dataclass, field

BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
"""Of waits, in seconds."""


@dataclass(slots=True)
class LockFigures:
    """What this process has waited for. `waiting` and `held` are now, all else is counted."""

    taken: int = 0
    timeouts: int = 0
    deadlocks: int = 0
    losses: int = 0
    waiting: int = 0
    held: int = 0
    seconds: float = 0.0
    waits: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def waited(self, seconds: float) -> None:
        self.seconds += seconds
        self.waits[bisect_left(BOUNDS, seconds)] += 1
