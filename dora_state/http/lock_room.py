"""The locks that callers of one server wait for or hold: each by a task of its own, whatever becomes of its answer."""

import asyncio
import logging
from collections.abc import Callable

from commands.locks import Claim, Lock, Locks
from dora_state.http.problems import RequestError

BEGIN_SECONDS = 10.0
"""What was taken and is not told to anybody by then is let go of."""
MOST_LOCKS = 200
"""That are waited for or held at once through one server."""
logger = logging.getLogger(__name__)


class Holding:
    """A lock that a caller waits for or has. Once it is `over`, it is let go of; `leaving` says that the server is."""

    def __init__(self, locks: Locks, claim: Claim, timeout: float, ended: Callable[["Holding"], None]) -> None:
        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self.leaving = False
        self.taken: asyncio.Future[Lock] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(locks, claim, timeout), name=f"lock of {claim.stream_id}")
        self._task.add_done_callback(lambda _: ended(self))

    async def _hold(self, locks: Locks, claim: Claim, timeout: float) -> None:
        try:
            lock = await locks.take(claim, timeout)
        except Exception as error:  # told to whoever waits for it
            if not self.taken.done():
                self.taken.set_exception(error)
            return
        try:
            if not self.taken.done():
                self.taken.set_result(lock)
            async with asyncio.timeout(BEGIN_SECONDS):
                await self.begun.wait()
            await self.over.wait()
        except TimeoutError:
            logger.info("A lock of %s was taken, and nobody heard of it", claim.stream_id)
        finally:
            self.over.set()
            await locks.let_go(lock)

    async def end(self) -> None:
        """Once this returns, it is let go of."""
        self.over.set()
        self.begun.set()
        await asyncio.wait({self._task})

    async def give_up(self) -> None:
        """Nobody waits for it any more."""
        self._task.cancel()
        await asyncio.wait({self._task})


class LockRoom:
    """All of one server."""

    def __init__(self) -> None:
        self._holdings: set[Holding] = set()
        self._is_left = False

    def admit(self, locks: Locks, claim: Claim, timeout: float) -> Holding:
        """Raises RequestError where there are too many, or the server is leaving."""
        if self._is_left:
            raise server_leaves()
        if len(self._holdings) >= MOST_LOCKS:
            raise RequestError(
                "too_many_locks",
                f"{MOST_LOCKS} locks are waited for or held through this server; try again in a moment.",
            )
        holding = Holding(locks, claim, timeout, self._holdings.discard)
        self._holdings.add(holding)
        return holding

    def of(self, token: int) -> Holding | None:
        """That of a lock which is held through this server."""
        for holding in self._holdings:
            taken = holding.taken
            if taken.done() and not taken.cancelled() and not taken.exception() and taken.result().token == token:
                return holding
        return None

    def leave(self) -> None:
        """Whoever waits is told to come again, and whoever holds that it is over."""
        self._is_left = True
        for holding in self._holdings:
            holding.leaving = True
            if not holding.taken.done():
                holding.taken.set_exception(server_leaves())
            holding.over.set()


def server_leaves() -> RequestError:
    return RequestError("closed", "The server is leaving; take the lock again in a moment, or from another server.")
