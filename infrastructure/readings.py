"""The record of who looked at what, in PostgreSQL: only ever added to."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from domain.errors import DoraStateError, InvalidInput, LogUnavailable
from infrastructure import sql
from infrastructure.control import administering, or_unavailable
from infrastructure.pools import Pool

log = logging.getLogger(__name__)

BATCH = 500
MOST_WAITING = 10_000
PATIENCE = 5.0
"""Seconds that whoever looks waits at most until it is recorded."""
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One reading as it is recorded; `rows` is None where nobody knows yet how much it will be.

    `asked` is what was asked for besides the cut, such as filters.
    """

    id: UUID
    tenant: str
    actor: str
    role: str
    credential: str | None
    what: str
    about: str
    cut: Mapping[str, object]
    asked: Mapping[str, object]
    rows: int | None


class ReadingBook:
    """Adds to the record: what comes while one batch is being written goes with the next."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._ends: list[Mapping[str, object]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, row: ReadingRow) -> None:
        """Returns when it is durable. Raises LogUnavailable, and InvalidInput for what can't be stored."""
        if len(self._waiting) >= MOST_WAITING:
            raise LogUnavailable("Too many readings wait to be recorded; try again later.")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_encoded(row), done))
        self._begin()
        try:
            async with asyncio.timeout(PATIENCE):
                await done
        except TimeoutError:
            raise _too_slow() from None

    def end(self, id: UUID, rows: int) -> None:
        """How much was shown in the end; written soon. What is lost with its process leaves a reading without end."""
        if len(self._ends) < MOST_WAITING:
            self._ends.append({"id": id, "rows": rows})
        self._begin()

    async def close(self) -> None:
        """Write what is left. Raises nothing."""
        self._begin()
        if self._writing is not None:
            _, late = await asyncio.wait({self._writing}, timeout=PATIENCE)
            for task in late:
                task.cancel()
        if self._ends:
            log.warning("How much was shown in %d readings could not be recorded.", len(self._ends))

    def _begin(self) -> None:
        if (self._waiting or self._ends) and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write(), name="readings")

    async def _write(self) -> None:
        """Until nothing waits. Ends that can't be written wait for the next that begins."""
        while self._waiting or self._ends:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            ends = self._ends[:BATCH]
            failure: DoraStateError | None = None
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._insert([row for row, _ in batch], ends)
                self._ends = self._ends[len(ends) :]
            except TimeoutError:
                failure = _too_slow()
            except LogUnavailable as error:
                failure = error
            for _, done in batch:
                if not done.done():
                    done.set_exception(failure) if failure is not None else done.set_result(None)
            if failure is not None and not self._waiting:
                return

    async def _insert(self, rows: list[bytes], ends: list[Mapping[str, object]]) -> None:
        with or_unavailable("The reading can't be recorded, so that nothing is shown"):
            async with self._pool.connection(timeout=PATIENCE) as connection, connection.transaction():
                if rows:
                    packed = b"[" + b",".join(rows) + b"]"
                    await connection.execute(sql.load("access/record_readings"), {"readings": packed.decode()})
                if ends:
                    await connection.execute(sql.load("access/end_readings"), {"ends": orjson.dumps(ends).decode()})


def _too_slow() -> LogUnavailable:
    return LogUnavailable(
        f"The reading could not be recorded within {PATIENCE:g} s, so that nothing is shown; try again later."
    )


def _encoded(row: ReadingRow) -> bytes:
    """Raises InvalidInput: one that can't be stored must not keep others from being recorded."""
    try:
        encoded = orjson.dumps(asdict(row), default=str)
    except (TypeError, ValueError):
        encoded = b"\\u0000"
    if b"\\u0000" in encoded:
        raise InvalidInput("What is asked for has characters that can't be stored; correct it.")
    return encoded


@dataclass(frozen=True, slots=True)
class RecordedReading:
    """`rows` and `ended_at` are None of one that has no end; `login` is the database's word on who recorded it."""

    number: int
    at: datetime
    actor: str
    role: str
    credential: str | None
    login: str
    what: str
    about: str
    cut: Mapping[str, object]
    asked: Mapping[str, object]
    rows: int | None
    ended_at: datetime | None


async def list_readings(
    database_url: str,
    tenant: str,
    *,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> list[RecordedReading]:
    """The newest first, from before a number on. Raises LogUnavailable or LogError."""
    wanted = {
        "tenant": tenant,
        "actor": actor,
        "since": since,
        "until": until,
        "before": _LAST if before is None else before,
        "limit": limit,
    }
    async with administering(database_url) as connection:
        cursor = await connection.execute(sql.load("access/readings"), wanted, prepare=False)
        rows: list[Any] = await cursor.fetchall()
    return [RecordedReading(*row) for row in rows]
