"""Connections on which PostgreSQL has fallen silent are found out over another one, and given up.

Something between that forgets a connection, or goes on taking what is sent, answers nothing and ends nothing: who waits
for an answer would wait for ever. (A host that is gone is found out by TCP.) A statement may take long, so no deadline
tells the one from the other. But the server knows what its sessions do: where nothing has come for long, and it works
on nothing for that session, or knows it no more, none will come.
"""

import asyncio
import contextvars
import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from infrastructure import sql

SILENT_SECONDS = 30.0
"""How long nothing moves before the server is asked: so long may what was sent be on its way."""
DOUBT_SECONDS = 5.0
"""The same, for a connection that was not heard of since another one to the same server had to be given up: what made
that one silent may have met all, and who waits for one after the other would wait long."""
LOOK_SECONDS = 1.0
ASK_SECONDS = 3
SET_UP_SECONDS = 10.0
RV = TypeVar("RV")
Key = tuple[int, datetime]
Asking = psycopg.AsyncConnection[TupleRow]
_ASKING: dict[str, Any] = {"connect_timeout": ASK_SECONDS, "application_name": "dora-state silence", "autocommit": True}
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """At the server: which one, of which start of it."""

    pid: int
    began: datetime
    server_began: datetime


@dataclass(eq=False, slots=True)
class Wait:
    """For one answer; `since` is when something last moved, and after `patience` seconds more the server is asked;
    `suspect` once it said that it works on none.
    """

    connection: "WatchedConnection"
    since: float
    patience: float
    suspect: bool = False

    def moved(self) -> None:
        self.since, self.suspect = time.monotonic(), False

    def end(self) -> None:
        self.connection.silences.end(self)


class Silences:
    """All who wait for PostgreSQL in one event loop; `here` is that of the running one."""

    _of_loops: "WeakKeyDictionary[asyncio.AbstractEventLoop, Silences]" = WeakKeyDictionary()

    def __init__(self) -> None:
        self._waits: set[Wait] = set()
        self._watching: asyncio.Task[None] | None = None
        self._gave_up: dict[str, float] = {}

    @classmethod
    def here(cls) -> "Silences":
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    def begin(self, connection: "WatchedConnection") -> Wait:
        patience = DOUBT_SECONDS if self.is_doubtful(connection) else SILENT_SECONDS
        wait = Wait(connection, time.monotonic(), patience)
        self._waits.add(wait)
        if self._watching is None:
            # What is known of who asks, such as his locks, is none of its business.
            nothing = contextvars.Context()
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="silences", context=nothing)
        return wait

    def end(self, wait: Wait) -> None:
        self._waits.discard(wait)

    def is_doubtful(self, connection: "WatchedConnection") -> bool:
        """Whether another one to the same server was given up, and this one was not heard of lately either."""
        return connection.heard_at < self._gave_up.get(connection.address, 0.0)

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
            if now - wait.since > wait.patience and wait.connection.is_asked:
                late[wait.connection.address].append(wait)
        for address, waits in late.items():
            await self._ask(address, waits)

    async def _ask(self, address: str, waits: Sequence[Wait]) -> None:
        """The server itself; where it can't be asked, or another one answers, nothing is known."""
        sessions = [wait.connection.session for wait in waits if wait.connection.session is not None]
        try:
            async with (
                await Asking.connect(address, **_ASKING) as asking,
                asyncio.timeout(ASK_SECONDS),
            ):
                server_began, working = await _working(asking, [session.pid for session in sessions])
                for wait in self._waits.intersection(waits):
                    session = wait.connection.session
                    if session is not None and session.server_began == server_began:
                        await self._judge(wait, session, working, asking)
        except (psycopg.Error, TimeoutError, OSError) as error:
            logger.debug("PostgreSQL can't be asked what it works on: %s", error)

    async def _judge(self, wait: Wait, session: Session, working: Collection[Key], asking: Asking) -> None:
        if (session.pid, session.began) in working:
            wait.moved()
        elif not wait.suspect:  # its answer may be on the way
            wait.suspect = True
        elif wait in self._waits and wait.connection.is_asked:
            logger.warning("PostgreSQL works on nothing for a connection that waits for an answer: it is given up.")
            self._gave_up[wait.connection.address] = time.monotonic() - SILENT_SECONDS / 2
            wait.connection.cut()
            # The server may hold locks for it, and would for hours.
            await asking.execute(sql.load("silence/end"), (session.pid, session.began))


class WatchedConnection(psycopg.AsyncConnection[TupleRow]):
    """One on which nobody waits in vain. `heard_at` is when the last answer came."""

    address = ""
    session: Session | None = None
    """As the server tells it; before it did, nothing is judged."""
    heard_at = 0.0
    silences: Silences

    @classmethod
    async def connect(cls, conninfo: str = "", **parameters: object) -> Self:
        connection = await super().connect(conninfo, **parameters)  # type: ignore[arg-type]
        connection.address = _address(conninfo, connection.info)
        connection.silences = Silences.here()
        return connection

    async def set_up(self, answer: Awaitable[psycopg.AsyncCursor[TupleRow]]) -> None:
        """Wait for the answer to a quick statement, and learn the session from its first columns; what a pooler says
        at first is not the server's word. Nobody can ask about a session that is not known: it is cut if that takes
        long.
        """
        late = asyncio.get_running_loop().call_later(SET_UP_SECONDS, self.cut)
        try:
            row = await (await answer).fetchone()
        finally:
            late.cancel()
        if row is not None and None not in row[:3]:
            self.session = Session(*row[:3])

    @property
    def is_asked(self) -> bool:
        """Whether something was sent that has no answer yet."""
        return self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        wait = self.silences.begin(self)
        try:
            answer = await super().wait(_moving(gen, wait), interval, timeout)
        finally:
            wait.end()
        self.heard()
        return answer

    def heard(self) -> None:
        """An answer came."""
        self.heard_at = time.monotonic()

    def cut(self) -> None:
        """Who waits hears that it was lost."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as end:
            end.shutdown(socket.SHUT_RDWR)


def _moving(gen: PQGen[RV], wait: Wait) -> PQGen[RV]:
    """The same, which tells whenever something came or could be sent."""
    try:
        asked = next(gen)
        while True:
            ready = yield asked
            if ready:
                wait.moved()
            asked = gen.send(ready)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]


def _address(conninfo: str, info: psycopg.ConnectionInfo) -> str:
    """Of the very server that answers there, where several are named."""
    there: dict[str, str | int] = {"host": info.host, "port": info.port}
    if "hostaddr" in conninfo_to_dict(conninfo):
        there["hostaddr"] = info.hostaddr
    return make_conninfo(conninfo, **there)


async def _working(asking: Asking, pids: Collection[int]) -> tuple[datetime, set[Key]]:
    """When the server began, and those sessions for which it works on something."""
    rows = await (await asking.execute(sql.load("silence/working"), (list(pids),))).fetchall()
    return rows[0][0], {(pid, began) for _, pid, began in rows if pid is not None}
