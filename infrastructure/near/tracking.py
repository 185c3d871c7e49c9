"""How a process hears of changes: Redis tells the names of keys that are written (`CLIENT TRACKING`, broadcasting).

One connection asks for that, and has it sent to a second one, which is subscribed to `__redis__:invalidate`: so it
works with Redis and Valkey and with the second version of their protocol. If either is lost, nothing is heard.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

from redis.asyncio.connection import AbstractConnection

from infrastructure.hot_copies.guarded import FAILURES
from infrastructure.hot_copies.keys import Keys
from infrastructure.hot_copies.redis_copies import LEASE_SECONDS
from infrastructure.near.near_copies import NearDocuments
from projections.signal import ProcessSignal

CHANNEL = "__redis__:invalidate"
PING_SECONDS = 1.0
ANSWER_SECONDS = 2.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Before it is tried again after a loss."""
Connect = Callable[[], Awaitable[AbstractConnection]]
log = logging.getLogger(__name__)


class Tracking:
    """Tells `near` what changes, and `moved` that the copies have moved on. `connect` makes a connection of its own.

    `ready` is set once it has listened, to warm what is kept.
    """

    def __init__(self, connect: Connect, tenant: str, near: NearDocuments) -> None:
        self._connect = connect
        self._keys = Keys(tenant)
        self._documents = self._keys.documents.encode()
        self._floor, self._mark = self._keys.floor.encode(), self._keys.mark.encode()
        self._near = near
        self._failing = False
        self.moved = ProcessSignal()
        self.ready = asyncio.Event()
        self.listening = False

    async def run(self) -> None:
        """Listen until cancelled, again and again."""
        pause = SHORTEST_PAUSE
        while True:
            try:
                await self._listen()
            except (*FAILURES, ExceptionGroup) as error:
                pause = SHORTEST_PAUSE if self.listening else min(2 * pause, LONGEST_PAUSE)
                self._say_lost(error)
            finally:
                self.listening = False
                self._near.deaf()
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        hearing = await self._connected()
        try:
            asking = await self._connected()
            try:
                await self._ask(asking, hearing)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._hear(hearing))
                    group.create_task(self._expect_answers(asking))
                    group.create_task(self._ping(asking))
            finally:
                await _close(asking)
        finally:
            await _close(hearing)

    async def _connected(self) -> AbstractConnection:
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await self._connect()
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types for it
        return connection

    async def _ask(self, asking: AbstractConnection, hearing: AbstractConnection) -> None:
        client_id = await _call(hearing, "CLIENT", "ID")
        await _call(hearing, "SUBSCRIBE", CHANNEL)
        names = (self._keys.documents, self._keys.floor, self._keys.mark)
        prefixes = [word for name in names for word in ("PREFIX", name)]
        await _call(asking, "CLIENT", "TRACKING", "ON", "REDIRECT", str(client_id), "BCAST", *prefixes)
        left = await _call(asking, "PTTL", self._keys.lease)
        self._near.listens(max(left, 0) / 1_000)
        self.listening = True
        self.ready.set()
        if self._failing:
            log.info("Changes are heard of again; documents are kept in this process.")
        self._failing = False

    async def _hear(self, hearing: AbstractConnection) -> None:
        while True:
            told: Any = await hearing.read_response(timeout=inf)
            if told[0] == b"message":
                self._told(told[2])

    def _told(self, names: list[bytes] | None) -> None:
        """Without names: the whole database was emptied. First what changed, then that somebody keeps it."""
        if names is None or self._floor in names:
            self._near.flush()
        for name in names or ():
            if name.startswith(self._documents):
                kind, _, id = name[len(self._documents) :].decode(errors="replace").partition(":")
                self._near.changed(kind, id)
        if names is not None and self._mark in names:
            self._near.kept(LEASE_SECONDS)
            self.moved.wake()

    async def _ping(self, asking: AbstractConnection) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await asking.send_command("PING", check_health=False)

    async def _expect_answers(self, asking: AbstractConnection) -> None:
        while True:
            async with asyncio.timeout(PING_SECONDS + ANSWER_SECONDS):
                await asking.read_response(timeout=inf)

    def _say_lost(self, error: Exception) -> None:
        if not self._failing:
            reasons = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
            told = "; ".join(f"{type(reason).__name__}: {reason}".rstrip(": ") for reason in reasons)
            log.warning("Changes are not heard of (%s); no document is kept in this process for now.", told)
        self._failing = True


async def _call(connection: AbstractConnection, *words: str) -> Any:
    async with asyncio.timeout(ANSWER_SECONDS):
        await connection.send_command(*words, check_health=False)
        return await connection.read_response(timeout=inf)


async def _close(connection: AbstractConnection) -> None:
    await connection.disconnect(nowait=True)
