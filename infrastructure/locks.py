"""Locks in PostgreSQL: a session's advisory lock to wait by, and a row with the fencing token that `append` looks at.

Whoever dies loses its session, and the next in the queue has the lock at once. Whoever is stopped is not heard of for
`LEASE_SECONDS`: from then on its token does not count, and its session is ended by one that waits. PostgreSQL finds who
waits for each other.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from commands.locks import HeldLock, Lock, Waiter
from domain.errors import DoraStateError, LockDeadlock, LockLost, LockTimeout
from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Connection, Pool, Role, assume, connect, refused, tenant_schema
from infrastructure.sessions import end_session, session_start

LEASE_SECONDS = 10.0
BEAT_SECONDS = 2.0
LOOK_SECONDS = 1.0
"""How often one that waits looks whether the holder is silent."""
BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
"""Of waits, in seconds."""
NAME_LENGTH = 63
log = logging.getLogger(__name__)


@dataclass(slots=True)
class LockFigures:
    """What this process has waited for. `timeouts`, `deadlocks` and `losses` are counted, `held` is now."""

    taken: int = 0
    timeouts: int = 0
    deadlocks: int = 0
    losses: int = 0
    held: int = 0
    seconds: float = 0.0
    waits: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def waited(self, seconds: float) -> None:
        self.seconds += seconds
        self.waits[bisect_left(BOUNDS, seconds)] += 1


class PostgresLocks:
    """The port Locks of one tenant. Each session has a connection of its own; `pool` is for what is said beside it."""

    def __init__(self, database_url: str, tenant: str, pool: Pool) -> None:
        self._database_url = database_url
        self._tenant = tenant
        self._pool = pool
        self.figures = LockFigures()

    @asynccontextmanager
    async def session(self, holder: str) -> AsyncIterator["PostgresLockSession"]:
        """`holder` is told to those who are refused, and to those who look. Raises LogUnavailable and LogError."""
        name = f"dora-state lock {self._tenant} {holder}"[:NAME_LENGTH]
        async with await connect(self._database_url, name) as connection:
            try:
                await assume(connection, tenant_schema(self._tenant), Role.WRITER)
                session = PostgresLockSession(
                    connection, self._database_url, self._pool, holder, await session_start(connection), self.figures
                )
            except psycopg.Error as error:
                raise refused(self._database_url, error) from None
            beating = asyncio.create_task(session.beat(), name=f"locks of {holder}")
            try:
                yield session
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)

    async def held(self) -> list[HeldLock]:
        """All that is held, who held on longest first, each with those who wait. Raises ReadModelsUnavailable."""
        with available():
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(sql.load("sessions/own_rights"))
                found: list[Any] = await (await connection.execute(sql.load("locks/holders"))).fetchall()
                waiting: list[Any] = await (await connection.execute(sql.load("locks/waiters"))).fetchall()
        waiters: dict[str, list[Waiter]] = {}
        for stream_id, pid, application, since in waiting:
            name = str(application or "").removeprefix(f"dora-state lock {self._tenant} ")
            waiters.setdefault(stream_id, []).append(Waiter(pid, name, since))
        return [
            HeldLock(stream_id, holder, token, pid, since, until, tuple(waiters.get(stream_id, ())))
            for stream_id, holder, token, pid, since, until in found
        ]


class PostgresLockSession:
    """The port LockSession."""

    def __init__(
        self,
        connection: Connection,
        database_url: str,
        pool: Pool,
        holder: str,
        session_start: object,
        figures: LockFigures,
    ) -> None:
        self._connection = connection
        self._database_url = database_url
        self._pool = pool
        self._holder = holder
        self._session_start = session_start
        self._figures = figures
        self._held: dict[str, Lock] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Tasks of one session wait here for each other: the server takes them for one."""

    @asynccontextmanager
    async def hold(self, stream_id: str, timeout: float) -> AsyncIterator[Lock]:
        async with self._turns[stream_id]:
            lock = self._held[stream_id] = await self._take(stream_id, timeout)
            self._figures.held += 1
            try:
                yield lock
            finally:
                self._figures.held -= 1
                del self._held[stream_id]
                await self._release(lock)
        if lock.is_lost:
            raise LockLost(stream_id=stream_id)

    async def beat(self) -> None:
        """Say that we are there, on whichever connection, for as long as the session lasts."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            locks = [lock for lock in self._held.values() if not lock.is_lost]
            if not locks:
                continue
            try:
                facts = {"tokens": [lock.token for lock in locks], "seconds": LEASE_SECONDS}
                kept = {token for (token,) in await self._ask("keep", **facts)}
            except DoraStateError as error:
                log.debug("It could not be said who holds locks: %s", error)
                continue
            for lock in locks:
                if lock.token not in kept and self._held.get(lock.stream_id) is lock:
                    self._figures.losses += 1
                    lock.is_lost = True

    async def _take(self, stream_id: str, timeout: float) -> Lock:
        begun = time.monotonic()
        looking = asyncio.create_task(self._look(stream_id), name=f"look who holds {stream_id}")
        taken = False
        try:
            await self._wait(stream_id, timeout)
            token = await self._say("take", stream_id=stream_id, **self._about())
            taken = True
        except psycopg.Error as error:
            raise refused(self._database_url, error) from None
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            self._figures.waited(time.monotonic() - begun)
            if not taken:
                await self._let_go(stream_id)
        self._figures.taken += 1
        return Lock(stream_id, int(token))

    def _about(self) -> dict[str, object]:
        return {"holder": self._holder, "session_start": self._session_start, "seconds": LEASE_SECONDS}

    async def _wait(self, stream_id: str, timeout: float) -> None:
        try:
            await self._say("patience", milliseconds=max(int(1000 * timeout), 1))
            await self._say("wait", stream_id=stream_id)
        except psycopg.errors.LockNotAvailable:
            self._figures.timeouts += 1
            raise LockTimeout(
                f"{stream_id} has been locked {await self._by(stream_id)}for the {timeout:g} s that were to be waited:"
                " try again later.",
                stream_id=stream_id,
            ) from None
        except psycopg.errors.DeadlockDetected:
            self._figures.deadlocks += 1
            raise LockDeadlock(
                f"{self._holder} waits for the lock of {stream_id}, and its holder for one that {self._holder} holds:"
                " let go of all of them, and take them in an agreed order.",
                stream_id=stream_id,
            ) from None

    async def _by(self, stream_id: str) -> str:
        with suppress(DoraStateError):
            for held in await self._ask("holders"):
                if held[0] == stream_id:
                    return f"by {held[1]} "
        return ""

    async def _look(self, stream_id: str) -> None:
        """End the session of a holder that was stopped: it would have the lock for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                for pid, start in await self._ask("silent", stream_id=stream_id):
                    with available():
                        async with self._pool.connection() as connection:
                            if await end_session(connection, pid, start):
                                log.warning("Who held %s was not heard of; its session %s was ended.", stream_id, pid)
            except DoraStateError as error:
                log.debug("It could not be seen who holds %s: %s", stream_id, error)

    async def _release(self, lock: Lock) -> None:
        try:
            await self._say("release", token=lock.token)
            await self._say("let_go", stream_id=lock.stream_id)
        except psycopg.Error as error:  # one that can't say so is closed, which lets go too
            log.debug("A lock could not be released: %s", error)
            await self._connection.close()

    async def _let_go(self, stream_id: str) -> None:
        """What was waited for may have come just when nobody wanted it any more."""
        with suppress(psycopg.Error):
            await self._say("let_go", stream_id=stream_id)

    async def _say(self, query: str, **facts: Any) -> Any:
        row = await (await self._connection.execute(sql.load(f"locks/{query}"), facts)).fetchone()
        return None if row is None else row[0]

    async def _ask(self, query: str, **facts: Any) -> list[Any]:
        with available():
            async with self._pool.connection() as connection:
                return await (await connection.execute(sql.load(f"locks/{query}"), facts or None)).fetchall()
