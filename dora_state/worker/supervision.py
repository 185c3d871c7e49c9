"""Keeps the parts of the worker going: one that fails is begun again, after pauses that grow."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from domain.errors import DoraStateError, without_advice
from dora_state.resting import rest

SHORTEST, LONGEST = 0.1, 30.0
"""Seconds between two beginnings."""
WELL = 60.0
"""Who has run for so many seconds is no crash loop."""
logger = logging.getLogger(__name__)


class Pauses:
    """How long to wait after each failure: twice as long as the time before, unless it went well in between."""

    def __init__(
        self, shortest: float = SHORTEST, longest: float = LONGEST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shortest = shortest
        self._longest = longest
        self._clock = clock
        self._pause = 0.0
        self._ready_at = clock()

    def after_failure(self) -> float:
        """The seconds to wait now."""
        ran = self._clock() - self._ready_at
        self._pause = self._shortest if ran >= WELL else min(max(2 * self._pause, self._shortest), self._longest)
        self._ready_at = self._clock() + self._pause
        return self._pause

    def are_over(self) -> bool:
        return self._clock() >= self._ready_at


async def keep_going(what: str, work: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
    """Run `work` until `stop` is set, which it is given and has to heed; whatever it raises is logged."""
    pauses = Pauses()
    while not stop.is_set():
        try:
            await work(stop)
        except Exception as error:
            pause = pauses.after_failure()
            if isinstance(error, DoraStateError):
                logger.warning("The %s begins again in %.1f s: %s", what, pause, without_advice(error))
            else:
                logger.error("The %s failed, and begins again in %.1f s", what, pause, exc_info=error)
            await rest(stop, pause)
