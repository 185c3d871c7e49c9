"""What a process counts of its reads: plain numbers, so that counting costs next to nothing."""

from bisect import bisect_left
from dataclasses import dataclass, field

from infrastructure.near.near_copies import NearFigures
from projections.cache_ports import Level

BOUNDS = (1e-6, 2.5e-6, 5e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0)
"""Of latencies, in seconds: from a look in memory to a server that is away."""


@dataclass(slots=True)
class LevelFigures:
    """`bytes` are those of the documents found there; latencies are of hits and misses."""

    hits: int = 0
    misses: int = 0
    bytes: int = 0
    seconds: float = 0.0
    times: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def took(self, seconds: float) -> None:
        self.seconds += seconds
        self.times[bisect_left(BOUNDS, seconds)] += 1

    @property
    def median(self) -> float | None:
        """To the next bound above it; None before anything was measured."""
        half, so_far = sum(self.times) / 2, 0
        for bound, times in zip((*BOUNDS, float("inf")), self.times, strict=True):
            so_far += times
            if half and so_far >= half:
                return bound
        return None


class ReadMeter:
    """The port Meter, and what the near documents count themselves."""

    def __init__(self) -> None:
        self.levels: dict[Level, LevelFigures] = {"l1": LevelFigures(), "l2": LevelFigures(), "l3": LevelFigures()}

    def hit(self, level: Level, seconds: float, size: int) -> None:
        figures = self.levels[level]
        figures.hits += 1
        figures.bytes += size
        figures.took(seconds)

    def missed(self, level: Level, seconds: float) -> None:
        figures = self.levels[level]
        figures.misses += 1
        figures.took(seconds)

    def told(self, near: NearFigures) -> dict[str, dict[str, float | None]]:
        """Hits, misses and the median latency of each level; L1 counts its looks itself."""
        l1 = self.levels["l1"]
        l1.hits, l1.misses = near.hits, near.misses
        return {
            level: {"hits": figures.hits, "misses": figures.misses, "median_seconds": figures.median}
            for level, figures in self.levels.items()
        }
