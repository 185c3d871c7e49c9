"""Whether a replica may be read: looked at twice a second, for how far it is behind and whether it is one at all.

Its lag is the age of the first look at the primary that it has not replayed. So a house in which nothing is written has
none, and one whose primary is gone keeps reading what was last known.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import LogError, LogUnavailable
from infrastructure import sql
from infrastructure.database import Role, tenant_schema
from infrastructure.event_store.errors import domain_errors
from infrastructure.event_store.reading import PostgresEventReader
from infrastructure.pools import Pool, schema_pool
from infrastructure.replica.patience import Patience

LOOK_SECONDS = 0.5
PATIENCE = 3.0
"""Seconds after which a replica that does not answer is left alone."""
CONNECTION_SECONDS = 1.0
"""How long a connection to it is waited for."""
LOOKS = 600
"""So many looks at the primary are remembered: five minutes of them."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at both showed. `behind` is in bytes of the write-ahead log; None where the primary is away."""

    related: bool
    standby: bool
    position: int
    replayed: int
    behind: int | None

    @property
    def fault(self) -> str | None:
        """Why it can never be read, in words that follow 'The replica'."""
        if not self.related:
            return "belongs to another primary: correct DORA_STATE_READ_DATABASE_URL"
        if not self.standby:
            return "is no standby any more, and goes its own way: make it one again"
        return None


async def look(primary: Pool, replica: Pool, patience: Patience) -> tuple[Sight, int | None]:
    """Also how far the primary was, before the replica was asked. Raises LogUnavailable for the replica alone."""
    try:
        row = await _row(primary, "primary", patience)
    except LogError:
        row = None
    system, started, replayed, recovering, position = await _row(replica, "standby", patience)
    if row is None:
        return Sight(True, recovering, position, replayed, None), None
    same = (system, started) == (row[0], row[1])
    return Sight(system == row[0], recovering or same, position, replayed, max(row[2] - replayed, 0)), row[2]


async def _row(pool: Pool, query: str, patience: Patience) -> Any:
    """Raises LogUnavailable, also where the patience ends."""

    async def ask() -> Any:
        with domain_errors():
            async with pool.connection() as connection:
                return await (await connection.execute(sql.load(f"replica/{query}"))).fetchone()

    try:
        return await patience.wait(ask())
    except TimeoutError:
        raise LogUnavailable(f"PostgreSQL did not answer within {PATIENCE:g} seconds; see what holds it up.") from None


async def look_at(primary_url: str, replica_url: str, tenant: str) -> Sight:
    """By their addresses, on connections of its own. Raises LogUnavailable and LogError for the replica alone."""
    patience = Patience(PATIENCE)
    async with _briefly(primary_url, tenant) as primary, _briefly(replica_url, tenant) as replica:
        try:
            return (await look(primary, replica, patience))[0]
        finally:
            await patience.close()


@asynccontextmanager
async def _briefly(url: str, tenant: str) -> AsyncIterator[Pool]:
    pool = _pool(url, tenant, 1)
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close()


def _pool(url: str, tenant: str, max_size: int) -> Pool:
    schema = tenant_schema(tenant)
    return schema_pool(url, schema, Role.PROJECTOR, 0, max_size, name=f"{tenant}-reading", timeout=CONNECTION_SECONDS)


class Replica:
    """Says whether it may be read just now, `lag` seconds behind at most; `reader` and `pool` are how."""

    def __init__(self, primary: Pool, pool: Pool, lag: float) -> None:
        self.pool = pool
        self.reader = PostgresEventReader(pool)
        self.patience = Patience(PATIENCE)
        self.most_lag = lag
        self.lag: float | None = None
        """None: it was never seen to be as far as the primary once was."""
        self.trouble: str | None = "was not looked at yet"
        """Why it is not read, in words that follow 'The replica'."""
        self.primary_away = False
        """The last look found no primary: what it would be asked for in vain, the replica may answer at once."""
        self.fell_back = 0
        """How often a question that was sent to it had to be asked of the primary."""
        self.asked = 0
        self._primary = primary
        self._reached = 0
        self.projected = 0
        """Up to where its read models are known to be; forgotten with each trouble, as another may come back."""
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    @property
    def usable(self) -> bool:
        return self.trouble is None

    def failed(self, error: Exception) -> None:
        """It is left alone until the next look finds it well."""
        self.fell_back += 1
        self._troubled(f"failed ({str(error).rstrip('.')})")

    async def has_position(self, position: int) -> bool:
        """Whether it shows the log up to there. Raises LogUnavailable."""
        if position > self._reached:
            self._reached = max(self._reached, (await self.reader.head()).position)
        return position <= self._reached

    async def has_time(self, at: datetime) -> bool:
        """Whether it shows all that was recorded up to then: it has something later. Raises LogUnavailable."""
        head = await self.reader.head()
        return head.recorded_at is not None and head.recorded_at > at

    async def has_version(self, stream_id: str, version: int) -> bool:
        """Raises LogUnavailable."""
        return await self.reader.stream_version(stream_id) >= version

    async def watch(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Judge it by how it is now."""
        asked_at = time.monotonic()
        try:
            sight, head = await look(self._primary, self.pool, self.patience)
        except LogError as error:
            self._troubled(f"can't be read ({error.message.rstrip('.')})")
            await self._primary_looked(asked_at)
            return
        self.primary_away = head is None
        if head is not None:
            self._looks.append((asked_at, head))
        if sight.fault is not None:
            self._troubled(sight.fault)
            return
        self._measure(sight.replayed)
        if self.lag is None or self.lag > self.most_lag:
            behind = "has yet to catch up" if self.lag is None else f"is {self.lag:.1f} s behind"
            self._troubled(behind)
            return
        self._reached = sight.position
        if self.trouble is not None:
            self.projected = 0
            logger.info("Questions are asked of the replica.")
        self.trouble = None

    async def _primary_looked(self, asked_at: float) -> None:
        """While the replica is away, the primary goes on."""
        try:
            self._looks.append((asked_at, (await _row(self._primary, "primary", self.patience))[2]))
        except LogError:
            return

    def _measure(self, replayed: int) -> None:
        caught_up = False
        while self._looks and self._looks[0][1] <= replayed:
            self._looks.popleft()
            caught_up = True
        if self._looks:
            self.lag = time.monotonic() - self._looks[0][0] if caught_up or self.lag is not None else None
        elif caught_up:
            self.lag = 0.0

    def _troubled(self, trouble: str) -> None:
        if self.trouble is None:
            logger.warning("The replica %s: questions are asked of the primary until it is well.", trouble)
        self.trouble = trouble


@asynccontextmanager
async def open_replica(primary: Pool, url: str, tenant: str, lag: float, max_size: int) -> AsyncIterator[Replica]:
    """A replica that is looked at while the block runs; it may be away at the beginning, and come."""
    pool = _pool(url, tenant, max_size)
    await pool.open(wait=False)
    try:
        replica = Replica(primary, pool, lag)
        await replica.look()
        watching = asyncio.create_task(replica.watch(), name="replica")
        try:
            yield replica
        finally:
            while not watching.done():
                # More than once: `asyncio.wait_for`, which the driver's pool uses, may lose a cancellation on 3.11.
                watching.cancel()
                await asyncio.wait({watching}, timeout=1)
            await replica.patience.close()
    finally:
        await pool.close()
