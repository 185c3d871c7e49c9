"""The place of a process among those who hold locks: one session of the database, whatever it holds and waits for.

The session ends with the process, and others see that at once; who is stopped is not heard of, and loses its place
after `LEASE_SECONDS`. All locks of a place are lost with it. Whoever lets go tells the sessions of all places; nobody
relies on it, as each that waits also looks by itself.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from commands.locks import Claim, Lock
from domain.errors import DoraStateError, LockDeadlock, LogUnavailable
from infrastructure import sql
from infrastructure.database import Connection, Role, assume, connect, refused, tenant_schema
from infrastructure.locks.asking import ask
from infrastructure.locks.figures import LockFigures
from infrastructure.pools import Pool
from infrastructure.process_memory import process_name
from projections.errors import ReadModelsUnavailable

LEASE_SECONDS = 10.0
BEAT_SECONDS = 2.0
LOOK_SECONDS = 1.0
"""How often those who wait are looked after, also where nobody told that anything is free."""
LEAVE_SECONDS = 2.0
"""How long whoever goes waits until the database has heard of it; later it is told without him."""
NAME_LENGTH = 63
"""Of what PostgreSQL takes for a channel."""
Found = int | DoraStateError
"""A token, or why there will be none."""
log = logging.getLogger(__name__)


class Place:
    """`pool` is for what is said; the session only listens."""

    def __init__(self, session: Connection, number: int, pool: Pool, figures: LockFigures) -> None:
        self.is_gone = False
        self._session = session
        self._number = number
        self._pool = pool
        self._figures = figures
        self._heard_at = time.monotonic()
        self._held: dict[int, tuple[UUID, Lock]] = {}
        self._waiting: dict[UUID, asyncio.Future[Found]] = {}
        self._claims: dict[UUID, Claim] = {}
        self._left: set[UUID] = set()
        """Whom the database was not told of yet that they do not wait or hold any more."""
        self._look = asyncio.Event()

    async def take(self, claim: Claim, timeout: float) -> Lock | None:
        """None where it could not be had in time. Raises LockDeadlock, LogUnavailable."""
        if self.is_gone:
            raise _unavailable("the session was lost")
        id = uuid4()
        had = self._waiting[id] = asyncio.get_running_loop().create_future()
        self._claims[id] = claim
        lock: Lock | None = None
        try:
            token = await self._ask(id, claim)
            if token is None:
                async with asyncio.timeout(timeout):
                    token = _token(await had)
            lock = self._take(id, claim, token)
        except TimeoutError:
            return None
        finally:
            del self._waiting[id], self._claims[id]
            if lock is None:
                await self._leave(id)
        return lock

    def _take(self, id: UUID, claim: Claim, token: int) -> Lock:
        if self.is_gone:
            raise _unavailable("the session was lost")
        lock = Lock(claim.stream_id, token)
        self._held[token] = id, lock
        return lock

    async def _ask(self, id: UUID, claim: Claim) -> int | None:
        """Be one of those who wait from now on; the token where it is had at once. Raises LogUnavailable."""
        facts = {
            "id": id,
            "place": self._number,
            "stream_id": claim.stream_id,
            "holder": claim.holder,
            "owner": claim.owner,
            "party": claim.party,
            "holds": list(claim.holds),
            "hold_seconds": claim.hold_seconds,
        }
        try:
            ((token,),) = await ask(self._pool, "ask", **facts)
        except psycopg.errors.ForeignKeyViolation:
            self.lose()
            raise _unavailable("this process was not heard of in time") from None
        except ReadModelsUnavailable as error:
            raise LogUnavailable(error.message) from error
        if token is None:
            self._look.set()  # two may wait for each other from now on
        return None if token is None else int(token)

    async def let_go(self, lock: Lock) -> None:
        held = self._held.pop(lock.token, None)
        if held is not None:
            await self._leave(held[0])

    async def _leave(self, id: UUID) -> None:
        """Say that one does not wait or hold any more, now or as soon as it can be said."""
        if self.is_gone:
            return
        self._left.add(id)
        try:
            with suppress(DoraStateError, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._say_who_left()
        finally:
            self._look.set()

    async def _say_who_left(self) -> None:
        if left := list(self._left):
            await ask(self._pool, "leave", ids=left)
            self._left.difference_update(left)

    # --- what goes on meanwhile -----------------------------------------------------------------------------

    async def keep(self) -> None:
        """For as long as the place lasts: say that we are there, hear of what is free, and look."""
        parts = (self._hear, self._beat, self._outlast, self._watch)
        work = [asyncio.create_task(part(), name=f"locks: {part.__name__}") for part in parts]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.lose()
            for task in work:
                task.cancel()
            for ended in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.warning("The place among those who hold locks was lost: %s", ended)

    def lose(self) -> None:
        """All that is held is lost, and nobody waits here any more."""
        self.is_gone = True
        for _, lock in self._held.values():
            self._lose(lock)
        for id in self._waiting:
            self._tell(id, _unavailable("the session was lost"))

    def _lose(self, lock: Lock) -> None:
        if not lock.is_lost:
            self._figures.losses += 1
            lock.is_lost = True

    async def _hear(self) -> None:
        async for _ in self._session.notifies():
            self._look.set()

    async def _beat(self) -> None:
        """Until the database says that we were not heard of for too long."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            held = list(self._held.values())
            asked_at = time.monotonic()
            try:
                ((kept,),) = await ask(self._pool, "keep", place=self._number, seconds=LEASE_SECONDS)
            except DoraStateError as error:
                log.debug("It could not be said who holds locks: %s", error)
                continue
            if kept is None:
                return
            self._heard_at = asked_at
            for id, lock in held:
                if id not in kept and lock.token in self._held:
                    self._lose(lock)
            self._leave_unknown(kept)

    def _leave_unknown(self, kept: list[UUID]) -> None:
        """Who went away while he was asking may have come into the database all the same, and later than he left it."""
        known = self._waiting.keys() | {id for id, _ in self._held.values()}
        if unknown := set(kept) - known:
            self._left |= unknown
            self._look.set()

    async def _outlast(self) -> None:
        """Until we were not heard of for too long by our own clock: a question may go unanswered for longer."""
        while (left := self._heard_at + LEASE_SECONDS - time.monotonic()) > 0:  # noqa: ASYNC110  # it moves meanwhile
            await asyncio.sleep(left)

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._waiting or self._left else None):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._say_who_left()
                await self._see()
            except DoraStateError as error:
                log.debug("It could not be seen who may have a lock: %s", error)
                await asyncio.sleep(LOOK_SECONDS)

    async def _see(self) -> None:
        """Who of those who wait may have it by now, and who waits in vain."""
        if not self._waiting:
            return
        for id, token in await ask(self._pool, "look", place=self._number, ids=list(self._waiting)):
            self._tell(id, int(token))
        if any(claim.holds or claim.party for claim in self._claims.values()):
            for (id,) in await ask(self._pool, "deadlocks", place=self._number):
                if id in self._claims:
                    self._tell(id, _deadlock(self._claims[id]))

    def _tell(self, id: UUID, found: Found) -> None:
        had = self._waiting.get(id)
        if had is not None and not had.done():
            had.set_result(found)


@asynccontextmanager
async def open_place(database_url: str, tenant: str, pool: Pool, figures: LockFigures) -> AsyncIterator[Place]:
    """Raises LogUnavailable and LogError."""
    async with await connect(database_url, f"dora-state locks {tenant}") as session:
        schema = tenant_schema(tenant)
        try:
            await assume(session, schema, Role.WRITER)
            channel = Identifier(f"dora_state locks {schema}"[:NAME_LENGTH])
            await session.execute(SQL(sql.load("locks/hear").decode()).format(channel=channel))
            facts = {"process": process_name(), "seconds": LEASE_SECONDS}
            row: Any = await (await session.execute(sql.load("locks/open"), facts)).fetchone()
        except psycopg.Error as error:
            raise refused(database_url, error) from None
        yield Place(session, int(row[0]), pool, figures)


def _token(found: Found) -> int:
    if isinstance(found, DoraStateError):
        raise found
    return found


def _unavailable(why: str) -> LogUnavailable:
    return LogUnavailable(f"Locks can't be waited for just now, as {why}; try again.")


def _deadlock(claim: Claim) -> LockDeadlock:
    return LockDeadlock(
        f"{claim.holder} waits for the lock of {claim.stream_id}, and its holder for one that {claim.holder} holds:"
        " let go of all of them, and take them in an agreed order.",
        stream_id=claim.stream_id,
    )
