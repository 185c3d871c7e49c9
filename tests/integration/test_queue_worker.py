"""Workers that take commands from the queue, as processes: killed in the midst, told to leave, on a wrong broker."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from dora_state.platform import open_platform
from dora_state.queue import CommandQueue, open_command_queue
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.worker import queueing
from infrastructure.command_queue import CommandBroker, figures, open_broker
from infrastructure.queue_metrics import QueueCollector
from tests.support.postgres import connected
from tests.support.queueing import SOON, PlainProducer, consuming, register
from tests.support.redis_server import RedisServer, execute
from tests.support.working import Workers

pytestmark = pytest.mark.timeout(120)

SOON_TAKEN_FOR_DEAD = """
import sys
from infrastructure.command_queue import broker
broker.HEARTBEAT_SECONDS = 1.0
from dora_state.cli import main
sys.exit(main())
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def workers(tmp_path: Path, database_url: str, redis_url: str, tenant: str, server: RedisServer) -> Workers:
    return Workers(tmp_path / "home", database_url, redis_url, tenant, BROKER_URL=server.url)


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings) as manager:
        yield manager


@pytest.fixture
async def queue(server: RedisServer, tenant: str, manager: StateManager) -> AsyncIterator[CommandQueue]:
    async with open_command_queue(server.url, tenant, manager.platform.log.find_command) as queue:
        yield queue


@pytest.fixture
async def broker(server: RedisServer, tenant: str) -> AsyncIterator[CommandBroker]:
    async with open_broker(server.url, tenant) as broker:
        yield broker


async def until_in_hand(broker: CommandBroker, count: int) -> None:
    async with asyncio.timeout(SOON):
        while (await figures(broker)).in_hand != count:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)


async def test_a_worker_that_is_killed_in_the_midst_loses_nothing_and_does_nothing_twice(
    workers: Workers,
    queue: CommandQueue,
    broker: CommandBroker,
    manager: StateManager,
    database_url: str,
    tenant: str,
) -> None:
    workers.line.program = ["-c", SOON_TAKEN_FOR_DEAD]
    with workers("queue") as victim:
        async with connected(database_url, tenant) as other, other.transaction():
            # What the worker has in hand can't be appended, and so is not answered.
            await other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            sent = [await queue.send(register(0))]
            await until_in_hand(broker, 1)
            sent += [await queue.send(register(number)) for number in range(1, 20)]
            victim.end(signal.SIGKILL)
    found = await figures(broker)
    assert (found.waiting, found.in_hand) == (19, 1)
    with workers("queue") as heir:
        answers = [await queue.answer(one, SOON) for one in sent]
        assert [one and one.outcome for one in answers] == ["accepted"] * 20
        await until_in_hand(broker, 0)
        assert heir.end().code == 0
    assert (await manager.platform.log.head()).position == 20


@pytest.mark.long
async def test_a_worker_that_is_killed_again_and_again_loses_nothing(
    workers: Workers, queue: CommandQueue, manager: StateManager
) -> None:
    workers.line.program = ["-c", SOON_TAKEN_FOR_DEAD]
    sent = []
    for round in range(2):
        with workers("queue") as victim:
            sent += [await queue.send(register(f"{round}-{number}")) for number in range(150)]
            victim.end(signal.SIGKILL)
    with workers("queue") as heir:
        answers = [await queue.answer(one, SOON) for one in sent]
        assert heir.end().code == 0
    assert [one and one.outcome for one in answers] == ["accepted"] * 300
    assert (await manager.platform.log.head()).position == 300


async def test_a_worker_that_is_told_to_leave_finishes_what_is_in_hand(
    workers: Workers, queue: CommandQueue, broker: CommandBroker, database_url: str, tenant: str
) -> None:
    with workers("queue") as worker:
        async with connected(database_url, tenant) as other, other.transaction():
            await other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            command_id = await queue.send(register(1))
            await until_in_hand(broker, 1)
            worker.send(signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert not worker.has_ended()
        assert worker.end(None).code == 0
    answer = await queue.answer(command_id, 0)
    assert answer is not None
    assert answer.ok
    assert (await figures(broker)).in_hand == 0


async def test_a_worker_takes_nothing_over_a_broker_that_evicts_and_health_says_so(
    workers: Workers, server: RedisServer
) -> None:
    with server.client() as client:
        execute(client, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with workers("queue") as worker:
        told = worker.wait_for("No command is taken from the queue")
        assert "name a Redis of its own in DORA_STATE_BROKER_URL, with maxmemory-policy noeviction." in told
        check = workers.line("health", "--json").json["checks"]["queue"]
        assert (check["status"], check["message"]) == ("unhealthy", told.partition("queue: ")[2])
        assert workers.line("queue", "status").code == 4
        assert worker.end().code == 0


async def test_a_broker_that_does_not_persist_is_warned_of(workers: Workers) -> None:
    with workers("queue") as worker:
        worker.wait_for("The broker keeps no append-only file")
        check = workers.line("health", "--json").json["checks"]["queue"]
        assert (check["status"], check["figures"]["persists"]) == ("warning", False)
        assert worker.end().code == 0


async def test_dead_letters_are_listed_shown_sent_again_and_dropped_by_the_command_line(
    workers: Workers, broker: CommandBroker, manager: StateManager
) -> None:
    line = workers.line
    for id in ("m-1", "m-2"):
        await broker.enqueue(id, b"\x1b[31m poison")
    async with consuming(broker, manager.submit):
        async with asyncio.timeout(SOON):
            while (await figures(broker)).dead < 2:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.02)
    listed = line("queue", "list", "--json")
    assert (listed.code, [one["id"] for one in listed.json_lines]) == (1, ["m-1", "m-2"])
    shown = line("queue", "show", "m-1")
    assert (shown.code, "poison" in shown.out, "\x1b" in shown.out) == (0, True, False)
    status = line("queue", "status", "--json")
    assert (status.code, status.json["dead"], status.json["waiting"]) == (1, 2, 0)
    assert line("queue", "retry", "m-1", "--json").json == {"asked": "retry", "messages": 1}
    assert (await figures(broker)).waiting == 1
    assert "m-2  unreadable  since" in line("queue", "list").out
    assert line("queue", "drop", "--all").out == "1 messages were dropped.\n"
    assert (await figures(broker)).dead == 0
    unknown = line("queue", "drop", "m-9")
    assert (unknown.code, "No dead letter of the queue has the id m-9" in unknown.one_sentence()) == (3, True)
    assert line("queue", "drop").code == 2


def test_without_a_broker_there_is_no_queue(tmp_path: Path, database_url: str, tenant: str) -> None:
    line = Workers(tmp_path / "home", database_url, None, tenant).line
    ended = line("queue", "status")
    assert (ended.code, "DORA_STATE_BROKER_URL" in ended.one_sentence()) == (2, True)
    assert line("health", "--json").json["checks"]["queue"]["status"] == "healthy"


async def test_metrics_tell_how_the_queue_is_and_what_was_done(
    broker: CommandBroker, queue: CommandQueue, manager: StateManager, tenant: str
) -> None:
    async with consuming(broker, manager.submit) as consumer:
        await queue.answer(await queue.send(register(1)), SOON)
        consumer.figures.queue = await figures(broker)
    found = {
        sample.labels.get("outcome", sample.name): sample.value
        for metric in QueueCollector(tenant, consumer.figures, lambda: None).collect()
        for sample in metric.samples
    }
    assert (found["accepted"], found["refused"], found["failed"]) == (1, 0, 0)
    assert found["dora_state_queue_waiting"] == found["dora_state_queue_dead"] == 0
    assert {f"dora_state_queue_{name}" for name in ("in_hand", "delayed", "oldest_seconds")} <= set(found)
    assert {"dora_state_queue_retries_total", "dora_state_queue_buried_total"} <= set(found)


async def test_a_worker_stops_taking_from_a_broker_that_came_to_evict_and_takes_again_when_it_does_not(
    server: RedisServer,
    queue: CommandQueue,
    tenant: str,
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(queueing, "JUDGE_SECONDS", 0.05)
    monkeypatch.setattr(queueing, "LOOK_SECONDS", 0.05)
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant, broker_url=server.url)
    stop = asyncio.Event()
    async with open_platform(settings) as platform:
        taking = asyncio.create_task(queueing.take_commands(platform, stop))
        assert await queue.answer(await queue.send(register(1)), SOON) is not None
        with server.client() as client:
            execute(client, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            async with asyncio.timeout(SOON):
                while "No command is taken from the queue" not in caplog.text:  # noqa: ASYNC110  # nothing tells
                    await asyncio.sleep(0.02)
            producer = PlainProducer(server.url, tenant)
            message_id = await asyncio.to_thread(producer.send, register(2))
            assert await queue.answer(UUID(message_id), 0.2) is None
            execute(client, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        answer = await queue.answer(UUID(message_id), SOON)
        stop.set()
        await taking
        producer.close()
    assert answer is not None
    assert answer.ok
