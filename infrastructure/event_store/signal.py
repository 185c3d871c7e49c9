"""The signal that a tenant's log has grown, to this process and to all others, off the write path.

Appends notify nobody: NOTIFY takes a lock that makes all who notify commit one after the other. A task of its own sends
one notification for all appends since the last one, on a connection of its own. Nobody relies on it: whoever waits also
looks by himself from time to time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

import psycopg
from psycopg.sql import SQL, Identifier

from domain.errors import LogError
from infrastructure import sql
from infrastructure.database import Connection, connect, tenant_schema
from projections.signal import ProcessSignal

PAUSE_SECONDS = 0.005
"""Between two notifications: what is appended meanwhile goes with the second."""
LONGEST_PAUSE = 5.0

logger = logging.getLogger(__name__)


class LogSignal:
    """The port Signal among processes. Use as an async context manager; connections are made when first needed."""

    def __init__(self, database_url: str, tenant: str) -> None:
        self._database_url = database_url
        self._channel = f"dora_state {tenant_schema(tenant)}"
        self._here = ProcessSignal()
        self._grown = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def wake(self) -> None:
        """The log has grown by what this process appended."""
        self._here.wake()
        self._grown.set()
        if "tell" not in self._tasks:
            self._tasks["tell"] = asyncio.create_task(self._for_ever(self._tell), name="signal: tell")

    async def wait(self, timeout: float) -> None:
        """Until the log has grown, by whichever process, or `timeout` seconds at most."""
        if "hear" not in self._tasks:
            self._tasks["hear"] = asyncio.create_task(self._for_ever(self._hear), name="signal: hear")
        await self._here.wait(timeout)

    async def _for_ever(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        pause = 0.1
        while True:
            try:
                async with await connect(self._database_url, "dora-state signal") as connection:
                    pause = 0.1
                    await work(connection)
            except (psycopg.Error, LogError) as error:
                logger.debug("The signal is silent for %.1f s: %s", pause, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _tell(self, connection: Connection) -> None:
        await connection.execute(sql.load("signal/lightly"))
        while True:
            await self._grown.wait()
            self._grown.clear()
            try:
                await connection.execute(sql.load("signal/tell"), (self._channel,))
            except psycopg.Error:
                self._grown.set()
                raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def _hear(self, connection: Connection) -> None:
        listen = SQL(sql.load("signal/hear").decode())
        await connection.execute(listen.format(channel=Identifier(self._channel)))
        self._here.wake()  # what was told before we listened
        async for _ in connection.notifies():
            self._here.wake()
