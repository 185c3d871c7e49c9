"""Redis refuses, is full, answers nobody or is emptied: answers stay right, from PostgreSQL, and health says so."""

import asyncio
import gc
import random
import time
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from dora_state.platform import Platform, open_platform
from dora_state.settings import Settings, load_settings
from dora_state.state_manager import StateManager
from dora_state.watching.registry import registry_of
from infrastructure import vitals
from infrastructure.hot_copies import Guarded, Keys
from infrastructure.redis_client import close
from infrastructure.vitals import cache_vitals
from tests.support.near_reader import eventually
from tests.support.redis_server import RedisServer, execute


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def settings(database_url: str, server: RedisServer, tenant: str) -> Settings:
    return load_settings(database_url=database_url, redis_url=server.url, tenant=tenant)


def timeless(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what depends on the moment of asking."""
    return {key: value for key, value in document.items() if key != "execution_metrics"}


class House:
    """One process that writes and projects, and another that reads and keeps documents near."""

    def __init__(self, writer: Platform, reader: Platform) -> None:
        self.writer, self.reader = writer, reader
        self.manager = StateManager(writer, default_actor="test")
        self.readers = StateManager(reader)
        copies = writer.caches.redis_copies
        assert copies is not None
        # As patient as in production, a test would take minutes.
        copies._mirroring = Guarded("the projector", 0.3)
        self.copies = copies
        self._stop = asyncio.Event()
        self._projecting = asyncio.create_task(writer.projector.run(self._stop))

    async def stop_projecting(self) -> None:
        self._stop.set()
        await self._projecting

    async def do(self, command: str, **data: object) -> int:
        answer = await self.manager.submit({"type": command, "data": data})
        assert answer.outcome == "accepted", answer.problem
        return answer.position or 0

    async def reads(self, kind: str, id: str, position: int) -> dict[str, Any]:
        """What each way of reading gives, once the read models are there: all the same."""
        projected = timeless(await self.readers.state(kind, id, min_position=position, patience=20))
        assert projected == timeless(await self.manager.state(kind, id, live=True))
        assert projected == timeless(await self.manager.state(kind, id, min_position=position))

        async def fresh() -> bool:
            return timeless(await self.readers.state(kind, id, consistency="cached")) == projected

        await eventually(fresh)
        return projected

    async def near(self, kind: str, id: str) -> None:
        """Until the reader keeps it near."""

        async def kept() -> bool:
            await self.readers.state(kind, id, consistency="cached")
            return self.reader.caches.near.peek(kind, id) is not None

        await eventually(kept)

    async def cache_health(self) -> tuple[str, str]:
        report = await self.reader.health.check()
        return report.overall, report.checks["cache"].message


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with open_platform(settings) as writer, open_platform(settings, warm=True) as reader:
        house = House(writer, reader)
        for number in range(3):
            await house.do("CreateWorkflow", workflow_id=f"w-{number}", definition_id="d")
        position = await house.do("AddTask", workflow_id="w-0", task_id="t", definition_id="d")
        await house.reads("task", "t", position)
        await house.near("workflow", "w-0")
        assert (await house.cache_health())[0] == "healthy"
        yield house
        await house.stop_projecting()


async def test_a_redis_that_is_gone_and_comes_back_empty(house: House, server: RedisServer) -> None:
    server.kill()
    position = await house.do("StartWorkflow", workflow_id="w-0")
    assert (await house.reads("workflow", "w-0", position))["state"] == "running"
    overall, message = await house.cache_health()
    assert overall == "degraded"
    assert "can't be reached" in message
    server.start()
    await house.near("workflow", "w-0")  # no event came, and all is as it was
    position = await house.do("PauseWorkflow", workflow_id="w-0", reason="test")
    assert (await house.reads("workflow", "w-0", position))["state"] == "paused"
    assert (await house.cache_health())[0] == "healthy"


async def test_a_redis_that_is_full(house: House, server: RedisServer) -> None:
    """It takes no writes and goes on answering: what it holds would be old."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        position = await house.do("StartWorkflow", workflow_id="w-0")
        assert (await house.reads("workflow", "w-0", position))["state"] == "running"
        overall, message = await house.cache_health()
        assert overall == "degraded"
        assert "is full" in message
        client.config_set("maxmemory", "0")
    await house.near("workflow", "w-0")
    assert (await house.cache_health())[0] == "healthy"


async def test_a_redis_that_answers_nobody_and_goes_on_later(house: House, server: RedisServer) -> None:
    with server.stopped():
        position = await house.do("StartWorkflow", workflow_id="w-0")
        assert (await house.reads("workflow", "w-0", position))["state"] == "running"
        overall, message = await house.cache_health()
        assert overall == "degraded"
        assert "no answer within 3 seconds" in message
    assert (await house.reads("workflow", "w-0", position))["state"] == "running"
    await house.near("workflow", "w-0")


async def test_a_redis_that_answers_slowly(house: House, server: RedisServer) -> None:
    for platform in (house.writer, house.reader):
        copies = platform.caches.redis_copies
        assert copies is not None
        copies._guarded = Guarded("a test", 0.02)
    with server.client() as client:
        client.client_pause(20_000)
        position = await house.do("StartWorkflow", workflow_id="w-0")
        assert (await house.reads("workflow", "w-0", position))["state"] == "running"
        assert house.reader.caches.vitals().failing
        assert (await house.cache_health())[0] == "degraded"


async def test_a_redis_that_is_flushed_again_and_again(house: House, server: RedisServer) -> None:
    with server.client() as client:
        for number in range(10):
            await house.near("workflow", "w-1")
            client.flushall()
            await house.do("AddTask", workflow_id="w-1", task_id=f"t-{number}", definition_id="d")
            client.flushall()
            position = await house.do("ScheduleTask", task_id=f"t-{number}")
            tasks = (await house.reads("workflow", "w-1", position))["tasks"]
            assert tasks[f"t-{number}"]["state"] == "scheduled"


async def test_a_process_that_may_not_hear_of_changes_keeps_nothing(house: House, server: RedisServer) -> None:
    with server.client() as client:
        execute(client, "ACL", "SETUSER", "default", "-client|tracking")
        client.client_kill_filter(_type="pubsub")
        position = await house.do("StartWorkflow", workflow_id="w-0")
        assert (await house.reads("workflow", "w-0", position))["state"] == "running"

        async def told() -> bool:
            overall, message = await house.cache_health()
            return overall == "degraded" and "changes are not heard of" in message

        await eventually(told)
        assert house.reader.caches.near.count == 0
        execute(client, "ACL", "SETUSER", "default", "+client|tracking")
    await house.near("workflow", "w-0")


async def test_commands_that_change_a_task_or_an_agent_are_seen_in_what_depends_on_it(house: House) -> None:
    """SPEC's examples of cache invalidation, by commands, in another process."""
    await house.do("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=3, state="healthy")
    for command, data in (
        ("StartWorkflow", {"workflow_id": "w-0"}),
        ("ScheduleTask", {"task_id": "t"}),
        ("AssignTask", {"task_id": "t", "agent_id": "a", "reason": "test"}),
    ):
        position = await house.do(command, **data)
    for kind, id in (("task", "t"), ("workflow", "w-0")):
        await house.reads(kind, id, position)
        await house.near(kind, id)
    position = await house.do("StartTask", task_id="t")
    assert (await house.reads("task", "t", position))["state"] == "running"
    assert (await house.reads("workflow", "w-0", position))["tasks"]["t"]["state"] == "running"
    agent = await house.readers.state("agent", "a", consistency="cached", min_position=position)
    assert agent["current_tasks"][0]["start_time"] is not None
    position = await house.do("MarkOffline", agent_id="a", reason="test")
    assert (await house.reads("task", "t", position))["state"] in ("failed", "scheduled")


async def test_a_process_begins_with_what_others_were_asked_for_most(house: House, settings: Settings) -> None:
    await house.near("task", "t")
    for _ in range(5):
        await house.readers.state("task", "t", consistency="cached")
        await house.readers.state("workflow", "w-0", consistency="cached")
    assert house.reader.caches.use is not None
    await house.reader.caches.use.tell()
    async with open_platform(settings, warm=True) as other:

        async def warm() -> bool:
            return (
                other.caches.near.peek("task", "t") is not None
                and other.caches.near.peek("workflow", "w-0") is not None
            )

        await eventually(warm)
        assert await StateManager(other).state("task", "t", consistency="cached") == await house.manager.state(
            "task", "t"
        )


async def test_a_batch_that_was_not_copied_is_seen_when_another_projector_takes_over(house: House) -> None:
    """The one before was killed between commit and copies, and no event comes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.copies, "mirror", _never)
        patch.setattr(house.copies, "tend", _never)
        position = await house.do("StartWorkflow", workflow_id="w-0")

        async def committed() -> bool:
            return await house.reader.queries.reached() >= position

        await eventually(committed)
        await house.stop_projecting()
    stop = asyncio.Event()
    projecting = asyncio.create_task(house.reader.projector.run(stop))
    await eventually(lambda: _is_running(house))
    assert (await house.reads("workflow", "w-0", position))["state"] == "running"
    stop.set()
    await projecting


async def _is_running(house: House) -> bool:
    return bool((await house.readers.state("workflow", "w-0"))["state"] == "running")


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
async def test_whatever_happens_to_redis_in_the_end_all_is_as_the_log_says(
    house: House, server: RedisServer, seed: int
) -> None:
    chance = random.Random(seed)
    reading = [asyncio.create_task(_read_on(house, number)) for number in range(3)]
    for number in range(25):
        workflow_id = f"w-{chance.randrange(3)}"
        await house.do("AddTask", workflow_id=workflow_id, task_id=f"t-{number}", definition_id="d")
        await asyncio.sleep(chance.random() / 20)
        await asyncio.to_thread(chance.choice(HARDSHIPS), server)
    position = await house.do("ScheduleTask", task_id="t-24")
    for task in reading:
        task.cancel()
    await asyncio.wait(reading)
    for kind, id in [("workflow", f"w-{number}") for number in range(3)] + [("task", "t-24"), ("task", "t-0")]:
        await house.reads(kind, id, position)
        await house.near(kind, id)
        await house.reads(kind, id, position)


async def _read_on(house: House, number: int) -> None:
    while True:
        await house.readers.state("workflow", f"w-{number}", consistency="cached")
        await house.readers.state("workflow", f"w-{number}")
        await asyncio.sleep(0)


def _nothing(server: RedisServer) -> None:
    return None


def _flush(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


def _restart(server: RedisServer) -> None:
    server.kill()
    server.start()


def _stop_a_while(server: RedisServer) -> None:
    with server.stopped():
        time.sleep(0.1)


def _fill(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "1mb")
        time.sleep(0.05)
        client.config_set("maxmemory", "0")


def _lose_connections(server: RedisServer) -> None:
    with server.client() as client:
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal", skipme=True)


HARDSHIPS = (_nothing, _nothing, _flush, _restart, _stop_a_while, _fill, _lose_connections)


async def test_metrics_of_a_process_can_be_served(house: House, tenant: str) -> None:
    registry = registry_of(house.reader)
    labels = {"tenant": tenant, "level": "l1", "outcome": "hit"}
    before = registry.get_sample_value("dora_state_reads_total", labels)
    await house.near("workflow", "w-0")
    assert registry.get_sample_value("dora_state_reads_total", labels) != before
    assert registry.get_sample_value("dora_state_l1_usable", {"tenant": tenant}) == 1
    states = {"tenant": tenant, "projection": "states"}
    registry, position = registry_of(house.writer), (await house.writer.log.head()).position
    assert registry.get_sample_value("dora_state_projected_events_total", states) == position
    assert registry.get_sample_value("dora_state_projection_position", states) == position
    assert registry.get_sample_value("dora_state_projection_lag_seconds_count", states) != 0


@pytest.mark.parametrize("times", [1, 2])
async def test_whoever_is_cancelled_while_closing_leaves_no_connection_open(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    async def cancelled(client: Redis) -> None:
        """Before the loop's next turn, in which the connections would begin to close."""
        asking = asyncio.current_task()
        assert asking is not None
        for _ in range(times):
            asyncio.get_running_loop().call_soon(asking.cancel)
        await close(client)

    monkeypatch.setattr(vitals, "close", cancelled)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cache_vitals(server.url, "nobody"))
        gc.collect()
    assert [str(warning.message) for warning in told] == []


async def _never(*_: object) -> None:
    return None


async def test_redis_cluster(database_url: str, tenant: str, tmp_path: Path) -> None:
    """One node that has all the slots: what it does not allow, no cluster does."""
    with RedisServer(tmp_path, cluster=True) as server:
        settings = load_settings(database_url=database_url, redis_url=server.url, redis_cluster=True, tenant=tenant)
        async with open_platform(settings) as writer, open_platform(settings, warm=True) as reader:
            house = House(writer, reader)
            await house.do("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=3, state="healthy")
            await house.do("Heartbeat", agent_id="a", queue_size=4)
            await writer.presence.flush()
            position = await house.do("CreateWorkflow", workflow_id="w-0", definition_id="d")
            await house.reads("workflow", "w-0", position)
            await house.near("workflow", "w-0")
            assert (await house.readers.state("agent", "a", consistency="cached"))["capacity"]["queue_size"] == 4
            position = await house.do("StartWorkflow", workflow_id="w-0")
            assert (await house.reads("workflow", "w-0", position))["state"] == "running"
            await house.copies.turn(position)
            await house.copies.begin(position, 1)
            await house.near("workflow", "w-0")
            assert reader.caches.use is not None
            await reader.caches.use.tell()
            assert await reader.caches.use.most_asked() != []
            assert (await house.cache_health())[0] == "healthy"
            server.kill()
            position = await house.do("PauseWorkflow", workflow_id="w-0", reason="test")
            assert (await house.reads("workflow", "w-0", position))["state"] == "paused"
            assert "can't be reached" in (await house.cache_health())[1]
            server.start()
            await house.near("workflow", "w-0")
            await house.copies.clear()
            with server.client() as client:
                assert list(client.scan_iter(match=Keys(tenant).documents + "*")) == []
            await house.stop_projecting()


@pytest.mark.parametrize("url", ["unix:///some/redis.sock", None])
def test_a_cluster_needs_a_host(url: str | None) -> None:
    from domain.errors import InvalidInput

    with pytest.raises(InvalidInput, match="needs a Redis URL with the host of one of its nodes"):
        load_settings(database_url="postgresql://h/d", redis_url=url, redis_cluster=True)
