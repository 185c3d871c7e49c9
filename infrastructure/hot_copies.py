"""Hot copies of the read models in Redis: documents by id, live counts, and a stream of changes to tail.

Everything of a tenant has its cluster tag, so that one script may touch it all. A copy is text: the
document's position and how far the log had been applied when it was copied, sixteen digits each, then the
document. Two keys stand for all copies: `mark`, up to where they are good, and `floor`, below which none is
believed. When a batch is missing (a crash, an outage, an emptied Redis), the floor rises to the present:
that costs every copy once, and can't be wrong.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from infrastructure.redis_scripts import BEGIN, END, PUT
from projections.batch import Batch
from projections.ports import NOTHING_SEEN, Counts, Glance, StoredDocument

log = logging.getLogger(__name__)

DOCUMENT_SECONDS = 3_600
GONE_SECONDS = 60
"""How long it stays known that a copy is outdated: longer than a reader takes from its glance to its offer."""
CHANGES_KEPT = 10_000
SCRIPT_KEYS = 500
CALL_SECONDS = 2.0
BATCH_SECONDS = 20.0
"""How long an answer is waited for, whatever the client's own patience: a reader's call, and a batch."""
QUIET_SECONDS = 1.0
"""How long Redis is left alone after it failed, so that an outage slows nobody down."""
_HEADER = 32
T = TypeVar("T")


def stamp(number: int) -> str:
    """Sixteen digits, so that text compares as numbers do."""
    return f"{number:016d}"


class Keys:
    """The names of one tenant's keys."""

    def __init__(self, tenant: str) -> None:
        self.prefix = f"dora-state:{{{tenant}}}:"
        self.mark = self.prefix + "mark"
        self.floor = self.prefix + "floor"
        self.counts = self.prefix + "counts"
        self.changes = self.prefix + "changes"

    def document(self, kind: str, id: str) -> str:
        return f"{self.prefix}doc:{kind}:{id}"

    def presence(self, agent_id: str) -> str:
        return f"{self.prefix}presence:{agent_id}"


def cancellable(pool: ConnectionPool) -> ConnectionPool:
    """The pool, with a time limit for connecting and none for sockets, whatever its URL says; gives it back.

    With one, redis-py sends each command through `asyncio.wait_for`, which on Python 3.11 loses a cancellation
    that comes when the write is done: whoever cancels then waits for ever. `Guarded` limits each call instead.
    """
    pool.connection_kwargs |= {"socket_timeout": None, "socket_connect_timeout": CALL_SECONDS}
    return pool


class Guarded:
    """Calls Redis, and goes without it for a while when it fails or is slow: logged once for each outage."""

    def __init__(self, what: str, seconds: float = CALL_SECONDS) -> None:
        self._what = what
        self._seconds = seconds
        self._quiet_until = 0.0
        self._failing = False

    async def __call__(self, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        if time.monotonic() < self._quiet_until:
            return otherwise
        try:
            async with asyncio.timeout(self._seconds):
                result = await call()
        except (RedisError, OSError, TimeoutError) as error:
            if not self._failing:
                log.warning("Redis fails, %s goes on without it: %s", self._what, error)
            self._failing = True
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            return otherwise
        if self._failing:
            log.info("Redis is back for %s", self._what)
        self._failing = False
        return result


class RedisHotCopies:
    """The hot copies of one tenant."""

    def __init__(self, redis: Redis, tenant: str, document_seconds: int = DOCUMENT_SECONDS) -> None:
        self._redis = redis
        self._keys = Keys(tenant)
        self._document_seconds = document_seconds
        self._guarded = Guarded("reading hot copies")
        self._mirroring = Guarded("the projector", BATCH_SECONDS)

    async def begin(self, position: int) -> None:
        async def call() -> None:
            mark = await self._redis.get(self._keys.mark)
            if mark is not None and int(mark) > position:
                await self._clear()

        await self._mirroring(call, None)

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        async def call() -> None:
            await self._mirror(batch, counts)

        await self._mirroring(call, None)

    async def get(self, kind: str, id: str, min_position: int = 0) -> Glance:
        async def call() -> Glance:
            names = [self._keys.mark, self._keys.floor, self._keys.document(kind, id)]
            return _glance(await self._redis.mget(names), min_position)

        return await self._guarded(call, NOTHING_SEEN)

    async def offer(self, document: StoredDocument, seen: int) -> None:
        value = stamp(document.position).encode() + stamp(seen).encode() + document.body

        async def call() -> None:
            key = self._keys.document(document.kind, document.id)
            await self._put(self._redis, [key], [value], self._document_seconds)

        await self._guarded(call, None)

    async def clear(self) -> None:
        """Forget all copies of this tenant."""
        await self._mirroring(self._clear, None)

    async def _clear(self) -> None:
        names = [name async for name in self._redis.scan_iter(match=self._keys.prefix + "*", count=1_000)]
        for start in range(0, len(names), SCRIPT_KEYS):
            await self._redis.unlink(*names[start : start + SCRIPT_KEYS])

    async def _mirror(self, batch: Batch, counts: Counts) -> None:
        """When far behind, copies are only marked as outdated: most would be outdated again at once."""
        end = stamp(batch.end)
        documents = batch.documents
        pipe = self._redis.pipeline(transaction=False)
        pipe.eval(BEGIN, 2, self._keys.mark, self._keys.floor, stamp(batch.start), end)
        for first in range(0, len(documents), SCRIPT_KEYS):
            some = documents[first : first + SCRIPT_KEYS]
            names = [self._keys.document(document.kind, document.id) for document in some]
            stamped = [(stamp(document.position) + end).encode() for document in some]
            if batch.behind:
                await self._put(pipe, names, stamped, GONE_SECONDS)
            else:
                values = [head + document.body for head, document in zip(stamped, some, strict=True)]
                await self._put(pipe, names, values, self._document_seconds)
        told = [item for (kind, state), count in counts.items() for item in (f"{kind}:{state}", count)]
        arguments = [end, CHANGES_KEPT, len(told), *told, *_changes(batch)]
        pipe.eval(END, 3, self._keys.mark, self._keys.counts, self._keys.changes, *arguments)
        await pipe.execute()

    async def _put(self, target: Any, names: Sequence[str], values: Sequence[bytes], seconds: int) -> None:
        """`target` is the client, which answers, or a pipeline, which gathers."""
        result = target.eval(PUT, len(names), *names, seconds, *values)
        if isinstance(result, Awaitable):
            await result


def _changes(batch: Batch) -> list[str]:
    """What whoever tails the changes is told: each document, or when far behind only how far it is."""
    if batch.behind:
        return ["log", "", str(batch.end), ""]
    return [
        text
        for document in batch.documents[-CHANGES_KEPT:]
        for text in (document.kind, document.id, str(document.position), document.state)
    ]


def _glance(values: Sequence[Any], min_position: int) -> Glance:
    mark, floor, value = values
    if mark is None:
        return NOTHING_SEEN
    seen = int(mark)
    if value is None or len(value) <= _HEADER:
        return Glance(None, seen)
    position, copied_at = int(value[: _HEADER // 2]), int(value[_HEADER // 2 : _HEADER])
    believed = copied_at >= int(floor or 0) and max(seen, position) >= min_position
    return Glance(value[_HEADER:] if believed else None, seen)
