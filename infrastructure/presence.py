"""Agents' last heartbeats: telemetry, gathered and written in batches to PostgreSQL and to Redis."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from redis.asyncio import Redis

from infrastructure import sql
from infrastructure.available import available
from infrastructure.hot_copies import SCRIPT_KEYS, Guarded, Keys, stamp
from infrastructure.pools import Pool
from infrastructure.redis_scripts import PUT_PRESENCE
from projections.documents.agent import Presence
from projections.errors import ReadModelsUnavailable

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
PRESENCE_SECONDS = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER = 16


class PresenceBook:
    """Hears heartbeats, tells who was heard when. At most one heartbeat an agent waits to be written.

    Heartbeats that are not written yet when the process dies are lost: the next ones make up for them.
    """

    def __init__(self, pool: Pool, redis: Redis | None, tenant: str) -> None:
        self._pool = pool
        self._redis = redis
        self._keys = Keys(tenant)
        self._guarded = Guarded("presence")
        self._waiting: dict[str, Presence] = {}
        self._seen: dict[str, datetime] = {}

    def heard(self, agent_id: str, at: datetime, usage: Mapping[str, Any] | None, queue_size: int | None) -> None:
        """Note a heartbeat; it is written with the next flush."""
        known = self._waiting.get(agent_id)
        if known is None or known.last_heartbeat < at:
            self._waiting[agent_id] = Presence(agent_id, at, usage, queue_size)

    def seen(self, agent_id: str, at: datetime) -> None:
        """Note another sign of life; it counts for agents that have sent a heartbeat before."""
        self._seen[agent_id] = max(at, self._seen.get(agent_id, at))

    async def run(self, stop: asyncio.Event) -> None:
        """Write what is heard every half second until told to stop, and then once more."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await stop.wait()
            try:
                await self.flush()
            except ReadModelsUnavailable as error:
                log.warning("Heartbeats wait to be written: %s", error)
            if stop.is_set():
                return

    async def flush(self) -> int:
        """Write what was heard; gives how many agents. What can't be written waits on."""
        batch, self._waiting = self._waiting, {}
        seen, self._seen = self._seen, {}
        heard = list(batch.values())
        try:
            if heard:
                await self._store(heard)
            if seen:
                await self._store_seen(seen)
        except BaseException:
            self._waiting = batch | self._waiting
            self._seen = seen | self._seen
            raise
        if heard:
            await self._guarded(lambda: self._copy(heard), None)
        return len(heard)

    async def of(self, agent_ids: Sequence[str]) -> dict[str, Presence]:
        """The last heartbeats of these agents; who was never heard is left out."""
        none: dict[str, Presence] = {}
        found = dict(await self._guarded(lambda: self._copied(agent_ids), none))
        missing = [agent_id for agent_id in agent_ids if agent_id not in found]
        found |= await self._stored(missing)
        for agent_id in agent_ids:
            waiting, known = self._waiting.get(agent_id), found.get(agent_id)
            if waiting and (known is None or known.last_heartbeat < waiting.last_heartbeat):
                found[agent_id] = waiting
        return found

    async def _store(self, heard: Sequence[Presence]) -> None:
        columns = {
            "agent_id": [presence.agent_id for presence in heard],
            "last_heartbeat": [presence.last_heartbeat for presence in heard],
            "usage": [_json(presence.usage) for presence in heard],
            "queue_size": [presence.queue_size for presence in heard],
        }
        with available():
            async with self._pool.connection() as connection:
                await connection.execute(sql.load("read_models/put_presence"), columns)

    async def _store_seen(self, seen: Mapping[str, datetime]) -> None:
        columns = {"agent_id": list(seen), "at": list(seen.values())}
        with available():
            async with self._pool.connection() as connection:
                await connection.execute(sql.load("read_models/see_agents"), columns)

    async def _stored(self, agent_ids: Sequence[str]) -> dict[str, Presence]:
        if not agent_ids:
            return {}
        facts = {"agent_ids": list(agent_ids)}
        with available():
            async with self._pool.connection() as connection:
                rows: list[Any] = await (await connection.execute(sql.load("read_models/presence"), facts)).fetchall()
        return {
            agent_id: Presence(agent_id, at.astimezone(UTC), orjson.loads(usage) if usage else None, queue_size)
            for agent_id, at, usage, queue_size in rows
        }

    async def _copy(self, heard: Sequence[Presence]) -> None:
        if self._redis is None:
            return
        for first in range(0, len(heard), SCRIPT_KEYS):
            some = heard[first : first + SCRIPT_KEYS]
            names = [self._keys.presence(presence.agent_id) for presence in some]
            values = [_value(presence) for presence in some]
            await self._redis.eval(PUT_PRESENCE, len(names), *names, str(PRESENCE_SECONDS), *values)

    async def _copied(self, agent_ids: Sequence[str]) -> dict[str, Presence]:
        if self._redis is None or not agent_ids:
            return {}
        values: list[Any] = await self._redis.mget([self._keys.presence(agent_id) for agent_id in agent_ids])
        return {
            agent_id: presence
            for agent_id, value in zip(agent_ids, values, strict=True)
            if value is not None and (presence := presence_of(agent_id, value)) is not None
        }


def _json(usage: Mapping[str, Any] | None) -> str | None:
    return orjson.dumps(usage).decode() if usage is not None else None


def _value(presence: Presence) -> bytes:
    """The heartbeat in microseconds, sixteen digits, then what was told with it."""
    microseconds = stamp((presence.last_heartbeat - _EPOCH) // timedelta(microseconds=1))
    return microseconds.encode() + orjson.dumps([presence.usage, presence.queue_size])


def presence_of(agent_id: str, value: bytes) -> Presence | None:
    """What a copy says; None if it is not ours."""
    try:
        usage, queue_size = orjson.loads(value[_HEADER:])
        return Presence(agent_id, _EPOCH + timedelta(microseconds=int(value[:_HEADER])), usage, queue_size)
    except (ValueError, TypeError, OverflowError):
        return None
