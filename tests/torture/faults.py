"""What goes wrong: each fault happens, lasts as long as the dice say, and heals."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg
from redis.exceptions import RedisError

from domain.errors import LogError
from infrastructure.silence import ASK_SECONDS, LOOK_SECONDS, SILENT_SECONDS
from tests.support.file_limits import GONE, limit_files
from tests.support.postgres import connected
from tests.support.redis_server import RedisServer
from tests.torture.stage import TENANT, Part, Stage

LONGEST_STOP = 7.0
"""Longer than it takes others to hold a process for dead."""
_FOUND_OUT = SILENT_SECONDS + ASK_SECONDS + 2 * LOOK_SECONDS
LINGERS = {"silence all connections": _FOUND_OUT, "fall silent within an append": _FOUND_OUT}
"""For how many seconds after a fault was made something may wait for what will not come: so soon it is found out."""


@dataclass(frozen=True, slots=True)
class Happened:
    """`began` is Unix time; `felt` is for how many seconds from then something is as it should not be."""

    name: str
    began: float
    felt: float


@dataclass(slots=True)
class Faults:
    """Drawn from a seed. `skipped` counts those for which there was nothing to hit at the moment."""

    stage: Stage
    chance: random.Random
    happened: list[Happened] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    _turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _begun: set[asyncio.Task[Any] | None] = field(default_factory=set)

    async def carry_out(self, name: str) -> None:
        began, this = time.time(), asyncio.current_task()
        try:
            hit = await KINDS[name](self)
        except (*GONE, psycopg.Error, RedisError, OSError, LogError):
            hit = this in self._begun  # what it was to hit was away, or went away meanwhile, by another
        finally:
            self._begun.discard(this)
        if hit:
            self.happened.append(Happened(name, began, time.time() - began + LINGERS.get(name, 0.0)))
        else:
            self.skipped[name] += 1

    def _begins(self) -> None:
        """From here on it is felt, also where another breaks it off."""
        self._begun.add(asyncio.current_task())

    async def _last(self, seconds: float) -> None:
        self._begins()
        await asyncio.sleep(seconds)

    def heal(self) -> None:
        """What a fault that was broken off would leave."""
        self.stage.proxy.delay = 0.0
        for part in self.stage.all_parts:
            with contextlib.suppress(*GONE):
                part.send(signal.SIGCONT)
        with contextlib.suppress(*GONE, psutil.AccessDenied):
            processes = list(self._postgres_processes())
            for process in processes:
                process.resume()
            limit_files(processes, None)

    # --- killed -------------------------------------------------------------------------------------------

    async def _kill_postgres(self) -> bool:
        self.stage.postmaster.kill()
        return True

    async def _kill_postgres_twice(self) -> bool:
        """Again as soon as it is there, which may be while it recovers."""
        first = self.stage.postmaster
        first.kill()
        self._begins()
        async with asyncio.timeout(30):
            while True:
                await asyncio.sleep(0.02)
                with contextlib.suppress(*GONE):
                    again = self.stage.postmaster
                    if again.pid != first.pid:
                        again.kill()
                        return True

    async def _kill_backend(self) -> bool:
        """PostgreSQL then ends all sessions and recovers. One that was just killed itself has none any more."""
        backends = self.stage.postmaster.children()
        if backends:
            self.chance.choice(backends).kill()
        return bool(backends)

    async def _kill_cache(self) -> bool:
        return await self._begin_again(self.stage.cache)

    async def _kill_broker(self) -> bool:
        return await self._begin_again(self.stage.broker)

    async def _begin_again(self, server: RedisServer) -> bool:
        async with self._turns[server.url]:  # two at once would begin two, of which one stayed for ever
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(self.chance.choice([0.0, 1.0]))
            await asyncio.to_thread(server.start)
        return True

    async def _kill(self, group: str) -> bool:
        self._one_of(group).kill()
        return True

    async def _kill_several(self) -> bool:
        """With no time between them."""
        for group in self.chance.sample(sorted(self.stage.parts), 3):
            self._one_of(group).send(signal.SIGKILL)
        self._begins()
        if self.chance.random() < 0.5:
            self.stage.postmaster.kill()
        servers = [one for one in (self.stage.cache, self.stage.broker) if self.chance.random() < 0.3]
        await asyncio.gather(*map(self._begin_again, servers))
        return True

    def _one_of(self, group: str) -> Part:
        return self.chance.choice(self.stage.parts[group])

    # --- between ------------------------------------------------------------------------------------------

    async def _cut_all(self) -> bool:
        await self.stage.proxy.cut_all()
        return True

    async def _silence(self) -> bool:
        """They stay, and nothing comes any more, as where something between forgets them."""
        self.stage.proxy.silence_all()
        return True

    async def _delay(self) -> bool:
        self.stage.proxy.delay = self.chance.choice([0.02, 0.2])
        await self._last(self.chance.uniform(0.5, 3.0))
        self.stage.proxy.delay = 0.0
        return True

    async def _end_sessions(self) -> bool:
        async with await self.stage.connect() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        return True

    # --- stopped ------------------------------------------------------------------------------------------

    async def _stop(self, group: str) -> bool:
        part = self._one_of(group)
        part.send(signal.SIGSTOP)
        await self._last(self.chance.choice([0.3, LONGEST_STOP]))
        part.send(signal.SIGCONT)
        return True

    async def _stop_postgres(self) -> bool:
        """All of it: it takes connections and answers nobody."""
        stopped = list(self._postgres_processes())
        for process in stopped:
            with contextlib.suppress(*GONE):
                process.suspend()
        await self._last(self.chance.choice([0.3, 2.0]))
        for process in stopped:
            with contextlib.suppress(*GONE):
                process.resume()
        return bool(stopped)

    def _postgres_processes(self) -> Iterator[psutil.Process]:
        postmaster = self.stage.postmaster
        yield postmaster
        yield from postmaster.children()

    async def _stop_cache(self) -> bool:
        with self.stage.cache.stopped():
            await self._last(self.chance.choice([0.3, 3.0]))
        return True

    # --- short of something -------------------------------------------------------------------------------

    async def _flush_cache(self) -> bool:
        with self.stage.cache.client() as client:
            await asyncio.to_thread(client.flushall)
        return True

    async def _fill_disk(self) -> bool:
        """No file may grow beyond what it has, which is what a quota or a full disk says: also not the log of changes,
        so that PostgreSQL may have to recover.
        """
        limit = self.chance.choice([16 * 2**20, 2**20])
        limited = list(self._postgres_processes())
        await asyncio.to_thread(limit_files, limited, limit)
        await self._last(self.chance.uniform(0.5, 2.0))
        with contextlib.suppress(*GONE):
            limited += self._postgres_processes()
        await asyncio.to_thread(limit_files, limited, None)
        return True

    async def _too_many_connections(self) -> bool:
        opened: list[psycopg.AsyncConnection[tuple[object, ...]]] = []
        full = False
        try:
            while not full:
                try:
                    opened.append(await self.stage.connect())
                except psycopg.OperationalError:
                    full = True
            await self._last(self.chance.uniform(0.5, 2.0))
        finally:
            for connection in opened:
                await connection.close()
        return len(opened) > 10

    async def _hold_transaction(self) -> bool:
        """With a snapshot, as a report that runs long."""
        async with await self.stage.connect() as connection, connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await connection.execute("SELECT count(*) FROM pg_class")
            await self._last(self.chance.uniform(1.0, 6.0))
        return True

    async def _lock_read_models(self) -> bool:
        async with (
            connected(self.stage.servers.database_url, TENANT) as connection,
            connection.transaction(),
        ):
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute("LOCK TABLE tasks IN SHARE MODE")
            await self._last(self.chance.uniform(0.5, 2.0))
        return True

    # --- the clock ----------------------------------------------------------------------------------------

    async def _clock(self, step: int) -> bool:
        """By less than what is refused: the log goes on by microseconds until time has caught up."""
        await self.stage.set_clock(step)
        try:
            await self._last(self.chance.uniform(0.5, 3.0))
        finally:
            async with asyncio.timeout(60):
                while not await self._clock_is_right():  # noqa: ASYNC110  # PostgreSQL may be away
                    await asyncio.sleep(0.1)
        return True

    async def _clock_is_right(self) -> bool:
        try:
            await self.stage.set_clock(0)
        except (psycopg.Error, LogError):
            return False
        return True


KINDS: dict[str, Callable[[Faults], Awaitable[bool]]] = {
    "kill PostgreSQL": Faults._kill_postgres,
    "kill a backend of PostgreSQL": Faults._kill_backend,
    "kill the cache": Faults._kill_cache,
    "kill the broker": Faults._kill_broker,
    "kill the API": lambda faults: faults._kill("api"),
    "kill a worker": lambda faults: faults._kill("worker"),
    "kill the queue's worker": lambda faults: faults._kill("queue"),
    "kill a client": lambda faults: faults._kill("client"),
    "kill several at once": Faults._kill_several,
    "kill PostgreSQL twice": Faults._kill_postgres_twice,
    "cut within an append": lambda faults: faults.stage.proxy.cut_within("asking"),
    "cut within an answer": lambda faults: faults.stage.proxy.cut_within("answering"),
    "fall silent within an append": lambda faults: faults.stage.proxy.cut_within("asking", silently=True),
    "cut all connections": Faults._cut_all,
    "delay all connections": Faults._delay,
    "silence all connections": Faults._silence,
    "stop a worker": lambda faults: faults._stop("worker"),
    "stop the API": lambda faults: faults._stop("api"),
    "stop PostgreSQL": Faults._stop_postgres,
    "stop the cache": Faults._stop_cache,
    "flush the cache": Faults._flush_cache,
    "fill the disk": Faults._fill_disk,
    "set the clock back": lambda faults: faults._clock(-20),
    "set the clock ahead": lambda faults: faults._clock(20),
    "reach the connection limit": Faults._too_many_connections,
    "hold a transaction open": Faults._hold_transaction,
    "lock the read models": Faults._lock_read_models,
    "end all sessions": Faults._end_sessions,
}
"""By name; each tells whether it hit anything."""
