"""Answers in the broker, for those who wait for them: for a minute where the log keeps them, else for an hour."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from commands.envelope import Answer, Problem
from infrastructure.broker import unavailable
from infrastructure.command_queue.broker import CommandBroker
from infrastructure.hot_copies.guarded import FAILURES

RECORDED_SECONDS = 60
"""The log knows them for ever; this wakes those who wait."""
UNRECORDED_SECONDS = 3600
_RECORDED = ("accepted", "unchanged", "refused")


def life_of(answer: Answer) -> int:
    """Milliseconds."""
    return 1000 * (RECORDED_SECONDS if answer.outcome in _RECORDED else UNRECORDED_SECONDS)


def document(answer: Answer) -> dict[str, Any]:
    """An answer as JSON, as docs/queue.md describes it."""
    problem = answer.problem
    return {
        "command_id": answer.command_id,
        "type": answer.type,
        "outcome": answer.outcome,
        "versions": dict(answer.versions),
        "position": answer.position,
        "recorded_at": answer.recorded_at,
        "repeated": answer.repeated,
        "problem": problem and {"code": problem.code, "message": problem.message, "facts": dict(problem.facts)},
    }


def to_bytes(answer: Answer) -> bytes:
    return written(document(answer))


def written(told: Mapping[str, Any]) -> bytes:
    """Whatever is in it: what can't be written would hold up all others."""
    try:
        return orjson.dumps(told, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:  # half a letter, a number beyond 64 bits
        return json.dumps(told, default=str, ensure_ascii=False).encode(errors="replace")


def from_bytes(raw: bytes) -> Answer:
    told: Mapping[str, Any] = json.loads(raw)
    return Answer(
        command_id=UUID(told["command_id"]) if told["command_id"] else None,
        type=told["type"],
        outcome=told["outcome"],
        versions=told["versions"],
        position=told["position"],
        recorded_at=datetime.fromisoformat(told["recorded_at"]) if told["recorded_at"] else None,
        problem=Problem(**told["problem"]) if told["problem"] else None,
        repeated=told["repeated"],
    )


class AnswerBox:
    """Where answers lie. Calls raise BrokerUnavailable."""

    def __init__(self, broker: CommandBroker) -> None:
        self._broker = broker

    async def look(self, command_id: UUID) -> Answer | None:
        found: Any = await self._broker.call(self._broker.client.lrange(self._broker.keys.answer(command_id), 0, 0))
        return from_bytes(found[0]) if found else None

    async def wait(self, command_id: UUID, seconds: float) -> Answer | None:
        """As soon as it is there; None if it is not within so many seconds. Any number may wait at once."""
        try:
            async with self._broker.news.of(str(command_id)) as told:
                answer = await self.look(command_id)
                if answer is None and await _within(told, seconds):
                    answer = await self.look(command_id)
                return answer
        except FAILURES as error:
            raise unavailable(error) from None

    async def forget(self, command_id: UUID) -> None:
        """What an earlier command of the same id was answered."""
        await self._broker.call(self._broker.client.delete(self._broker.keys.answer(command_id)))


async def _within(told: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await told.wait()
    except TimeoutError:
        return False
