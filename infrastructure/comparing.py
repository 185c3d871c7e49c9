"""The tables of a projection as digests, for whoever compares two sets of them."""

from collections.abc import Sequence
from typing import Any

from infrastructure import sql
from infrastructure.available import available
from infrastructure.pools import Connections
from projections.comparing import Blocks, Row

_TELLING = {
    **dict.fromkeys(("counts", "task_facets", "task_cells"), "count <> 0"),
    "rates": "completed + failed + timed_out + cancelled + workflows <> 0",
}
"""Which rows say something: a count that has fallen to 0 may stand there or not."""


class PostgresSide:
    """The port Side, on connections that see one schema."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def documents(self, table: str, after: str, limit: int) -> list[Row]:
        return _in_rows(await self._rows("documents", table, after=after, limit=limit))

    async def documents_of(self, table: str, ids: Sequence[str]) -> list[Row]:
        return _in_rows(await self._rows("documents_of", table, ids=list(ids)))

    async def facts(self, table: str, after: int, until: int) -> list[Row]:
        return _in_rows(await self._rows("facts", table, after=after, until=until))

    async def blocks(self, table: str, after: int, until: int, size: int) -> Blocks:
        rows = await self._rows("blocks", table, after=after, until=until, size=size)
        return {block: (count, digest) for block, count, digest in rows}

    async def whole(self, table: str) -> tuple[int, str]:
        ((count, digest),) = await self._rows("whole", table)
        return count, digest

    async def parked(self) -> set[str]:
        with available():
            async with self._connections.connection() as connection:
                rows = await (await connection.execute(sql.load("read_models/parked"))).fetchall()
        return {str(stream_id) for (stream_id,) in rows}

    async def _rows(self, query: str, table: str, **facts: Any) -> list[Any]:
        """The table's name is one of a projection's own."""
        text = sql.named(f"comparing/{query}", table=table, telling=_TELLING.get(table, "true"))
        with available():
            async with self._connections.connection() as connection:
                return await (await connection.execute(text, facts or None)).fetchall()


def _in_rows(found: list[Any]) -> list[Row]:
    return [Row(*row) for row in found]
