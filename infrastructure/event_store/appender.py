"""The connection that a process appends through; the answer is one row as a rule."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from psycopg import pq

from infrastructure.database import Role, assume, tenant_schema
from infrastructure.event_store.binary import bigint, integer, timestamptz
from infrastructure.event_store.direct import DirectConnection, Results

T = TypeVar("T")
Row = tuple[Any, ...]


class Appender:
    """Sends appends one after the other. The connection is made when first needed, and anew after it was lost.

    Errors are LogErrors. After LogUnavailable nobody knows what was appended.
    """

    def __init__(self, database_url: str, tenant: str) -> None:
        self._connection = DirectConnection(
            database_url,
            f"dora-state append {tenant}",
            partial(assume, schema=tenant_schema(tenant), role=Role.WRITER),
        )

    def append(self, parameters: Sequence[bytes | None], read: Callable[[list[Row]], T]) -> asyncio.Future[T]:
        """Call append with its arguments in binary form; `read` makes of its rows what is answered.

        It is sent before this returns if nothing is in the way.
        """
        return self._connection.execute("append_prepared", parameters, lambda results: read(_rows(results)))

    async def close(self) -> None:
        await self._connection.close()


def _rows(results: Results) -> list[Row]:
    return [_row(result, number) for result in results for number in range(result.ntuples)]


def _row(result: pq.abc.PGresult, number: int) -> Row:
    values = [result.get_value(number, column) for column in range(len(_COLUMNS))]
    return tuple([None if value is None else read(value) for read, value in zip(_COLUMNS, values, strict=True)])


_COLUMNS: tuple[Callable[[bytes], Any], ...] = (
    *(integer, bytes.decode, timestamptz, bigint, bigint),
    *(bytes, bytes.decode, bigint, bigint),
)
"""How the columns of append's rows are read: command, outcome, recorded_at, first and last position, answer,
stream_id, expected, actual."""
