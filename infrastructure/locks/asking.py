"""How the database is asked about locks: in statements of their own, on whichever connection."""

from typing import Any

from infrastructure import sql
from infrastructure.available import available
from infrastructure.pools import Pool


async def ask(pool: Pool, query: str, **facts: Any) -> list[Any]:
    """Raises ReadModelsUnavailable."""
    with available():
        async with pool.connection() as connection:
            return await (await connection.execute(sql.load(f"locks/{query}"), facts or None)).fetchall()
