"""Figures that are dear to get, such as health and sizes: gathered once in a while for whoever serves metrics.

Nothing is gathered before somebody asks for the metrics, so that short commands do without.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from domain.errors import DoraStateError
from dora_state.health import HealthReport
from infrastructure.storage import Storage

HEALTH_SECONDS = 15.0
STORAGE_SECONDS = 300.0
AskHealth = Callable[[], Awaitable[HealthReport]]
AskStorage = Callable[[], Awaitable[Storage]]
logger = logging.getLogger(__name__)


class Gathered:
    """What was gathered last. `health_at` is Unix time; None where nothing was yet."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.health: HealthReport | None = None
        self.health_at: float | None = None
        self.storage: Storage | None = None

    async def keep(
        self, health: Callable[[], Awaitable[HealthReport]], storage: Callable[[], Awaitable[Storage]]
    ) -> None:
        """For ever, from when it is wanted on."""
        await self.wanted.wait()
        async with asyncio.TaskGroup() as group:  # whose end is the end of both: they have connections
            group.create_task(self._keep_health(health))
            group.create_task(self._keep_storage(storage))

    async def _keep_health(self, ask: AskHealth) -> None:
        while True:
            try:
                self.health = await ask()  # an outage is what it tells, and no error
                self.health_at = time.time()
            except Exception:
                logger.exception("Health could not be asked for; it is asked again in %g s", HEALTH_SECONDS)
            await asyncio.sleep(HEALTH_SECONDS)

    async def _keep_storage(self, ask: AskStorage) -> None:
        while True:
            try:
                self.storage = await ask()
            except DoraStateError as error:
                logger.debug("Sizes are asked for again in %g s: %s", STORAGE_SECONDS, error)
            await asyncio.sleep(STORAGE_SECONDS)


@asynccontextmanager
async def gathering(gathered: Gathered, health: AskHealth, storage: AskStorage) -> AsyncIterator[None]:
    """Gathers while the block runs."""
    task = asyncio.create_task(gathered.keep(health, storage), name="gathering figures")
    try:
        yield
    finally:
        while not task.done():
            # More than once: `asyncio.wait_for`, which the driver's pool uses, may lose a cancellation on 3.11.
            task.cancel()
            await asyncio.wait({task}, timeout=1)
