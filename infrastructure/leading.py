"""The lead of a projection: who has it moves the checkpoint, in its own term.

Whoever dies loses the advisory lock with its session, and another takes over at once. Whoever is stopped keeps the
lock, is not heard of for `LEASE_SECONDS`, and another takes over without the lock, in a new term, and ends the session
of the silent one, which may be in the midst of a batch: when it wakes up, it has no connection to write on.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import psycopg

from domain.errors import DoraStateError
from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Connection
from infrastructure.pools import Pool
from infrastructure.sessions import end_session, session_start
from projections.errors import CheckpointMoved, ReadModelsUnavailable
from projections.ports import Checkpoint
from projections.projection import Projection

LEASE_SECONDS = 5.0
BEAT_SECONDS = 1.0
log = logging.getLogger(__name__)


def _query(name: str) -> bytes:
    return sql.load(f"checkpoints/{name}")


class Lead:
    """A term, and the one connection on which is written in it."""

    def __init__(self, connection: Connection, projection: Projection, term: int) -> None:
        self.connection = connection
        self._projection = projection
        self._term = term
        self._generation = 0

    async def checkpoint(self) -> Checkpoint:
        """From here on, only what belongs to these very tables is written."""
        checkpoint = await find_checkpoint(self.connection, self._projection)
        self._generation = checkpoint.generation
        return checkpoint

    async def expect(self, start: int | None = None) -> None:
        """Within a transaction: nobody else moves the checkpoint until it ends. Raises CheckpointMoved.

        Without a position, it may be anywhere in the same tables.
        """
        actual = await find_checkpoint(self.connection, self._projection, "lock")
        expected = actual.position if start is None else start
        if (actual.position, actual.generation, actual.term) != (expected, self._generation, self._term):
            raise self._moved(actual, expected)

    async def require_same(self) -> None:
        """Raises CheckpointMoved where another has taken over, or other tables took the place of these."""
        actual = await find_checkpoint(self.connection, self._projection)
        if (actual.generation, actual.term) != (self._generation, self._term):
            raise self._moved(actual, actual.position)

    def _moved(self, actual: Checkpoint, expected: int) -> CheckpointMoved:
        return CheckpointMoved(
            f"The projection {self._projection.name} is at position {actual.position}, generation {actual.generation},"
            f" term {actual.term}, and not at {expected}, {self._generation}, {self._term} any more; nothing was"
            " written.",
            expected=expected,
            actual=actual.position,
        )

    async def move(self, position: int, recorded_at: datetime) -> None:
        """Within the same transaction."""
        moved = {
            "name": self._projection.name,
            "position": position,
            "recorded_at": recorded_at,
            "version": self._projection.version,
        }
        await self.connection.execute(_query("move"), moved)


async def find_checkpoint(connection: Connection, projection: Projection, query: str = "find") -> Checkpoint:
    """`query`: "lock" keeps it there until the transaction ends. Raises ReadModelsUnavailable where there is none."""
    row = await (await connection.execute(_query(query), {"name": projection.name})).fetchone()
    if row is None:
        raise ReadModelsUnavailable(
            f"The projection {projection.name} has no checkpoint; run `dora-state init`.", projection=projection.name
        )
    return Checkpoint(*row)  # type: ignore[arg-type]  # rows are of any type


@asynccontextmanager
async def lead(pool: Pool, projection: Projection) -> AsyncIterator[Lead | None]:
    """Be the one who runs a projection, on a connection of its own; None if another is.

    Raises ReadModelsUnavailable.
    """
    with available():
        async with pool.connection() as connection, _locked(connection, projection) as locked:
            about = {"name": projection.name, "seconds": LEASE_SECONDS}
            asked = about | {"locked": locked, "session_start": await session_start(connection)}
            row = await (await connection.execute(_query("take_lead"), asked)).fetchone()
            if row is None:
                yield None
                return
            term, silent_pid, silent_start = row
            about["term"] = term
            if silent_pid is not None:
                await _end_session(connection, silent_pid, silent_start)
            beating = asyncio.create_task(_beat(pool, about), name=f"lead of {projection.name}")
            try:
                await connection.execute(_query("write_lightly"))
                yield Lead(connection, projection, int(term))  # type: ignore[call-overload]  # rows are of any type
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
                await _ended(connection, about)


@asynccontextmanager
async def _locked(connection: Connection, projection: Projection) -> AsyncIterator[bool]:
    """Whether we have the advisory lock, while the block runs."""
    about = {"name": projection.name}
    row = await (await connection.execute(_query("try_lock"), about)).fetchone()
    if not row or not row[0]:
        yield False
        return
    try:
        yield True
    finally:
        try:
            await connection.execute(_query("unlock"), about)
        except psycopg.Error:  # one that can't say that it has let go is closed, which lets go too
            await connection.close()


async def _beat(pool: Pool, about: dict[str, object]) -> None:
    """Say that we are there, on whichever connection, until another has taken over."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            with available():
                async with pool.connection() as connection:
                    if await (await connection.execute(_query("keep_lead"), about)).fetchone() is None:
                        return
        except DoraStateError as error:
            log.debug("It could not be said who runs a projection: %s", error)


async def _end_session(connection: Connection, pid: object, start: object) -> None:
    """Where it is another login's session, the server itself ends what that has begun, after ten seconds."""
    if await end_session(connection, pid, start):
        log.warning("Whoever ran a projection was not heard of; its session %s was ended.", pid)


async def _ended(connection: Connection, about: dict[str, object]) -> None:
    try:
        await connection.execute(_query("end_lead"), about)
        await connection.execute(_query("write_as_before"))
    except psycopg.Error:
        await connection.close()
