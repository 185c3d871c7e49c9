"""Waiting for answers of the queue: any number at once, over one connection, and through outages."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from commands.envelope import Answer
from dora_state.queue import CommandQueue
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import CommandBroker, figures, open_broker
from tests.support.queueing import SOON, consuming, own_broker, register, until
from tests.support.redis_server import RedisServer


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


async def is_empty(broker: CommandBroker) -> bool:
    found = await figures(broker)
    return found.waiting + found.in_hand == 0


async def test_a_thousand_may_wait_for_answers_and_keep_nobody_from_sending(
    manager: StateManager, redis_url: str, tenant: str
) -> None:
    async with open_broker(redis_url, tenant, connections=4) as broker:
        queue = CommandQueue(broker)
        sent = [await queue.send(register(number)) for number in range(20)]
        unanswered = [asyncio.create_task(queue.answer(uuid4(), SOON)) for _ in range(1000)]
        waiting = [asyncio.create_task(queue.answer(one, SOON)) for one in sent]
        await until(lambda: broker.news.waiting == 1020)
        sent_meanwhile = [asyncio.create_task(queue.send(register(100 + number))) for number in range(100)]
        async with consuming(broker, manager.submit):
            answers = await asyncio.gather(*waiting)
            assert len(set(await asyncio.gather(*sent_meanwhile))) == 100
            await until(lambda: is_empty(broker))
        assert [one and one.outcome for one in answers] == ["accepted"] * 20
        assert not any(task.done() for task in unanswered)
        for task in unanswered:
            task.cancel()
        await asyncio.gather(*unanswered, return_exceptions=True)
        assert broker.news.waiting == 0


async def test_who_waits_while_the_broker_goes_is_told_and_after_it_is_back_news_are_heard_again(
    manager: StateManager, tmp_path: Path, tenant: str
) -> None:
    with RedisServer(tmp_path) as server:
        async with open_broker(server.url, tenant, connections=2) as broker:
            queue = CommandQueue(broker)
            waiting = [asyncio.create_task(queue.answer(uuid4(), SOON)) for _ in range(50)]
            await until(lambda: broker.news.waiting == 50)
            server.kill()
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(one) for one in told} == {BrokerUnavailable}
            server.start()
            async with consuming(broker, manager.submit):
                answer = await queue.answer(await queue.send(register(1)), SOON)
            assert answer is not None
            assert answer.ok


async def test_a_dead_letters_answer_wakes_who_waits_for_it(broker: CommandBroker) -> None:
    queue = CommandQueue(broker)
    command_id = uuid4()
    waiting = asyncio.create_task(queue.answer(command_id, SOON))
    await until(lambda: broker.news.waiting == 1)

    async def submit(submission: Any) -> Answer:
        raise ZeroDivisionError

    async with consuming(broker, submit):
        await queue.send(register(1) | {"command_id": str(command_id)})
        answer = await waiting
    assert answer is not None
    assert (answer.outcome, answer.problem and answer.problem.code) == ("failed", "fault")
