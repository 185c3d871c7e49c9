"""Connections on which PostgreSQL has fallen silent are found out over another one, and given up.

A host that is gone, and whatever is between that forgets a connection, answers nothing and ends nothing: who waits for
an answer would wait until the system is tired of sending again, and behind a proxy for ever. A statement may take long,
so no deadline tells the one from the other. But the server knows what its sessions do: where it works on nothing for
one that waits for an answer, or does not know it, none will come.
"""

import asyncio
import contextvars
import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from infrastructure import sql

SILENT_SECONDS = 5.0
"""How long an answer is waited for before the server is asked about it, and then again and again."""
LOOK_SECONDS = 1.0
ASK_SECONDS = 3.0
RV = TypeVar("RV")
logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Wait:
    """For one answer; `suspect` once the server said that it works on none."""

    connection: "WatchedConnection"
    since: float
    suspect: bool = False

    def end(self) -> None:
        self.connection.silences.end(self)


class Silences:
    """All who wait for PostgreSQL in one event loop; `here` is that of the running one."""

    _of_loops: "WeakKeyDictionary[asyncio.AbstractEventLoop, Silences]" = WeakKeyDictionary()

    def __init__(self) -> None:
        self.idle: WeakSet[WatchedConnection] = WeakSet()
        """Those of pools, which anybody may lose while nobody uses them."""
        self._waits: set[Wait] = set()
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    def here(cls) -> "Silences":
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    def begin(self, connection: "WatchedConnection") -> Wait:
        wait = Wait(connection, time.monotonic())
        self._waits.add(wait)
        if self._watching is None:
            # What is known of who asks, such as his locks, is none of its business.
            nothing = contextvars.Context()
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="silences", context=nothing)
        return wait

    def end(self, wait: Wait) -> None:
        self._waits.discard(wait)

    @contextmanager
    def waiting(self, connection: "WatchedConnection") -> Iterator[None]:
        wait = self.begin(connection)
        try:
            yield
        finally:
            self.end(wait)

    async def _watch(self) -> None:
        """As long as anybody waits."""
        try:
            while self._waits:
                await asyncio.sleep(LOOK_SECONDS)
                await self._look()
        finally:
            self._watching = None

    async def _look(self) -> None:
        now, late = time.monotonic(), defaultdict[str, list[Wait]](list)
        for wait in self._waits:
            if now - wait.since > SILENT_SECONDS and wait.connection.is_asked:
                late[wait.connection.address].append(wait)
        for address, waits in late.items():
            working = await _working(address, [wait.connection.pid for wait in waits])
            if working is not None:
                for wait in self._waits.intersection(waits):
                    self._judge(wait, working)

    def _judge(self, wait: Wait, working: Collection[int]) -> None:
        if wait.connection.pid in working:
            wait.since, wait.suspect = time.monotonic(), False
        elif not wait.suspect:  # its answer may be on the way
            wait.suspect = True
        else:
            logger.warning("PostgreSQL works on nothing for a connection that waits for an answer: it is given up.")
            wait.connection.cut()
            self._cut_others(wait)

    def _cut_others(self, silent: Wait) -> None:
        """Those to the same server that were not heard of either: the next who uses one would wait as long."""
        lately = time.monotonic() - SILENT_SECONDS
        for connection in list(self.idle):
            if connection.address == silent.connection.address and connection.heard_at < lately:
                connection.cut_if_idle()


class WatchedConnection(psycopg.AsyncConnection[TupleRow]):
    """One on which nobody waits in vain. `pid` is that of its session, `heard_at` when the last answer came."""

    address = ""
    pid = 0
    heard_at = 0.0
    silences: Silences

    @classmethod
    async def connect(cls, conninfo: str = "", **parameters: object) -> Self:
        connection = await super().connect(conninfo, **parameters)  # type: ignore[arg-type]
        connection.address = _address(conninfo, connection.info)
        connection.silences = Silences.here()
        connection.pid = connection.info.backend_pid
        return connection

    async def learn_pid(self, told: psycopg.AsyncCursor[TupleRow]) -> None:
        """From an answer whose last column it is: what a pooler says at the beginning is not the server's word."""
        row = await told.fetchone()
        self.pid = self.pid if row is None else int(row[-1])

    @property
    def is_asked(self) -> bool:
        """Whether something was sent that has no answer yet."""
        return self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        with self.silences.waiting(self):
            answer = await super().wait(gen, interval, timeout)
        self.heard_at = time.monotonic()
        return answer

    def cut(self) -> None:
        """Who waits hears that it was lost."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as end:
            end.shutdown(socket.SHUT_RDWR)

    def cut_if_idle(self) -> None:
        if self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self.cut()


class PooledConnection(WatchedConnection):
    """Of a pool, which makes another one where it is lost."""

    @classmethod
    async def connect(cls, conninfo: str = "", **parameters: object) -> Self:
        connection = await super().connect(conninfo, **parameters)
        connection.silences.idle.add(connection)
        return connection


def _address(conninfo: str, info: psycopg.ConnectionInfo) -> str:
    """Of the very server that answers there, where several are named."""
    there: dict[str, str | int] = {"host": info.host, "port": info.port}
    if "hostaddr" in conninfo_to_dict(conninfo):
        there["hostaddr"] = info.hostaddr
    return make_conninfo(conninfo, **there)


async def _working(address: str, pids: Collection[int]) -> set[int] | None:
    """Those sessions for which the server works on something; None where it can't be asked."""
    try:
        async with (
            asyncio.timeout(ASK_SECONDS),
            await psycopg.AsyncConnection.connect(address, application_name="dora-state silence") as connection,
        ):
            found = await connection.execute(sql.load("silence/working"), (list(pids),))
            return {int(pid) for (pid,) in await found.fetchall()}
    except (psycopg.Error, TimeoutError, OSError) as error:
        logger.debug("PostgreSQL can't be asked what it works on: %s", error)
        return None
