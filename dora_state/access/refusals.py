"""What is refused is logged, without secrets; a flood of it fills no disk."""

import logging
import time
from collections.abc import Callable

from domain.errors import DoraStateError

logger = logging.getLogger(__name__)

BURST = 20
PER_SECOND = 1.0


class Refusals:
    """Logs so many at once, then one a second; how many were left out is told with the next that is logged."""

    def __init__(self, tenant: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._tenant = tenant
        self._clock = clock
        self._left = float(BURST)
        self._at = clock()
        self._silent = 0

    def note(self, error: DoraStateError, **about: object) -> None:
        """`about` is what else is known, such as the caller's name, where from, and what was asked for; no secrets."""
        now = self._clock()
        self._left = min(float(BURST), self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            self._silent += 1
            return
        self._left -= 1
        facts = {"code": error.code, "tenant": self._tenant, **error.facts, **about}
        also = f" ({self._silent} more were not logged)" if self._silent else ""
        self._silent = 0
        told = ", ".join(f"{name} {value}" for name, value in facts.items())
        logger.warning("Refused%s: %s [%s]", also, error.message, told, extra={"refusal": facts})
