"""What is tried again, how often, and with which pauses."""

from collections.abc import Iterator
from dataclasses import dataclass

OUTAGES = frozenset({"log_unavailable", "busy", "closed", "importing", "clock_ahead"})
"""With these nothing can be taken just now, whatever it is."""
FINAL = frozenset({"lock_lost"})
"""Failed for ever: no try will be better."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses are in seconds, each twice the one before up to a longest.

    `held`: how often the queue waits out an outage before it lets what is in hand be overtaken.
    """

    shortest: float = 0.1
    longest: float = 5.0
    held: int = 20
    first_retry: float = 0.5
    last_retry: float = 30.0
    most_attempts: int = 8

    def broker(self) -> Iterator[float]:
        return _growing(self.shortest, self.longest)

    def outage(self) -> Iterator[float]:
        pauses = _growing(self.shortest, self.longest)
        return (next(pauses) for _ in range(self.held))

    def attempts(self) -> Iterator[float]:
        return _growing(self.first_retry, self.last_retry)


PATIENCE = Patience()


def _growing(pause: float, longest: float) -> Iterator[float]:
    while True:
        yield pause
        pause = min(2 * pause, longest)
