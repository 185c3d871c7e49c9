"""How much one caller may ask for, and how much the server takes at all."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dora_state.http.problems import RequestError

MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """`rate`: requests a second of one caller, a command of an array counted as one; 0 sets no limit.

    Seconds: `body_seconds` until a body is there, `answer_seconds` until an answer is, exports and streams aside.
    """

    rate: float = 50_000.0
    body_bytes: int = 2 * 2**20
    bodies_bytes: int = 64 * 2**20
    """Of all requests that are read or answered at once; read as JSON they take some times as much memory."""
    streams: int = 2_000
    resume_seconds: float = 3_600.0
    """How long ago what a stream of events begins with may have been recorded, for who may not look at the past."""
    body_seconds: float = 20.0
    answer_seconds: float = 10.0
    patience: float = 10.0
    """The longest that a reader may have the read models waited for."""


class BodyRoom:
    """The bodies that are in hand: of many at once, each within its limit, memory would be full."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> RequestError | None:
        """Why not, where there is no room."""
        if self.held + size > self._most:
            return RequestError(
                "busy",
                f"Bodies of {self.held:,} bytes are in hand, and {self._most:,} may be; try again in a moment.",
                {"Connection": "close"},
            )
        self.held += size
        return None

    def give_back(self, size: int) -> None:
        self.held -= size


class RateLimit:
    """A bucket of tokens for each caller: it holds those of a second, and fills evenly."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, count: int = 1) -> None:
        """Raises RequestError that says how long to wait. More than a bucket holds is let through when it is full."""
        if self._rate <= 0:
            return
        now = self._clock()
        left, filled = self._buckets.get(caller, (self._rate, now))
        left = min(self._rate, left + (now - filled) * self._rate)
        needed = min(count, self._rate)
        if left < needed:
            seconds = math.ceil((needed - left) / self._rate)
            raise RequestError(
                "too_many_requests",
                f"{caller} asks for more than {self._rate:g} a second; try again in {seconds} s.",
                {"Retry-After": str(seconds)},
                per_second=self._rate,
            )
        self._buckets[caller] = (left - count, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
