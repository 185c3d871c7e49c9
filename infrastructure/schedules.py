"""Schedules in PostgreSQL: a slot of a job is claimed once an interval, however many workers ask, and begun once."""

from collections.abc import Mapping
from typing import NamedTuple

from infrastructure import sql
from infrastructure.available import available
from infrastructure.pools import Pool


class Claim(NamedTuple):
    """`open` slots of a job were begun by nobody when the last of them was claimed: 0 where it is not due yet, 1 in a
    world in which all goes well. It is due again in `seconds`."""

    job: str
    open: int
    seconds: float


class PostgresSchedules:
    """Works for one worker, on a pool of connections with the projector's rights.

    Every method raises ReadModelsUnavailable when the database can't be reached.
    """

    def __init__(self, pool: Pool, worker: str) -> None:
        self._pool = pool
        self._worker = worker

    async def claim(self, intervals: Mapping[str, float]) -> list[Claim]:
        """Claim what is due of these jobs, by name and with their intervals in seconds, at the database's clock."""
        facts = {"jobs": list(intervals), "seconds": list(intervals.values()), "worker": self._worker}
        with available():
            async with self._pool.connection() as connection:
                rows = await (await connection.execute(sql.load("schedules/claim"), facts)).fetchall()
        return [Claim(str(job), int(open), float(seconds)) for job, open, seconds in rows]  # type: ignore[call-overload,arg-type]  # rows are of any type

    async def begin(self, job: str) -> bool:
        """Whether the last slot of a job is now ours to do; False if somebody has begun it."""
        facts = {"job": job, "worker": self._worker}
        with available():
            async with self._pool.connection() as connection:
                return bool(await (await connection.execute(sql.load("schedules/begin"), facts)).fetchone())
