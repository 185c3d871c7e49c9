"""The signal that a tenant's log has grown, to this process and to all others, off the write path.

Appends notify nobody: NOTIFY takes a lock that makes all who notify commit one after the other. A task of its own sends
one notification for all appends since the last one, on a connection of its own. Nobody relies on it: whoever waits also
looks by himself from time to time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Self

import psycopg
from psycopg.sql import SQL, Identifier

from domain.errors import LogError
from infrastructure import sql
from infrastructure.database import Connection, connect, tenant_schema
from infrastructure.event_store.direct import DirectConnection
from projections.signal import Listener, ProcessSignal

PAUSE_SECONDS = 0.005
"""Between two notifications: what is appended meanwhile goes with the second."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""After an error."""

logger = logging.getLogger(__name__)


class LogSignal:
    """The port Signal among processes. Use as an async context manager; connections are made when first needed."""

    def __init__(self, database_url: str, tenant: str) -> None:
        self._database_url = database_url
        self._channel = f"dora_state {tenant_schema(tenant)}"
        self._here = ProcessSignal(self._begin_to_hear)
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

    def listener(self) -> Listener:
        """Is woken when the log has grown, by whichever process."""
        return self._here.listener()

    def _begin_to_hear(self) -> None:
        if "hear" not in self._tasks:
            self._tasks["hear"] = asyncio.create_task(self._for_ever(self._hear), name="signal: hear")

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """`work` ends by an error only, and begins anew after a pause: a longer one the sooner it ended again."""
        pause = SHORTEST_PAUSE
        while True:
            began = time.monotonic()
            try:
                await work()
            except (psycopg.Error, LogError) as error:
                worked = time.monotonic() - began > LONGEST_PAUSE
                pause = SHORTEST_PAUSE if worked else min(2 * pause, LONGEST_PAUSE)
                logger.debug("The signal is silent for %.1f s: %s", pause, error)
            await asyncio.sleep(pause)

    async def _tell(self) -> None:
        channel = (self._channel.encode(),)
        telling = DirectConnection(self._database_url, "dora-state signal", _lightly)
        try:
            while True:
                await self._grown.wait()
                self._grown.clear()
                try:
                    await telling.execute("signal/tell", channel, len)
                except LogError:
                    self._grown.set()
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            await telling.close()

    async def _hear(self) -> None:
        listen = SQL(sql.load("signal/hear").decode())
        async with await connect(self._database_url, "dora-state signal") as connection:
            await connection.execute(listen.format(channel=Identifier(self._channel)))
            self._here.wake()  # what was told before we listened
            async for _ in connection.notifies():
                self._here.wake()


async def _lightly(connection: Connection) -> None:
    await connection.execute(sql.load("signal/lightly"))
