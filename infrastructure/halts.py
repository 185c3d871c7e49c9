"""Where a projection has halted, noted for whoever asks from another process."""

from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Pool
from projections.projection import Projection


async def note_halt(pool: Pool, projection: Projection, reason: str) -> None:
    """Note that it can't go on from where it is, and why. Raises ReadModelsUnavailable."""
    with available():
        async with pool.connection() as connection:
            await connection.execute(sql.load("halts/note"), {"name": projection.name, "reason": reason})
