"""Where a projection has halted, noted for whoever asks from another process."""

from infrastructure import sql
from infrastructure.available import available
from infrastructure.pools import Pool
from projections.projection import Projection


async def note_halt(pool: Pool, projection: Projection, reason: str, event_position: int | None = None) -> None:
    """Note that it can't go on from where it is, and why. Raises ReadModelsUnavailable.

    `event_position` is that of the event that it can't take, if it is one: whoever runs a later release may be past it
    by now, and then nothing is noted.
    """
    with available():
        async with pool.connection() as connection:
            await connection.execute(
                sql.load("halts/note"), {"name": projection.name, "reason": reason, "event_position": event_position}
            )
