"""Memory over time: a process notes once a minute how much of it is resident, so that `health` sees it grow."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator

import psycopg

from infrastructure import sql
from infrastructure.machine import memory_vitals
from infrastructure.pools import Pool

NOTE_SECONDS = 60.0
_LOADED_AT = time.monotonic()

logger = logging.getLogger(__name__)


def process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@contextlib.asynccontextmanager
async def noting_memory(pool: Pool, interval: float = NOTE_SECONDS) -> AsyncIterator[None]:
    """Notes this process's memory as long as the block runs; first after an interval, so that short commands don't."""
    stop = asyncio.Event()
    task = asyncio.create_task(_run(pool, interval, stop), name="process memory")
    try:
        yield
    finally:
        # Told and cancelled: a note that waits for a database that is away is not waited for, and a cancellation
        # that asyncio.wait_for, which the pool uses, loses on Python 3.11 does not let it go on for ever.
        stop.set()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


async def _run(pool: Pool, interval: float, stop: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval):
                await stop.wait()
        if stop.is_set():
            return
        try:
            await note_memory(pool)
        except psycopg.Error as error:
            # Whoever works notices by itself that the database is away; for this alone nobody is told.
            logger.debug("The memory of this process could not be noted: %s", error)


async def note_memory(pool: Pool) -> None:
    """Note what is resident now, where the machine tells, and forget what is old. Raises psycopg.Error."""
    resident_bytes = memory_vitals().own_bytes
    if resident_bytes is None:
        return
    process = process_name()
    # Names come again, as in a container that is started anew: what was noted before we were there is another's.
    age_seconds = time.monotonic() - _LOADED_AT
    async with pool.connection() as connection:
        await connection.execute(sql.load("process_memory/forget"), {"process": process, "age_seconds": age_seconds})
        await connection.execute(
            sql.load("process_memory/note"), {"process": process, "resident_bytes": resident_bytes}
        )
