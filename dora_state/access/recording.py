"""Nothing of the past is shown before it is recorded who looks at it."""

from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from domain.values import iso
from dora_state.access.caller import Reading, Readings
from dora_state.servers import Servers
from infrastructure.control import open_control_pool
from infrastructure.readings import ReadingBook, ReadingRow

LONGEST = 500
"""Characters that are kept of each text."""
MOST = 64
"""Values that are kept of each list."""
LARGEST = 2**63


class RecordedReadings:
    """The port on a book in the database."""

    def __init__(self, book: ReadingBook) -> None:
        self._book = book

    async def record(self, reading: Reading) -> None:
        """Raises LogUnavailable, and InvalidInput for what can't be stored."""
        caller = reading.caller
        await self._book.add(
            ReadingRow(
                id=reading.id,
                tenant=caller.tenant,
                actor=caller.name[:LONGEST],
                role=caller.role,
                credential=caller.credential,
                what=reading.what,
                about=reading.about[:LONGEST],
                cut=bounded(reading.cut),
                asked=bounded(reading.asked),
                rows=reading.rows,
            )
        )

    def ended(self, reading: Reading, rows: int) -> None:
        self._book.end(reading.id, rows)


def bounded(told: Mapping[str, object]) -> dict[str, object]:
    """As much of what callers said as is kept: whoever looks must not fill the record."""
    return {name[:LONGEST]: _bounded(value) for name, value in islice(told.items(), MOST)}


def _bounded(value: object, *, within: bool = False) -> object:
    if value is None or (isinstance(value, bool | int | float) and abs(value) < LARGEST):
        return value
    if isinstance(value, Mapping) and not within:
        return {str(name)[:LONGEST]: _bounded(inner, within=True) for name, inner in islice(value.items(), MOST)}
    if isinstance(value, Sequence | Set) and not isinstance(value, str) and not within:
        return [_bounded(inner, within=True) for inner in islice(value, MOST)]
    text = iso(value) if isinstance(value, datetime) else str(value)
    return text[:LONGEST]


@asynccontextmanager
async def open_readings(servers: Servers) -> AsyncIterator[Readings]:
    """For who only looks, such as the command line. Raises LogUnavailable or LogError."""
    async with await open_control_pool(servers.database_url) as pool:
        book = ReadingBook(pool)
        try:
            yield RecordedReadings(book)
        finally:
            await book.close()


@dataclass(slots=True)
class Shown:
    """How much was shown so far, counted by who shows it."""

    rows: int = 0


@asynccontextmanager
async def looking(readings: Readings, reading: Reading) -> AsyncIterator[Shown]:
    """Records a reading before its block, and how much was shown when that ends, however it ends."""
    await readings.record(reading)
    shown = Shown()
    try:
        yield shown
    finally:
        readings.ended(reading, shown.rows)
