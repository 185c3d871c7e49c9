"""The consumer's side of the queue: messages are taken, and leave it answered or as dead letters."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from commands.envelope import Answer
from infrastructure import redis_scripts
from infrastructure.broker import CALL_SECONDS
from infrastructure.command_queue.answers import life_of, to_bytes, written
from infrastructure.command_queue.broker import CommandBroker
from infrastructure.command_queue.messages import Taken, read
from infrastructure.queue_figures import QueueFigures

LATER = (
    "The message was sent for later (with a delay), which nobody carries out: retry it to have it carried out now, and"
    " send without a delay."
)


class TakenCommands:
    """What one consumer has taken. Calls raise BrokerUnavailable."""

    def __init__(self, broker: CommandBroker) -> None:
        self._broker = broker
        self._keys = broker.keys
        self._in_hand = broker.keys.in_hand(broker.consumer)
        self._take = broker.client.register_script(redis_scripts.TAKE_COMMANDS)
        self._settle = broker.client.register_script(redis_scripts.SETTLE_COMMANDS)
        self._bury = broker.client.register_script(redis_scripts.BURY_COMMAND)

    async def take(self, at_most: int) -> list[Taken]:
        """The next messages in their order; none if there is none."""
        keys = [self._keys.waiting, self._keys.messages, self._in_hand, self._keys.heartbeats]
        arguments: list[Any] = [self._broker.consumer, int(1000 * time.time()), at_most]
        ids, found = await self._broker.call(self._take(keys=keys, args=arguments))
        taken = list(zip(ids, found, strict=True))
        await self.give_back([id for id, raw in taken if raw is None])  # nothing is left of them
        return [read(id, raw) for id, raw in taken if raw is not None]

    async def wait(self, seconds: float) -> None:
        """Until there is a message, or so many seconds; may be cancelled at any time.

        Nothing is polled: Redis wakes who waits to move the first of the list to where it is.
        """
        key = self._keys.waiting
        waiting: Any = self._broker.client.blmove(key, key, seconds, "LEFT", "LEFT")  # type: ignore[arg-type]  # fractions are fine
        await self._broker.call(waiting, seconds + CALL_SECONDS)

    async def ids(self) -> set[bytes]:
        """Of all messages in hand."""
        found: Any = await self._broker.call(self._broker.client.smembers(self._in_hand))
        return set(found)

    async def settle(self, answered: Sequence[tuple[Taken, Answer]]) -> None:
        """They leave the queue, each with its answer for who waits; harmless to repeat."""
        keys: list[str] = []
        told = " ".join(str(taken.command_id) for taken, _ in answered)
        arguments: list[Any] = [self._keys.answered, told]
        for taken, answer in answered:
            if taken.command_id is not None:
                keys.append(self._keys.answer(taken.command_id))
                arguments += [taken.id, to_bytes(answer), life_of(answer)]
        await self._broker.call(self._settle(keys=[self._in_hand, self._keys.messages, *keys], args=arguments))

    async def bury(self, taken: Taken, answer: Answer, attempts: int) -> None:
        """It becomes a dead letter; the answer tells who waits for one, and later readers, why. Harmless to repeat."""
        await self._make_dead(taken, answer, attempts, self._in_hand, self._keys.messages)

    async def later(self, at_most: int) -> list[Taken]:
        """Messages that were sent with a delay, which nobody carries out."""
        scan: Any = self._broker.client.hscan(self._keys.later_messages, count=at_most)
        _, found = await self._broker.call(scan)
        return [replace(read(id, raw), fault=LATER) for id, raw in found.items()]

    async def bury_later(self, one: Taken, answer: Answer) -> None:
        """The same for one that was sent with a delay."""
        await self._make_dead(one, answer, 0, self._keys.later, self._keys.later_messages, "later")

    async def _make_dead(
        self, taken: Taken, answer: Answer, attempts: int, held: str, messages: str, when: str = ""
    ) -> None:
        reason = answer.problem.message if answer.problem is not None else ""
        command_id = str(taken.command_id) if taken.command_id else None
        told = written({"reason": reason, "attempts": attempts, "command_id": command_id, "died_at": _now()})
        keys = [held, messages, self._keys.dead, self._keys.dead_messages, self._keys.dead_reasons]
        if taken.command_id is not None:
            keys.append(self._keys.answer(taken.command_id))
        arguments: list[Any] = [taken.id, int(1000 * time.time()), told, to_bytes(answer), life_of(answer)]
        arguments += [self._keys.answered, command_id or "", when]
        await self._broker.call(self._bury(keys=keys, args=arguments))

    async def give_back(self, ids: Collection[bytes]) -> None:
        """To the end of the queue, for others."""
        await self._broker.requeue(list(ids))

    async def beat(self) -> None:
        await self._broker.beat()

    async def figures(self) -> QueueFigures:
        return await figures(self._broker)


async def figures(broker: CommandBroker) -> QueueFigures:
    """Raises BrokerUnavailable."""
    keys = broker.keys
    pipe: Any = broker.client.pipeline(transaction=True)
    pipe.llen(keys.waiting).hlen(keys.messages).zcard(keys.dead).hlen(keys.later_messages).lindex(keys.waiting, 0)
    waiting, messages, dead, delayed, first = await broker.call(pipe.execute())
    return QueueFigures(waiting, max(messages - waiting, 0), dead, delayed, await _age(broker, first))


async def _age(broker: CommandBroker, id: Any) -> float | None:
    """How long ago a message was sent, as its sender says."""
    raw: Any = await broker.call(broker.client.hget(broker.keys.messages, id)) if id is not None else None
    try:
        sent = orjson.loads(raw)["message_timestamp"] if raw is not None else None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return max(time.time() - sent / 1000, 0.0) if isinstance(sent, int | float) else None


def _now() -> datetime:
    return datetime.now(UTC)
