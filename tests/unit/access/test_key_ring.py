"""The key ring: what is known is never older than five seconds, and what strangers send costs the database nothing."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import LogUnavailable
from dora_state.access.api_key import new_key
from dora_state.access.key_ring import (
    GOOD_SECONDS,
    MOST_WAITING,
    NOTE_SECONDS,
    REFRESH_SECONDS,
    REMEMBERED_SECONDS,
    SPACING_SECONDS,
    KeyRing,
)
from infrastructure.access_keys import GoodKey


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Source:
    def __init__(self) -> None:
        self.keys: list[GoodKey] = []
        self.looks = 0
        self.noted: list[list[str]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def add(self, role: str = "reader") -> str:
        key = new_key()
        self.keys.append(GoodKey(key.id, key.digest, "ann", role, datetime.now(UTC) + timedelta(days=1)))
        return key.id

    async def good(self) -> list[GoodKey]:
        self.looks += 1
        found = list(self.keys)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return found

    async def note_use(self, ids: Sequence[str]) -> None:
        self.noted.append(list(ids))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def ring(source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """Its pauses end at once, and move the clock."""
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return KeyRing(source, "bank", clock)


async def settled() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(5):
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        await done


async def test_a_known_key_is_found_without_a_look(ring: KeyRing, source: Source, clock: Clock) -> None:
    id = source.add()
    for _ in range(1000):
        found = await ring.find(id)
        assert found is not None
        assert found.caller.tenant == "bank"
    assert source.looks == 1


async def test_a_key_in_use_is_looked_up_in_the_background(ring: KeyRing, source: Source, clock: Clock) -> None:
    id = source.add()
    await ring.find(id)
    source.gate.clear()
    clock.now += REFRESH_SECONDS
    assert await ring.find(id) is not None  # nobody waits for it
    await settled()
    assert source.looks == 2
    source.gate.set()
    await ring.close()


async def test_a_revoked_key_is_taken_for_five_seconds_at_most(ring: KeyRing, source: Source, clock: Clock) -> None:
    id = source.add()
    await ring.find(id)
    source.keys.clear()
    clock.now += GOOD_SECONDS
    assert await ring.find(id) is None


async def test_the_five_seconds_begin_when_the_database_is_asked_and_not_when_it_answers(
    ring: KeyRing, source: Source, clock: Clock
) -> None:
    id = source.add()
    source.gate.clear()
    asked = asyncio.create_task(ring.find(id))
    await settled()
    source.keys.clear()
    clock.now += 2
    source.gate.set()
    assert await asked is not None
    clock.now += GOOD_SECONDS - 2
    assert await ring.find(id) is None


async def test_a_new_key_is_found_at_once(ring: KeyRing, source: Source, clock: Clock) -> None:
    await ring.find(source.add())
    assert await ring.find(source.add()) is not None


async def test_a_flood_of_unknown_keys_does_not_flood_the_database(ring: KeyRing, source: Source, clock: Clock) -> None:
    await ring.is_empty()
    begun, before = clock.now, source.looks
    for _ in range(50):
        found = await asyncio.gather(*(ring.find(new_key().id) for _ in range(500)))
        assert found == [None] * 500
    assert source.looks - before <= (clock.now - begun) / SPACING_SECONDS + 1


async def test_of_many_unknown_keys_few_are_waited_for(ring: KeyRing, source: Source) -> None:
    await ring.is_empty()
    source.gate.clear()
    asking = [asyncio.create_task(ring.find(new_key().id)) for _ in range(MOST_WAITING + 50)]
    await settled()
    assert sum(task.done() for task in asking) == 50
    source.gate.set()
    assert await asyncio.gather(*asking) == [None] * len(asking)


async def test_without_the_database_nobody_is_known_for_longer_than_five_seconds(
    ring: KeyRing, source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    id = source.add()
    await ring.find(id)
    source.failure = LogUnavailable("away")
    clock.now += REFRESH_SECONDS
    assert await ring.find(id) is not None
    await settled()
    clock.now += GOOD_SECONDS - REFRESH_SECONDS
    for _ in range(10):
        with pytest.raises(LogUnavailable):
            await ring.find(id)
    source.failure = None
    assert await ring.find(id) is not None
    assert caplog.messages == ["The keys could not be looked up: away"]


async def test_the_last_known_key_is_remembered_for_a_day_and_not_after_it_was_seen_to_be_revoked(
    ring: KeyRing, source: Source, clock: Clock
) -> None:
    id, revoked = source.add(), source.add()
    await ring.find(id)
    del source.keys[1]
    clock.now += GOOD_SECONDS
    await ring.find(id)
    clock.now += REMEMBERED_SECONDS - 1
    assert ring.last_known(id) is not None
    assert ring.last_known(revoked) is None
    clock.now += 1
    assert ring.last_known(id) is None


async def test_who_goes_away_while_keys_are_looked_up_takes_nobody_along(ring: KeyRing, source: Source) -> None:
    id = source.add()
    source.gate.clear()
    one, other = (asyncio.create_task(ring.find(id)) for _ in range(2))
    await settled()
    one.cancel()
    await settled()
    source.gate.set()
    assert await other is not None
    assert source.looks == 1


async def test_a_role_of_a_later_release_permits_nothing(ring: KeyRing, source: Source) -> None:
    assert await ring.find(source.add("emperor")) is None


async def test_the_use_of_a_key_is_noted_once_a_minute(ring: KeyRing, source: Source, clock: Clock) -> None:
    id = source.add()
    for _ in range(3):
        ring.used(id)
        await settled()
        clock.now += NOTE_SECONDS / 2
    await ring.close()
    assert source.noted == [[id], [id]]
