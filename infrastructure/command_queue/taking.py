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
from infrastructure.command_queue.answers import life_of, to_bytes
from infrastructure.command_queue.broker import CommandBroker
from infrastructure.command_queue.messages import Taken, read
from infrastructure.queue_figures import QueueFigures


class TakenCommands:
    """What one consumer has taken. Calls raise BrokerUnavailable."""

    def __init__(self, broker: CommandBroker) -> None:
        self._broker = broker
        self._keys = broker.keys
        self._in_hand = broker.keys.in_hand(broker.consumer)
        self._settle = broker.client.register_script(redis_scripts.SETTLE_COMMANDS)
        self._bury = broker.client.register_script(redis_scripts.BURY_COMMAND)

    async def take(self, at_most: int) -> list[Taken]:
        """The next messages in their order; none if there is none."""
        found = await self._broker.fetch(at_most)
        taken = [read(raw) for raw in found]
        if all(one.id for one in taken):
            return taken
        return await self._named(taken, found)

    async def wait(self, seconds: float) -> None:
        """Until there is a message, or so many seconds; may be cancelled at any time.

        Nothing is polled: Redis wakes who waits to move the first of the list to where it is.
        """
        key = self._keys.waiting
        waiting: Any = self._broker.client.blmove(key, key, seconds, "LEFT", "LEFT")  # type: ignore[arg-type]  # fractions are fine
        await self._broker.call(waiting, seconds + CALL_SECONDS)

    async def _named(self, taken: Sequence[Taken], found: Sequence[bytes]) -> list[Taken]:
        """With the broker's ids, also of messages that don't tell them: by what is kept for each id in hand."""
        left = sorted(await self.ids() - {one.id for one in taken})
        kept: Any = await self._broker.call(self._broker.client.hmget(self._keys.messages, left)) if left else []
        unnamed = list(zip(left, kept, strict=True))
        named: list[Taken] = []
        for one, raw in zip(taken, found, strict=True):
            place = next((place for place in unnamed if not one.id and place[1] == raw), None)
            if place is not None:
                unnamed.remove(place)
            named.append(one if place is None else replace(one, id=place[0]))
        return named

    async def ids(self) -> set[str]:
        """Of all messages in hand."""
        found: Any = await self._broker.call(self._broker.client.smembers(self._in_hand))
        return {id.decode(errors="replace") for id in found}

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
        reason = answer.problem.message if answer.problem is not None else ""
        command_id = str(taken.command_id) if taken.command_id else None
        told = orjson.dumps({"reason": reason, "attempts": attempts, "command_id": command_id, "died_at": _now()})
        keys = [self._in_hand, self._keys.messages, self._keys.dead, self._keys.dead_messages, self._keys.dead_reasons]
        if taken.command_id is not None:
            keys.append(self._keys.answer(taken.command_id))
        arguments: list[Any] = [taken.id, int(1000 * time.time()), told, to_bytes(answer), life_of(answer)]
        arguments += [self._keys.answered, command_id or ""]
        await self._broker.call(self._bury(keys=keys, args=arguments))

    async def give_back(self, ids: Collection[str]) -> None:
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
    pipe.llen(keys.waiting).hlen(keys.messages).zcard(keys.dead).hlen(keys.delayed).lindex(keys.waiting, 0)
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
