"""What is asked for: noted in memory, and told to Redis in batches, never with a read.

Every ten seconds a process tells which documents it was asked for, the most asked ones first. A copy in the second
half of its life that was asked for gets twice that life from then on, up to a day; a copy that nobody asks for goes
when its life ends, after a quarter of an hour. What is asked most is remembered, half of it forgotten with each day
and a thousand documents at most, and loaded when a process begins.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from redis.asyncio import Redis

from infrastructure.hot_copies.guarded import Guarded
from infrastructure.hot_copies.keys import SCRIPT_KEYS, Keys
from infrastructure.hot_copies.redis_copies import RedisHotCopies
from infrastructure.near.near_copies import NearDocuments
from infrastructure.redis_scripts import NOTE_USE
from projections.documents.frozen import frozen
from projections.documents.values import decode

NOTE_SECONDS = 10.0
NOTED = 10_000
"""Different documents at most are noted between two tellings."""
REMEMBERED = 1_000
HALF_LIFE = 86_400
LONGEST_LIFE = 86_400
WARMED = 500
WARM_SECONDS = 5.0
Name = tuple[str, str]


class UseBook:
    """Notes what is asked for, and warms what is kept near by what was asked most."""

    def __init__(self, redis: Redis, tenant: str, near: NearDocuments) -> None:
        self._redis = redis
        self._keys = Keys(tenant)
        self._near = near
        self._noted: Counter[Name] = Counter()
        self._guarded = Guarded("noting what is asked", WARM_SECONDS)

    def note(self, kind: str, id: str) -> None:
        name = (kind, id)
        if len(self._noted) < NOTED or name in self._noted:
            self._noted[name] += 1

    async def run(self) -> None:
        """Tell what is asked every ten seconds, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            await self.tell()

    async def tell(self) -> None:
        """Tell what was asked since the last time."""
        noted, self._noted = self._noted, Counter()
        noted.update(dict(self._near.asked()))
        some = noted.most_common(SCRIPT_KEYS)
        if some:
            await self._guarded(lambda: self._tell(some), None)

    async def most_asked(self, count: int = WARMED) -> list[Name]:
        """Kinds and ids, what was asked most first."""

        async def call() -> list[bytes]:
            found: Any = await self._redis.zrevrange(self._keys.asked, 0, count - 1)
            return list(found)

        none: list[bytes] = []
        names = await self._guarded(call, none)
        return [(kind, id) for kind, _, id in (name.decode(errors="replace").partition(":") for name in names)]

    async def warm(self, hot: RedisHotCopies, wanted: Sequence[Name]) -> int:
        """Load documents into this process with one read; gives how many there were.

        Not for tasks: their trail is not among the copies, and is kept with them.
        """
        tickets = [self._near.ticket(kind, id) for kind, id in wanted]
        loaded = 0
        for (kind, id), ticket, glance in zip(wanted, tickets, await hot.get_all(wanted), strict=False):
            if ticket is not None and glance.body is not None:
                self._near.put(kind, id, frozen(decode(glance.body)), ticket)
                loaded += 1
        return loaded

    async def _tell(self, asked: list[tuple[Name, int]]) -> None:
        keys = [self._keys.asked, self._keys.decayed, *(self._keys.document(*name) for name, _ in asked)]
        facts = (str(REMEMBERED), str(HALF_LIFE), str(LONGEST_LIFE))
        await self._redis.eval(NOTE_USE, len(keys), *keys, *facts, *_told(asked))


def _told(asked: list[tuple[Name, int]]) -> Iterator[str]:
    for (kind, id), count in asked:
        yield f"{kind}:{id}"
        yield str(count)
