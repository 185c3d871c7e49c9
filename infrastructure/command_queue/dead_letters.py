"""Messages that became no command. dramatiq's are deleted after a week by any producer; these stay until dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from infrastructure import redis_scripts
from infrastructure.command_queue.broker import CommandBroker
from infrastructure.command_queue.ids import meant, shown


@dataclass(frozen=True, slots=True)
class DeadCommand:
    """`id` is the broker's, and `name` how people see and type it. `command_id` and `type` are None where the message
    does not tell them."""

    id: bytes
    name: str
    command_id: UUID | None
    type: str | None
    died_at: datetime
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadInFull:
    """`message` is JSON as it was sent, or text where it is none."""

    dead: DeadCommand
    message: Any


class DeadCommands:
    """Calls raise BrokerUnavailable."""

    def __init__(self, broker: CommandBroker) -> None:
        self._broker = broker
        self._keys = broker.keys
        self._revive = broker.client.register_script(redis_scripts.REVIVE_COMMAND)

    async def page(self, first: int, count: int) -> list[DeadInFull]:
        """The oldest first, from the one of a place on (0 is the oldest)."""
        found: Any = await self._broker.call(self._broker.client.zrange(self._keys.dead, first, first + count - 1))
        return await self._read(found)

    async def find(self, name: str) -> DeadInFull | None:
        found = await self._read(meant(name))
        return found[0] if found else None

    async def _read(self, ids: Sequence[bytes]) -> list[DeadInFull]:
        if not ids:
            return []
        pipe: Any = self._broker.client.pipeline(transaction=True)
        pipe.hmget(self._keys.dead_reasons, ids).hmget(self._keys.dead_messages, ids)
        reasons, messages = await self._broker.call(pipe.execute())
        rows = zip(ids, reasons, messages, strict=True)
        return [_in_full(id, reason, message) for id, reason, message in rows if reason is not None]

    async def retry(self, one: DeadCommand) -> bool:
        """Send it again, as it was; false if it is no dead letter any more."""
        keys = [
            *(self._keys.waiting, self._keys.messages),
            *(self._keys.dead, self._keys.dead_messages, self._keys.dead_reasons),
        ]
        if one.command_id is not None:
            keys.append(self._keys.answer(one.command_id))
        return bool(await self._broker.call(self._revive(keys=keys, args=[one.id])))

    async def drop(self, one: DeadCommand) -> bool:
        """Delete it; false if it is no dead letter any more."""
        pipe: Any = self._broker.client.pipeline(transaction=True)
        pipe.zrem(self._keys.dead, one.id)
        pipe.hdel(self._keys.dead_messages, one.id).hdel(self._keys.dead_reasons, one.id)
        return bool((await self._broker.call(pipe.execute()))[0])


def _in_full(id: bytes, reason: bytes, message: bytes | None) -> DeadInFull:
    told, sent = orjson.loads(reason), _json(message or b"")
    dead = DeadCommand(
        id=id,
        name=shown(id),
        command_id=UUID(told["command_id"]) if told["command_id"] else None,
        type=_type(sent),
        died_at=datetime.fromisoformat(told["died_at"]),
        attempts=told["attempts"],
        reason=told["reason"],
    )
    return DeadInFull(dead, sent)


def _type(message: Any) -> str | None:
    try:
        name = message["args"][0]["type"]
    except (TypeError, KeyError, IndexError):
        return None
    return name[:60] if isinstance(name, str) else None


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="backslashreplace")
