"""Sending commands by the queue, and waiting for their answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from commands.answers import of_id
from commands.envelope import Answer
from domain.errors import InvalidInput
from domain.log import AlreadyRecorded
from dora_state.platform import new_id
from infrastructure.command_queue import AnswerBox, CommandBroker, open_broker
from infrastructure.command_queue.messages import write

FindCommand = Callable[[UUID], Awaitable[AlreadyRecorded | None]]
"""Of the log: what a command id answered."""
CONNECTIONS = 32
"""By which a process sends and looks for answers; who waits for one takes none of them."""
LOOK_SECONDS = 5.0
"""How long news is waited for; then it is looked once more, in the log too, where an answer outlives the broker's."""


class CommandQueue:
    """Sends commands to the workers of one tenant. `find` is the log's `find_command`, where the log is at hand."""

    def __init__(self, broker: CommandBroker, find: FindCommand | None = None) -> None:
        self._broker = broker
        self._answers = AnswerBox(broker)
        self._find = find

    async def send(self, submission: Mapping[str, Any]) -> UUID:
        """Give a command to the queue; gives its id, which is minted where the submission has none.

        When this returns, the broker has it. What is wrong with the command itself is told by its answer. Raises
        InvalidInput for what can't be sent, BrokerUnfit, BrokerFull; BrokerUnavailable, where it is not known whether
        it was sent: send the same command id again then.
        """
        if not isinstance(submission, Mapping):
            raise InvalidInput("A command must be an object with type, data and actor; send one by one.")
        command_id = _id_of(submission)
        id, raw = write({**submission, "command_id": str(command_id)}, command_id)
        (await self._broker.fitness()).require()
        if "command_id" in submission:
            await self._answers.forget(command_id)
        await self._broker.enqueue(id, raw)
        return command_id

    async def answer(self, command_id: UUID, timeout: float) -> Answer | None:
        """What became of a command; None if that is not known within so many seconds.

        Answers that the log keeps are known for ever, where the log is at hand, others for an hour. Raises
        BrokerUnavailable, LogError.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        answer = await self._known(command_id)
        while answer is None and (left := end - loop.time()) > 0:
            answer = await self._answers.wait(command_id, min(left, LOOK_SECONDS)) or await self._known(command_id)
        return answer

    async def _known(self, command_id: UUID) -> Answer | None:
        answer = await self._answers.look(command_id)
        if answer is not None or self._find is None:
            return answer
        recorded = await self._find(command_id)
        return None if recorded is None else of_id(command_id, recorded)


@asynccontextmanager
async def open_command_queue(
    broker_url: str, tenant: str, find: FindCommand | None = None, *, connections: int = CONNECTIONS
) -> AsyncIterator[CommandQueue]:
    """A queue to send to, for as long as the block runs. Nothing is tried yet: the broker may be away."""
    async with open_broker(broker_url, tenant, connections=connections) as broker:
        yield CommandQueue(broker, find)


def _id_of(submission: Mapping[str, Any]) -> UUID:
    given = submission.get("command_id")
    if given is None:
        return new_id()
    try:
        return given if isinstance(given, UUID) else UUID(given)
    except (ValueError, TypeError, AttributeError):
        raise InvalidInput("command_id: must be a UUID; give one, or none.", field="command_id") from None
