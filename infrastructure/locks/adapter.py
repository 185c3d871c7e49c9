"""The port Locks: what this process holds and waits for has a place, which is opened with the first lock."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Self

from commands.locks import Claim, HeldLock, Lock, Waiter
from domain.errors import DoraStateError, LockDeadlock, LockLost, LockTimeout, LogUnavailable
from infrastructure import sql
from infrastructure.available import available
from infrastructure.locks.asking import ask
from infrastructure.locks.figures import LockFigures
from infrastructure.locks.place import Place, open_place
from infrastructure.pools import Pool

AGAIN_SECONDS = 0.5
"""After which those who wait try again, where the database is away."""
MOST_OWNERS = 10_000
"""Of tokens that are remembered."""
log = logging.getLogger(__name__)


class PostgresLocks:
    """The locks of one tenant. Use as an async context manager: at its end everything is let go of."""

    def __init__(self, database_url: str, tenant: str, pool: Pool) -> None:
        self._database_url = database_url
        self._tenant = tenant
        self._pool = pool
        self.figures = LockFigures()
        self._place: asyncio.Future[Place] | None = None
        self._keeping: set[asyncio.Task[None]] = set()
        self._places: dict[int, Place] = {}
        """Where each token is held."""
        self._owners: OrderedDict[int, str | None] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)

    async def take(self, claim: Claim, timeout: float) -> Lock:
        """Over outages of the database too, within the time: who waits again comes as one who asks now."""
        begun = time.monotonic()
        self.figures.waiting += 1
        try:
            place, lock = await self._wait(claim, begun + timeout)
        except LockDeadlock:
            self.figures.deadlocks += 1
            raise
        finally:
            self.figures.waiting -= 1
            self.figures.waited(time.monotonic() - begun)
        if lock is None:
            self.figures.timeouts += 1
            raise LockTimeout(
                f"{claim.stream_id} has been locked {await self._by(claim.stream_id)}for the {timeout:g} s that were to"
                " be waited: try again later.",
                stream_id=claim.stream_id,
            )
        self.figures.taken += 1
        self.figures.held += 1
        self._places[lock.token] = place
        return lock

    async def _wait(self, claim: Claim, until: float) -> tuple[Place, Lock | None]:
        while True:
            try:
                place = await self._opened()
                return place, await place.take(claim, max(until - time.monotonic(), 0.0))
            except LogUnavailable:
                if (left := until - time.monotonic()) <= 0:
                    raise
            await asyncio.sleep(min(AGAIN_SECONDS, left))

    async def let_go(self, lock: Lock) -> None:
        self.figures.held -= 1
        await self._places.pop(lock.token).let_go(lock)

    async def renew(self, token: int) -> datetime:
        ((until,),) = await ask(self._pool, "renew", token=token)
        if until is None:
            raise LockLost(token=token)
        return until  # type: ignore[no-any-return]  # rows are of any type

    async def release(self, token: int) -> None:
        await ask(self._pool, "release", token=token)

    async def owners(self, tokens: Sequence[int]) -> Mapping[int, str | None]:
        """Those that are known are not asked for again: a token is never given twice."""
        unknown = [token for token in tokens if token not in self._owners]
        if unknown:
            self._owners.update(await ask(self._pool, "owners", tokens=unknown))
        found = {token: self._owners[token] for token in tokens if token in self._owners}
        while len(self._owners) > MOST_OWNERS:
            self._owners.popitem(last=False)
        return found

    async def held(self) -> list[HeldLock]:
        """All that is held, who held on longest first, each with those who wait. Raises ReadModelsUnavailable."""
        with available():
            async with self._pool.connection() as connection, connection.transaction():
                found: list[Any] = await (await connection.execute(sql.load("locks/holders"))).fetchall()
                waiting: list[Any] = await (await connection.execute(sql.load("locks/waiters"))).fetchall()
        waiters: dict[str, list[Waiter]] = {}
        for stream_id, *about in waiting:
            waiters.setdefault(stream_id, []).append(Waiter(*about))
        return [
            HeldLock(stream_id, holder, token, process, since, until, tuple(waiters.get(stream_id, ())))
            for stream_id, holder, token, process, since, until in found
        ]

    async def _by(self, stream_id: str) -> str:
        with suppress(DoraStateError):
            for held in await self.held():
                if held.stream_id == stream_id:
                    return f"by {held.holder} "
        return ""

    async def _opened(self) -> Place:
        """The place of this process; a new one where there is none or it was lost, which all wait for who want it.

        Raises LogUnavailable, LogError.
        """
        if self._place is None or _is_of_no_use(self._place):
            self._place = asyncio.get_running_loop().create_future()
            keeping = asyncio.create_task(self._keep(self._place), name="locks")
            self._keeping.add(keeping)
            keeping.add_done_callback(self._keeping.discard)
        return await asyncio.shield(self._place)

    async def _keep(self, opened: "asyncio.Future[Place]") -> None:
        try:
            async with open_place(self._database_url, self._tenant, self._pool, self.figures) as place:
                opened.set_result(place)
                await place.keep()
        except Exception as error:
            if opened.done():
                log.warning("The place among those who hold locks could not be left: %s", error)
            else:
                opened.set_exception(error)
        finally:
            opened.cancel()


def _is_of_no_use(place: "asyncio.Future[Place]") -> bool:
    return place.done() and (place.cancelled() or place.exception() is not None or place.result().is_gone)
