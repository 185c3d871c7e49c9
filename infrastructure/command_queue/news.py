"""Who waits for answers hears of them: any number of them over one connection, which is none of those that send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Any

from redis.asyncio.connection import AbstractConnection

from infrastructure.broker import CALL_SECONDS
from infrastructure.hot_copies.guarded import FAILURES

PING_SECONDS = 5.0
"""How often the connection is asked whether it still is one."""
Connect = Callable[[], Awaitable[AbstractConnection]]


class AnswerNews:
    """Workers publish the ids of what they have answered. Heard from when somebody waits first, until closed.

    News may be lost with the connection: then all who wait are woken, and look for themselves.
    """

    def __init__(self, connect: Connect, channel: str) -> None:
        self._connect = connect
        self._channel = channel
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def of(self, id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when there may be an answer. From within the block on, none is missed.

        Raises what the client raises.
        """
        told = asyncio.Event()
        waiting = self._waiting.setdefault(id, set())
        waiting.add(told)
        try:
            if self._opened is None:
                self._opened = asyncio.get_running_loop().create_future()
                self._hearing = asyncio.create_task(self._hear(self._opened), name="news of answers")
            await asyncio.shield(self._opened)
            yield told
        finally:
            waiting.discard(told)
            if not waiting and self._waiting.get(id) is waiting:
                del self._waiting[id]

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    async def close(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait({self._hearing})

    async def _hear(self, opened: asyncio.Future[None]) -> None:
        """Until the connection is lost, or can't be had: then all who wait for it are told why."""
        connection: AbstractConnection | None = None
        try:
            connection = await self._connect()
            await _subscribe(connection, self._channel)
            opened.set_result(None)
            async with asyncio.TaskGroup() as group:
                group.create_task(_ping(connection))
                group.create_task(self._listen(connection))
        except (*FAILURES, ExceptionGroup) as error:
            self._opened = None
            if not opened.done():
                opened.set_exception(error)
            for id in list(self._waiting):
                self._wake(id)
        finally:
            opened.cancel()
            if connection is not None:
                await connection.disconnect(nowait=True)

    async def _listen(self, connection: AbstractConnection) -> None:
        while True:
            async with asyncio.timeout(PING_SECONDS + CALL_SECONDS):
                said: Any = await connection.read_response(timeout=inf)
            if said[0] == b"message":
                for id in said[2].decode(errors="replace").split():
                    self._wake(id)

    def _wake(self, id: str) -> None:
        for told in self._waiting.get(id, ()):
            told.set()


async def _subscribe(connection: AbstractConnection, channel: str) -> None:
    async with asyncio.timeout(CALL_SECONDS):
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types for it
        await connection.send_command("SUBSCRIBE", channel, check_health=False)
        await connection.read_response(timeout=inf)


async def _ping(connection: AbstractConnection) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        await connection.send_command("PING", check_health=False)
