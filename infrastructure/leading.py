"""The lead of a projection: an advisory lock of a session, and the checkpoint that only its holder moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import psycopg

from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Connection, Pool
from projections.errors import CheckpointMoved, ReadModelsUnavailable
from projections.ports import Checkpoint
from projections.projection import Projection


def _query(name: str) -> bytes:
    return sql.load(f"checkpoints/{name}")


class Lead:
    """Held on one connection: who loses the lock has lost the connection too, and can write no more."""

    def __init__(self, connection: Connection, projection: Projection) -> None:
        self.connection = connection
        self._projection = projection
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
        if (actual.position, actual.generation) != (expected, self._generation):
            raise CheckpointMoved(
                f"The projection {self._projection.name} is at position {actual.position} of generation"
                f" {actual.generation} and not at {expected} of {self._generation} any more; nothing was written.",
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
    about = {"name": projection.name}
    with available():
        async with pool.connection() as connection:
            row = await (await connection.execute(_query("try_lead"), about)).fetchone()
            if not row or not row[0]:
                yield None
                return
            try:
                yield Lead(connection, projection)
            finally:
                try:
                    await connection.execute(_query("stop_leading"), about)
                except psycopg.Error:  # one that can't say that it has let go is closed, which lets go too
                    await connection.close()
