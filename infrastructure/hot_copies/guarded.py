"""How Redis is called: with a limit of time, and not at all for a while after it failed."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisClusterException, RedisError

log = logging.getLogger(__name__)

CALL_SECONDS = 0.5
"""How long a reader waits for an answer: PostgreSQL would have given one a hundred times."""
CONNECT_SECONDS = 2.0
QUIET_SECONDS = 1.0
LONGEST_QUIET = 4.0
"""How long Redis is left alone after it failed, longer each time, so that an outage slows nobody down."""
FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
"""How Redis fails; a cluster that can't be reached is no RedisError."""
T = TypeVar("T")


def cancellable(pool: ConnectionPool) -> ConnectionPool:
    """The pool, with a time limit for connecting and none for sockets, whatever its URL says; gives it back.

    With one, redis-py sends each command through `asyncio.wait_for`, which on Python 3.11 loses a cancellation
    that comes when the write is done: whoever cancels then waits for ever. `Guarded` limits each call instead.
    """
    pool.connection_kwargs |= {"socket_timeout": None, "socket_connect_timeout": CONNECT_SECONDS}
    return pool


class Guarded:
    """Calls Redis, and goes without it for a while when it fails or is slow: logged once for each outage.

    While it fails, one caller at a time tries whether it is back, and all others go without at once.
    """

    def __init__(self, what: str, seconds: float = CALL_SECONDS) -> None:
        self._what = what
        self._seconds = seconds
        self._quiet_until = 0.0
        self._quiet = 0.0
        self._failing = False
        self._trying = False

    @property
    def failing(self) -> bool:
        return self._failing

    async def __call__(self, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        if not self._failing:
            return await self._call(call, otherwise)
        if self._trying or time.monotonic() < self._quiet_until:
            return otherwise
        self._trying = True
        try:
            return await self._call(call, otherwise)
        finally:
            self._trying = False

    async def _call(self, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        try:
            # Whoever only tries whether it is back is not held up for long.
            async with asyncio.timeout(min(self._seconds, CALL_SECONDS) if self._failing else self._seconds):
                result = await call()
        except FAILURES as error:
            self._failed(error)
            return otherwise
        if self._failing:
            log.info("Redis is back for %s", self._what)
        self._failing, self._quiet = False, 0.0
        return result

    def _failed(self, error: Exception) -> None:
        """Of many that fail at once, the first counts."""
        now = time.monotonic()
        if now < self._quiet_until:
            return
        if not self._failing:
            told = f"{type(error).__name__}: {error}".rstrip(": ")
            log.warning("Redis fails, %s goes on without it: %s", self._what, told)
        self._failing = True
        self._quiet = min(max(2 * self._quiet, QUIET_SECONDS), LONGEST_QUIET)
        self._quiet_until = now + self._quiet
