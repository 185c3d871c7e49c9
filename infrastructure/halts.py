"""Where the read models have halted, noted for whoever asks from another process."""

from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Pool


async def note_halt(pool: Pool, position: int, reason: str) -> None:
    """Note the event that can't be applied by this release, and why. Raises ReadModelsUnavailable."""
    with available():
        async with pool.connection() as connection:
            await connection.execute(sql.load("halts/note"), {"position": position, "reason": reason})
