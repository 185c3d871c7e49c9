"""What a tenant takes of the disk, as PostgreSQL tells."""

from collections.abc import Mapping
from dataclasses import dataclass

from infrastructure import sql
from infrastructure.available import available
from infrastructure.pools import Pool


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes with indexes: of the log by month (as 2026-11), of all other tables by name."""

    months: Mapping[str, int]
    tables: Mapping[str, int]


async def storage(pool: Pool) -> Storage:
    """Looks at the size of each file: to be asked now and then only. Raises ReadModelsUnavailable."""
    with available():
        async with pool.connection() as connection:
            rows = await (await connection.execute(sql.load("health/storage"))).fetchall()
    sizes: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for is_month, name, size in rows:
        sizes[bool(is_month)][str(name)] = int(size)  # type: ignore[call-overload]  # rows are of any type
    return Storage(sizes[True], sizes[False])
