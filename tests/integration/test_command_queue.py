"""Commands by the queue: sent by anyone, carried out once, always answered, and none lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import dramatiq
import orjson
import pytest

from commands.envelope import Answer, Problem
from domain.errors import InvalidInput, NotFound
from dora_state.queue import CommandQueue, dead_letters
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.command_queue import CommandBroker, TakenCommands, figures
from infrastructure.queue_figures import QueueFigures
from tests.support.queueing import SOON, PlainProducer, consuming, own_broker, register, until


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


@pytest.fixture
def plain(redis_url: str, tenant: str) -> Iterator[PlainProducer]:
    producer = PlainProducer(redis_url, tenant)
    yield producer
    producer.close()


async def until_queue(broker: CommandBroker, holds: Callable[[QueueFigures], bool]) -> None:
    async def found() -> bool:
        return holds(await figures(broker))

    await until(found)


async def dead(broker: CommandBroker) -> list[Any]:
    return [one async for one in dead_letters.dead_letters(broker)]


async def test_what_is_sent_is_carried_out_and_its_answer_can_be_waited_for(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker)
    async with consuming(broker, manager.submit):
        command_id = await queue.send(register(1))
        answer = await queue.answer(command_id, SOON)
    assert answer is not None
    assert (answer.command_id, answer.outcome, answer.versions) == (command_id, "accepted", {"agent-a-1": 1})
    assert answer.recorded_at is not None
    assert answer.recorded_at.tzinfo is not None
    assert await manager.version("agent", "a-1") == 1
    assert await figures(broker) == QueueFigures(0, 0, 0, 0, None)


async def test_plain_dramatiq_can_send_and_the_id_of_its_message_is_the_commands(
    manager: StateManager, broker: CommandBroker, plain: PlainProducer
) -> None:
    async with consuming(broker, manager.submit):
        message_id = await asyncio.to_thread(plain.send, register(1))
        answer = await CommandQueue(broker).answer(UUID(message_id), SOON)
    assert answer is not None
    assert (answer.outcome, str(answer.command_id)) == ("accepted", message_id)


async def test_what_the_log_keeps_is_answered_from_there_when_the_broker_has_forgotten(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker, manager.platform.log.find_command)
    refused = {"type": "StartTask", "actor": "test", "data": {"task_id": "none"}}
    async with consuming(broker, manager.submit):
        sent = [await queue.send(one) for one in (register(1), refused, register(2))]
        first = [await queue.answer(one, SOON) for one in sent]
    await broker.client.delete(*(broker.keys.answer(one) for one in sent))
    again = [await queue.answer(one, 0) for one in sent]
    assert [one and one.outcome for one in again] == ["accepted", "refused", "accepted"]
    assert again == first
    assert await queue.answer(uuid4(), 0.05) is None


async def test_invalid_input_and_conflicts_are_answered_though_the_log_does_not_keep_them(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker, manager.platform.log.find_command)
    health = {"type": "ReportHealth", "actor": "test", "data": {"agent_id": "a-1", "state": "healthy"}}
    async with consuming(broker, manager.submit):
        sent = [await queue.send(one) for one in (register(1), health | {"expected_version": 7}, {"type": "Fly"})]
        answers = [await queue.answer(one, SOON) for one in sent]
    assert [one and one.outcome for one in answers] == ["accepted", "conflict", "invalid"]
    assert answers[1] is not None
    assert answers[1].problem is not None
    assert answers[1].problem.facts == {"stream_id": "agent-a-1", "expected": 7, "actual": 1}
    assert (await dead(broker), (await figures(broker)).in_hand) == ([], 0)
    lives = [await broker.client.ttl(broker.keys.answer(one)) for one in sent]
    assert lives[0] <= 60 < lives[1]


async def test_a_command_that_comes_twice_is_done_once_and_answered_alike(
    manager: StateManager, broker: CommandBroker, plain: PlainProducer
) -> None:
    command = register(1) | {"command_id": str(uuid4())}
    queue = CommandQueue(broker)
    async with consuming(broker, manager.submit) as consumer:
        for _ in range(2):
            await asyncio.to_thread(plain.send, command)
        await until(lambda: consumer.figures.answered == 2)
        answer = await queue.answer(UUID(command["command_id"]), SOON)
    assert answer is not None
    assert (answer.outcome, answer.repeated) == ("accepted", True)
    assert (await manager.platform.log.head()).position == 1


async def test_who_sends_in_order_is_carried_out_in_order_many_at_once(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker)
    await manager.submit(register(1))
    for number in range(300):
        state = "degraded" if number % 2 == 0 else "healthy"
        command = {"type": "ReportHealth", "data": {"agent_id": "a-1", "state": state}}
        last = await queue.send(command | {"actor": f"n{number}"})
    async with consuming(broker, manager.submit):
        assert await queue.answer(last, SOON) is not None
        await until_queue(broker, lambda found: found == QueueFigures(0, 0, 0, 0, None))
    told = [orjson.loads(event.metadata)["actor"] async for event in manager.platform.log.read_stream("agent-a-1")]
    assert told[1:] == [f"n{number}" for number in range(300)]


UNREADABLE = {
    b"\xff\xfe": "not well-formed JSON",
    b'{"args": [': "not well-formed JSON",
    b"[" * 5000: "not well-formed JSON",
    b"[]": "no JSON object",
    b'{"a": 1, "a": 2}': 'the key "a" twice',
    b"{}": "for another actor",
    b"x" * 2_000_000: "the limit is",
}


async def test_what_can_not_be_read_is_a_dead_letter_and_holds_up_nobody(
    manager: StateManager, broker: CommandBroker
) -> None:
    for number, raw in enumerate(UNREADABLE):
        await broker.enqueue(f"poison-{number}", raw)
    queue = CommandQueue(broker)
    command_id = await queue.send(register(1))
    async with consuming(broker, manager.submit):
        answer = await queue.answer(command_id, SOON)
        assert answer is not None
        assert answer.ok
        await until_queue(broker, lambda found: found.dead == len(UNREADABLE))
    told = {one.dead.name: one.dead.reason for one in await dead(broker)}
    for number, reason in enumerate(UNREADABLE.values()):
        assert reason in told[f"poison-{number}"]
    assert (await figures(broker)).in_hand == 0


MISSHAPEN: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    (("x",), {}, "submit"),
    ((), {}, "submit"),
    (({}, {}), {}, "submit"),
    (({},), {"a": 1}, "submit"),
    (({},), {}, "x"),
]


async def test_a_message_of_another_shape_is_a_dead_letter_and_its_sender_is_told(
    manager: StateManager, broker: CommandBroker, plain: PlainProducer
) -> None:
    sent = [plain.send(*arguments, actor=actor, **named) for arguments, named, actor in MISSHAPEN]
    async with consuming(broker, manager.submit):
        answers = [await CommandQueue(broker).answer(UUID(one), SOON) for one in sent]
    assert [one and one.problem and (one.outcome, one.problem.code) for one in answers] == [
        ("failed", "unreadable")
    ] * len(MISSHAPEN)
    assert len(await dead(broker)) == len(MISSHAPEN)


HOSTILE: list[dict[str, Any]] = [
    {"type": "\ud800", "data": {}, "actor": "a"},
    {"type": "RegisterAgent", "data": {"\ud800": 1}, "actor": "a"},
    {"type": "RegisterAgent", "data": {"agent_id": "\ud800"}, "actor": "\ud800"},
    {"type": "RegisterAgent", "data": {"agent_id": 10**400}, "actor": "a", "expected_version": 10**40},
    {"type": "RegisterAgent", "data": {"agent_id": float("nan")}, "actor": "a"},
    {"type": "RegisterAgent", "data": [], "actor": "a", "command_id": "\ud800"},
    {"type": ["RegisterAgent"], "data": {}, "actor": {"a": None}, "command_id": {}},
    {},
]


async def test_whatever_a_command_says_it_is_answered(
    manager: StateManager, broker: CommandBroker, plain: PlainProducer
) -> None:
    sent = [plain.send(submission) for submission in HOSTILE]
    async with consuming(broker, manager.submit):
        answers = [await CommandQueue(broker).answer(UUID(one), SOON) for one in sent]
    assert [one and one.outcome for one in answers] == ["invalid"] * len(HOSTILE)
    assert await figures(broker) == QueueFigures(0, 0, 0, 0, None)


async def test_a_message_that_names_no_command_id_has_the_same_one_each_time_it_comes(
    manager: StateManager, broker: CommandBroker, plain: PlainProducer
) -> None:
    message: Any = dramatiq.Message("commands", "submit", (register(1) | {"command_id": None},), {}, {})
    async with consuming(broker, manager.submit) as consumer:
        for _ in range(2):
            await asyncio.to_thread(plain.broker.enqueue, message)
        await until(lambda: consumer.figures.answered == 2)
    assert consumer.figures.outcomes == {"accepted": 2}
    assert (await manager.platform.log.head()).position == 1


async def test_what_fails_time_and_again_is_a_dead_letter_that_can_be_sent_again(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker)
    broken = True

    async def submit(submission: Any) -> Answer:
        if broken and submission["data"]["agent_id"] == "a-1":
            raise ZeroDivisionError
        return await manager.submit(submission)

    async with consuming(broker, submit) as consumer:
        bad, good = await queue.send(register(1)), await queue.send(register(2))
        answers = [await queue.answer(one, SOON) for one in (bad, good)]
        assert [one and one.outcome for one in answers] == ["failed", "accepted"]
        (letter,) = await dead(broker)
        assert (letter.dead.attempts, letter.dead.command_id, letter.dead.type) == (3, bad, "RegisterAgent")
        assert "ZeroDivisionError" in letter.dead.reason
        assert letter.message["args"][0]["data"]["agent_id"] == "a-1"
        broken = False
        assert await dead_letters.retry(broker, [letter.dead.name]) == 1
        answer = await queue.answer(bad, SOON)
        assert answer is not None
        assert answer.ok
        assert (consumer.figures.buried, await dead(broker)) == (1, [])
    with pytest.raises(NotFound):
        await dead_letters.retry(broker, [letter.dead.name])


async def test_dead_letters_stay_until_they_are_dropped_whatever_plain_producers_clean_up(
    broker: CommandBroker, plain: PlainProducer, manager: StateManager
) -> None:
    plain.broker.dead_message_ttl = 0
    plain.broker.maintenance_chance = 1_000_000
    await broker.enqueue("poison", b"?")
    async with consuming(broker, manager.submit):
        await until_queue(broker, lambda found: found.dead == 1)
        await asyncio.to_thread(plain.send, register(1))
        await until_queue(broker, lambda found: found.waiting + found.in_hand == 0)
    assert [one.dead.id for one in await dead(broker)] == [b"poison"]
    assert await dead_letters.drop(broker, None) == 1
    assert await dead(broker) == []


@pytest.mark.parametrize(
    "submission",
    [
        [1],
        "x",
        None,
        {"type": "x", "data": {"a": object()}},
        {"command_id": "no"},
        {"command_id": 7},
        {"data": "x" * 2_000_000},
    ],
)
async def test_what_can_not_be_sent_is_said_at_once(broker: CommandBroker, submission: Any) -> None:
    with pytest.raises(InvalidInput):
        await CommandQueue(broker).send(submission)
    assert (await figures(broker)).waiting == 0


async def test_a_command_that_is_sent_again_after_a_conflict_gets_its_new_answer(
    manager: StateManager, broker: CommandBroker
) -> None:
    queue = CommandQueue(broker)
    again = register(1) | {"command_id": str(uuid4())}
    async with consuming(broker, manager.submit):
        first = await queue.answer(await queue.send(again | {"expected_version": 5}), SOON)
        second = await queue.answer(await queue.send(again), SOON)
    assert [one and one.outcome for one in (first, second)] == ["conflict", "accepted"]


async def test_what_is_sent_for_later_becomes_a_dead_letter_and_can_be_carried_out_now(
    manager: StateManager, broker: CommandBroker, plain: PlainProducer
) -> None:
    message: Any = {"queue_name": "commands", "actor_name": "submit", "args": (register(1),), "kwargs": {}}
    await asyncio.to_thread(lambda: plain.broker.enqueue(dramatiq.Message(**message, options={}), delay=1000))
    found = await figures(broker)
    assert (found.delayed, found.dead) == (1, 0)
    async with consuming(broker, manager.submit) as consumer:
        await until_queue(broker, lambda found: (found.delayed, found.dead) == (0, 1))
        (letter,) = await dead(broker)
        assert "sent for later" in letter.dead.reason
        assert letter.dead.command_id is not None
        told = await CommandQueue(broker).answer(letter.dead.command_id, SOON)
        assert told is not None
        assert (told.outcome, told.type, consumer.figures.buried) == ("failed", "RegisterAgent", 1)
        assert await dead_letters.retry(broker, [letter.dead.name]) == 1
        answer = await CommandQueue(broker).answer(letter.dead.command_id, SOON)
    assert answer is not None
    assert answer.ok
    assert await figures(broker) == QueueFigures(0, 0, 0, 0, None)


@pytest.mark.parametrize("says", ["another", None, 7])
async def test_a_message_that_is_kept_under_another_id_than_it_says_leaves_the_queue_like_all(
    manager: StateManager, broker: CommandBroker, says: Any
) -> None:
    message: Any = dramatiq.Message("commands", "submit", (register(1),), {}, {"redis_message_id": says})
    await broker.enqueue("where-it-is-kept", message.encode())
    async with consuming(broker, manager.submit):
        answer = await CommandQueue(broker).answer(UUID(message.message_id), SOON)
    assert answer is not None
    assert answer.ok
    assert await figures(broker) == QueueFigures(0, 0, 0, 0, None)
    assert await broker.client.smembers(broker.keys.in_hand(broker.consumer)) == set()


@pytest.mark.parametrize(
    ("id", "name"), [(b"\xff\x00bin", "\\xff\\x00bin"), (b"\\xff", "\\xff"), ("ü".encode(), "ü"), (b"", "")]
)
async def test_a_message_under_any_id_leaves_the_queue_and_its_dead_letter_can_be_named(
    broker: CommandBroker, manager: StateManager, id: bytes, name: str
) -> None:
    await broker.client.hset(broker.keys.messages, mapping={id: b"?"})
    await broker.client.rpush(broker.keys.waiting, id)
    async with consuming(broker, manager.submit):
        await until_queue(broker, lambda found: found.dead == 1)
    assert await figures(broker) == QueueFigures(0, 0, 1, 0, None)
    (letter,) = await dead(broker)
    assert (letter.dead.id, letter.dead.name) == (id, name)
    assert await dead_letters.retry(broker, [name]) == 1
    async with consuming(broker, manager.submit):
        await until_queue(broker, lambda found: (found.waiting, found.dead) == (0, 1))
    assert await dead_letters.drop(broker, [name]) == 1
    assert await figures(broker) == QueueFigures(0, 0, 0, 0, None)


async def test_a_dead_letter_whose_reason_can_not_be_written_is_one_all_the_same(broker: CommandBroker) -> None:
    async def submit(submission: Any) -> Answer:
        return Answer(None, "T", "failed", problem=Problem("fault", "half a letter: \ud800", {"n": 2**70}))

    queue = CommandQueue(broker)
    async with consuming(broker, submit):
        answer = await queue.answer(await queue.send(register(1)), SOON)
    assert answer is not None
    assert answer.outcome == "failed"
    (letter,) = await dead(broker)
    assert letter.dead.reason == "half a letter: ?"


async def test_a_message_whose_id_says_half_a_letter_is_carried_out_as_any(
    broker: CommandBroker, manager: StateManager
) -> None:
    message = {"actor_name": "submit", "args": [register(1)], "kwargs": {}, "message_id": "\ud800"}
    await broker.enqueue("m-1", json.dumps(message).encode())
    async with consuming(broker, manager.submit):
        await until_queue(broker, lambda found: found.waiting + found.in_hand == 0)
    assert await manager.version("agent", "a-1") == 1


async def test_an_id_of_which_no_message_is_kept_is_let_go(manager: StateManager, broker: CommandBroker) -> None:
    await broker.client.rpush(broker.keys.waiting, "nothing")
    async with consuming(broker, manager.submit):
        assert await CommandQueue(broker).answer(await CommandQueue(broker).send(register(1)), SOON) is not None
    assert await TakenCommands(broker).ids() == set()
