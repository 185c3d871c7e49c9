"""Whether a process can work: asked of the database once a second at most, however many ask, and never for long."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from domain.errors import DoraStateError
from dora_state.health.judging import Check
from infrastructure import sql
from infrastructure.event_store.errors import domain_errors
from infrastructure.pools import Pool

KNOWN_SECONDS = 1.0
"""How long an answer is good for."""
PATIENCE = 1.0
"""Seconds after which a database that does not answer counts as away."""
CANT_WORK = "The log can't be written to just now."
"""Why a process is not ready, for those who sent no key: more, such as where the database is, is nobody's business."""
Ask = Callable[[], Awaitable[Check]]


class Readiness:
    """One look serves all who ask meanwhile; a look that takes long goes on, and is joined by who asks next."""

    def __init__(self, ask: Ask, patience: float = PATIENCE) -> None:
        self._ask = ask
        self._patience = patience
        self._looking: asyncio.Task[Check] | None = None
        self._known: tuple[float, Check] | None = None

    async def judge(self) -> Check:
        """Never raises, and takes no longer than the patience."""
        if self._known is not None and time.monotonic() - self._known[0] < KNOWN_SECONDS:
            return self._known[1]
        looking = self._looking
        if looking is None:
            looking = self._looking = asyncio.create_task(self._look(), name="readiness")
        await asyncio.wait({looking}, timeout=self._patience)
        if looking.done():
            return looking.result()
        return Check("unhealthy", f"PostgreSQL did not answer within {self._patience:g} seconds; see what holds it up.")

    async def close(self) -> None:
        """Ends a look that still goes on."""
        while self._looking is not None:
            # More than once: `asyncio.wait_for`, which the driver's pool uses, may lose a cancellation on 3.11.
            self._looking.cancel()
            await asyncio.wait({self._looking}, timeout=1)

    async def _look(self) -> Check:
        try:
            check = await self._ask()
        except DoraStateError as error:
            check = Check("unhealthy", error.message)
        finally:
            self._looking = None
        self._known = time.monotonic(), check
        return check


async def ask_database(pool: Pool) -> Check:
    """Whether the log can be read and written. Raises LogError."""
    with domain_errors():
        async with pool.connection() as connection:
            rows = await (await connection.execute(sql.load("health/ready"))).fetchall()
    if rows and rows[0][0]:
        return Check("unhealthy", "PostgreSQL is a standby: nothing can be appended; name the primary.")
    return Check("healthy", "Commands and questions are taken.")
