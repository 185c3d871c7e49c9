"""Locks that many want who have little patience or go away: never two have one, and in the end nothing is left."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.errors import LockDeadlock, LockTimeout
from dora_state.state_manager import StateManager
from infrastructure.locks import place
from tests.support.locking import Two, admin, two_managers, until_true
from tests.support.postgres import value

NAMES = ("workflow:u", "workflow:v", "workflow:w")


class Crowd:
    """Who has what, as those know who have it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._inside: set[str] = set()
        self.times = 0

    async def come_and_go(self, manager: StateManager) -> None:
        for _ in range(8):
            try:
                async with asyncio.timeout(self._random.choice((0.005, 0.02, 20.0))):
                    await self._have_two(manager)
            except (LockTimeout, LockDeadlock, TimeoutError):
                pass

    async def _have_two(self, manager: StateManager) -> None:
        first, second = self._random.sample(NAMES, 2)
        async with self._alone(manager, first):
            await asyncio.sleep(self._random.random() / 200)
            if self._random.random() < 0.3:
                async with self._alone(manager, second):
                    await asyncio.sleep(self._random.random() / 200)

    @asynccontextmanager
    async def _alone(self, manager: StateManager, name: str) -> AsyncIterator[None]:
        async with manager.exclusive_lock(name, timeout=self._random.choice((0.0, 0.05, 20.0))):
            assert name not in self._inside
            self._inside.add(name)
            self.times += 1
            try:
                yield
            finally:
                self._inside.discard(name)


async def is_clear(manager: StateManager) -> bool:
    async with admin(manager) as connection:
        counted = "SELECT (SELECT count(*) FROM locks) + (SELECT count(*) FROM lock_waiters)"
        return await value(connection, counted) == 0


@pytest.fixture
async def managers(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Two]:
    async with two_managers(database_url, redis_url, tenant) as managers:
        yield managers


async def test_whatever_those_do_who_want_locks_one_has_it_and_nothing_is_left(
    managers: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "BEAT_SECONDS", 0.2)
    crowd = Crowd(seed=7)
    await asyncio.gather(*(crowd.come_and_go(managers[n % 2]) for n in range(16)))
    assert crowd.times > 0
    await until_true(lambda: is_clear(managers[0]))
    for manager in managers:
        figures = manager.platform.locks.figures
        assert (figures.waiting, figures.held, figures.losses) == (0, 0, 0)
