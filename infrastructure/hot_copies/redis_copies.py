"""The port HotCopies on Redis: what the projector copies, and what readers take and offer."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from infrastructure.hot_copies.guarded import Guarded
from infrastructure.hot_copies.keys import SCRIPT_KEYS, Keys, stamp
from infrastructure.hot_copies.values import believed, handed, standing
from infrastructure.redis_scripts import BEGIN, COPY_BATCH, END_BATCH, OFFER, TEND, TURN
from projections.batch import Batch
from projections.cache_ports import NOTHING_SEEN, Glance
from projections.ports import Counts, StoredDocument

FIRST_LIFE = 900
"""Seconds that a copy lives which nobody asks for; what is asked lives longer (`use.py`)."""
LEASE_SECONDS = 10.0
"""So long after the last word of whoever keeps them are copies believed."""
STALE_SECONDS = 30.0
"""A reader who took longer from its glance to its offer keeps it: half of what is known of outdated copies."""
OFFERS_WAITING = 400
OFFER_PAUSE = 0.005
"""So long offers are gathered, to be made with one call."""
CHANGES_KEPT = 10_000
BATCH_SECONDS = 5.0
TURN_SECONDS = 0.5
Note = Callable[[str, str], None]
_Offer = tuple[StoredDocument, int, bytes]
"""The document, the glance's position and its era."""
_MILLISECONDS = int(LEASE_SECONDS * 1_000)


@dataclass(frozen=True, slots=True)
class _Ticket:
    """What an offer needs of the glance before it."""

    era: bytes
    at: float


class RedisHotCopies:
    """The hot copies of one tenant. `note` hears which of them are taken."""

    def __init__(self, redis: Redis, tenant: str, note: Note | None = None, first_life: int = FIRST_LIFE) -> None:
        self._redis = redis
        self._keys = Keys(tenant)
        self._note = note
        self._first_life = first_life
        self._guarded = Guarded("reading hot copies")
        self._mirroring = Guarded("the projector", BATCH_SECONDS)
        self._turning = Guarded("a rebuild", TURN_SECONDS)
        self._era = ""
        self._generation = 0
        self._offers: list[_Offer] = []
        self._offering: asyncio.Task[None] | None = None

    # --- for the projector ------------------------------------------------------------------------------

    async def begin(self, position: int, generation: int) -> None:
        self._era, self._generation = "", generation
        await self._mirroring(lambda: self._begin(position), None)

    async def mirror(self, batch: Batch, counts: Counts) -> None:
        async def call() -> None:
            if not self._era:
                await self._begin(batch.start)
            if not await self._whole_or_none(batch, counts):
                await self._tend(batch.end, counts)

        await self._mirroring(call, None)

    async def tend(self, position: int, counts: Counts | None) -> None:
        async def call() -> None:
            if not self._era:
                await self._begin(position)
            await self._tend(position, counts)

        await self._mirroring(call, None)

    async def turn(self, position: int) -> None:
        async def call() -> None:
            await self._redis.eval(TURN, 2, self._keys.floor, self._keys.lease)

        await self._turning(call, None)

    async def clear(self) -> None:
        """Forget all that Redis holds of this tenant."""
        await self._mirroring(self._clear, None)

    async def _begin(self, position: int) -> None:
        keys = self._keys
        names = (keys.mark, keys.floor, keys.lease, keys.counts, keys.changes)
        era: Any = await self._redis.eval(
            BEGIN, len(names), *names, stamp(position), str(self._generation), _new_era(), str(_MILLISECONDS)
        )
        self._era = era.decode()

    async def _tend(self, position: int, counts: Counts | None) -> None:
        keys = self._keys
        names = (keys.mark, keys.floor, keys.lease, keys.counts)
        facts = (stamp(position), self._era, _new_era(), str(self._generation), str(_MILLISECONDS))
        era: Any = await self._redis.eval(TEND, len(names), *names, *facts, *_told(counts or {}))
        self._era = era.decode() or self._era

    async def _whole_or_none(self, batch: Batch, counts: Counts) -> bool:
        """Copy a batch, and then say so. If Redis refuses a part, as when it is full, no copy is believed any more."""
        try:
            return await self._copy(batch) and await self._end(batch, counts)
        except ResponseError:
            await self._redis.unlink(self._keys.floor, self._keys.lease)  # a full Redis still takes that
            raise

    async def _copy(self, batch: Batch) -> bool:
        """When far behind, copies are only marked as outdated: most would be outdated again at once."""
        keys, era = self._keys, self._era.encode()
        facts = (stamp(batch.start), stamp(batch.end), self._era, str(self._first_life))
        documents = batch.documents
        for first in range(0, max(len(documents), 1), SCRIPT_KEYS):
            some = documents[first : first + SCRIPT_KEYS]
            names = [keys.mark, keys.floor, keys.lease, *(keys.document(one.kind, one.id) for one in some)]
            copies = [handed(one.position, batch.end, era, None if batch.behind else one.body) for one in some]
            if not await self._redis.eval(COPY_BATCH, len(names), *names, *facts, *copies):
                return False
        return True

    async def _end(self, batch: Batch, counts: Counts) -> bool:
        keys, told = self._keys, _told(counts)
        names = (keys.mark, keys.floor, keys.lease, keys.counts, keys.changes)
        facts = (stamp(batch.end), self._era, str(_MILLISECONDS), str(CHANGES_KEPT), str(len(told)))
        return bool(await self._redis.eval(END_BATCH, len(names), *names, *facts, *told, *_changes(batch)))

    async def _clear(self) -> None:
        """First nothing is believed, then it goes."""
        await self._redis.unlink(self._keys.floor, self._keys.mark, self._keys.lease)
        names = [name async for name in self._redis.scan_iter(match=self._keys.prefix + "*", count=1_000)]
        for start in range(0, len(names), SCRIPT_KEYS):
            await self._redis.unlink(*names[start : start + SCRIPT_KEYS])

    # --- for readers ------------------------------------------------------------------------------------

    async def get(self, kind: str, id: str, min_position: int = 0) -> Glance:
        async def call() -> Glance:
            (glance,) = await self._glances([self._keys.document(kind, id)], min_position)
            if glance.body is not None and self._note is not None:
                self._note(kind, id)
            return glance

        return await self._guarded(call, NOTHING_SEEN)

    async def get_all(self, wanted: Sequence[tuple[str, str]]) -> list[Glance]:
        """The same of many at once; none where Redis fails."""
        none: list[Glance] = []
        names = [self._keys.document(kind, id) for kind, id in wanted]
        return await self._guarded(lambda: self._glances(names, 0), none)

    async def offer(self, document: StoredDocument, glance: Glance) -> None:
        """It is done beside the reader's way, with what others offer; too many at once are dropped."""
        ticket = glance.ticket
        if not isinstance(ticket, _Ticket) or glance.seen is None or len(self._offers) >= OFFERS_WAITING:
            return
        if time.monotonic() - ticket.at < STALE_SECONDS:
            self._offers.append((document, glance.seen, ticket.era))
            if self._offering is None or self._offering.done():
                self._offering = asyncio.create_task(self._hand_over(), name="offers to Redis")

    async def settled(self) -> None:
        """Wait until what was offered is kept."""
        if self._offering is not None:
            await asyncio.wait({self._offering})

    @property
    def failing(self) -> bool:
        """Whether readers go without them just now."""
        return self._guarded.failing

    async def _glances(self, names: Iterable[str], min_position: int) -> list[Glance]:
        at = time.monotonic()
        lease, *values = await self._redis.mget([self._keys.lease, *names])
        found = standing(lease)
        if found is None:
            return [NOTHING_SEEN] * len(values)
        ticket = _Ticket(found.era, at)
        glances = []
        for value in values:
            copy = believed(found, value)
            if copy is not None and max(found.seen, copy.position) < min_position:
                copy = None
            glances.append(Glance(None if copy is None else copy.body, found.seen, ticket))
        return glances

    async def _hand_over(self) -> None:
        await asyncio.sleep(OFFER_PAUSE)
        while self._offers:
            some, self._offers = self._offers, []
            await self._guarded(partial(self._offer, some), None)

    async def _offer(self, offered: Sequence[_Offer]) -> None:
        names = [self._keys.mark, self._keys.floor, *(self._keys.document(one.kind, one.id) for one, _, _ in offered)]
        copies = [handed(one.position, seen, era, one.body) for one, seen, era in offered]
        await self._redis.eval(OFFER, len(names), *names, str(self._first_life), *copies)


def _new_era() -> str:
    """Nobody has it: what was made before it, here or in another life of this Redis, is not of it."""
    return secrets.token_hex(8)


def _told(counts: Counts) -> list[str]:
    return [text for (kind, state), count in counts.items() for text in (f"{kind}:{state}", str(count))]


def _changes(batch: Batch) -> list[str]:
    """What whoever tails the changes is told: each document, or when far behind only how far it is."""
    if batch.behind:
        return ["log", "", str(batch.end), ""]
    return [
        text
        for document in batch.documents[-CHANGES_KEPT:]
        for text in (document.kind, document.id, str(document.position), document.state)
    ]
