"""The queue of commands when something is away, full, unfit or told to leave: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from commands.envelope import Answer, Problem
from dora_state.queue import CommandQueue
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import (
    BrokerFull,
    BrokerUnfit,
    CommandBroker,
    Fitness,
    TakenCommands,
    figures,
    open_broker,
)
from tests.support.queueing import SOON, consuming, own_broker, register, until, waits
from tests.support.redis_server import RedisServer, execute

ROOM = 20_000_000
"""Bytes of a broker that becomes full."""


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    async with open_state_manager(
        load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    ) as manager:
        yield manager


@pytest.fixture
async def broker(redis_url: str, tenant: str) -> AsyncIterator[CommandBroker]:
    async with own_broker(redis_url, tenant) as broker:
        yield broker


async def test_an_outage_of_the_log_makes_no_dead_letters_and_keeps_the_order(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker)
    tries = 0
    order: list[str] = []

    async def submit(submission: Any) -> Answer:
        nonlocal tries
        tries += 1
        if tries <= 12:
            return Answer(None, "RegisterAgent", "failed", problem=Problem("log_unavailable", "It is away."))
        order.append(submission["data"]["agent_id"])
        return await manager.submit(submission)

    sent = [await queue.send(register(number)) for number in range(3)]
    async with consuming(broker, submit):
        answers = [await queue.answer(one, SOON) for one in sent]
    assert [one and one.outcome for one in answers] == ["accepted"] * 3
    assert order == ["a-0", "a-1", "a-2"]


async def test_an_outage_that_lasts_longer_than_the_patience_makes_no_dead_letters_either(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker)
    away = True
    tries = 0

    async def submit(submission: Any) -> Answer:
        nonlocal tries
        tries += 1
        if away:
            return Answer(None, "RegisterAgent", "failed", problem=Problem("log_unavailable", "It is away."))
        return await manager.submit(submission)

    async with consuming(broker, submit) as consumer:
        command_id = await queue.send(register(1))
        await until(lambda: tries >= 20)
        away = False
        answer = await queue.answer(command_id, SOON)
    assert answer is not None
    assert (answer.ok, consumer.figures.buried) == (True, 0)


async def test_what_a_consumer_had_in_hand_when_it_died_comes_again(
    manager: StateManager, broker: CommandBroker, redis_url: str, tenant: str
) -> None:
    queue = CommandQueue(broker)
    command_id = await queue.send(register(1))
    async with open_broker(redis_url, tenant, heartbeat_seconds=0.5) as dying:
        assert len(await TakenCommands(dying).take(10)) == 1
        await TakenCommands(dying).beat()
    assert (await figures(broker)).in_hand == 1
    async with consuming(broker, manager.submit):
        answer = await queue.answer(command_id, SOON)
    assert answer is not None
    assert answer.ok


async def test_who_is_told_to_leave_finishes_what_is_in_hand(manager: StateManager, broker: CommandBroker) -> None:
    queue = CommandQueue(broker)
    submitted, goes_on = asyncio.Event(), asyncio.Event()
    command_id = await queue.send(register(1))
    async with asyncio.TaskGroup() as group, consuming(broker, waits(submitted, goes_on, manager)):
        await submitted.wait()
        group.create_task(_later(goes_on))
    answer = await queue.answer(command_id, 0)
    assert answer is not None
    assert answer.ok
    assert (await figures(broker)).in_hand == 0


async def _later(event: asyncio.Event) -> None:
    await asyncio.sleep(0.1)
    event.set()


async def test_who_leaves_in_an_outage_gives_back_what_is_in_hand(broker: CommandBroker) -> None:
    queue, tried = CommandQueue(broker), asyncio.Event()

    async def submit(submission: Any) -> Answer:
        tried.set()
        return Answer(None, None, "failed", problem=Problem("log_unavailable", "It is away."))

    await queue.send(register(1))
    async with consuming(broker, submit):
        await tried.wait()
    found = await figures(broker)
    assert (found.waiting, found.in_hand, found.dead) == (1, 0, 0)
    assert found.oldest_seconds is not None


async def test_a_broker_that_goes_away_is_waited_for_and_nothing_is_lost(
    manager: StateManager, tmp_path: Path, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path) as server:
        async with open_broker(server.url, tenant) as broker:
            submitted, goes_on = asyncio.Event(), asyncio.Event()
            queue = CommandQueue(broker)
            async with consuming(broker, waits(submitted, goes_on, manager)):
                first = await queue.send(register(1))
                await submitted.wait()
                with server.stopped():
                    goes_on.set()
                    await until(lambda: "until the broker is back" in caplog.text)
                second = await queue.send(register(2))
                answers = [await queue.answer(one, SOON) for one in (first, second)]
            assert [one and one.outcome for one in answers] == ["accepted", "accepted"]
            assert (await figures(broker)).in_hand == 0
            server.kill()
            with pytest.raises(BrokerUnavailable):
                await queue.send(register(3))
    assert [caplog.text.count(words) for words in ("until the broker is back", "The broker is back")] == [1, 1]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_broker_that_evicts_is_refused_with_one_sentence(tmp_path: Path, tenant: str, policy: str) -> None:
    with RedisServer(tmp_path) as server:
        with server.client() as client:
            execute(client, "CONFIG", "SET", "maxmemory-policy", policy)
        async with open_broker(server.url, tenant) as broker:
            with pytest.raises(BrokerUnfit) as refused:
                await CommandQueue(broker).send(register(1))
            assert refused.value.message == (
                f"The broker drops keys when it is full (maxmemory-policy {policy}) and takes no commands: "
                "name a Redis of its own in DORA_STATE_BROKER_URL, with maxmemory-policy noeviction."
            )
            assert (await figures(broker)).waiting == 0


async def test_a_broker_that_is_nearly_full_takes_no_more_and_workers_still_answer_what_waits(
    tmp_path: Path, tenant: str, manager: StateManager
) -> None:
    with RedisServer(tmp_path) as server, server.client() as client:
        async with open_broker(server.url, tenant) as broker:
            queue = CommandQueue(broker)
            sent = await queue.send(register(1))
            client.set("filling", b"x" * ROOM)
            memory: Any = client.info("memory")
            execute(client, "CONFIG", "SET", "maxmemory", str(int(memory["used_memory"] / 0.93)))
            async with open_broker(server.url, tenant) as anew:
                with pytest.raises(BrokerFull, match="what is left is for workers"):
                    await CommandQueue(anew).send(register(2))
            async with consuming(broker, manager.submit):
                answer = await queue.answer(sent, SOON)
            assert answer is not None
            assert answer.ok
            assert (await figures(broker)).waiting == 0


def test_a_cluster_is_refused_too() -> None:
    with pytest.raises(BrokerUnfit, match="name a single server"):
        Fitness.told({"cluster_enabled": 1, "maxmemory_policy": "noeviction", "aof_enabled": 1}).require()
