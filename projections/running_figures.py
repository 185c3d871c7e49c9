"""What a runner of a projection counts of its work: plain numbers, for whoever serves metrics."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Of lags, in seconds: from what nobody notices to what somebody must look at."""


@dataclass(slots=True)
class RunningFigures:
    """Since the process began. `seconds` were spent on batches; the lag of one is the age of its last event when it was
    kept.

    `failures` are by the code of their error, halts and outages among them.
    """

    events: int = 0
    batches: int = 0
    seconds: float = 0.0
    position: int = 0
    lag: float = 0.0
    lag_seconds: float = 0.0
    lags: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    failures: Counter[str] = field(default_factory=Counter)

    def applied(self, events: int, seconds: float, position: int, lag: float) -> None:
        self.events += events
        self.batches += 1
        self.seconds += seconds
        self.position = position
        self.lag = max(lag, 0.0)
        self.lag_seconds += self.lag
        self.lags[bisect_left(BOUNDS, self.lag)] += 1
