"""The queue of commands in tests: what others send by plain dramatiq, and a worker's part in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from dora_state.queue.consumer import QueueConsumer, Submit
from dora_state.queue.patience import Patience
from infrastructure.command_queue import CommandBroker, TakenCommands

SOON = 30.0
IMPATIENT = Patience(shortest=0.02, longest=0.05, held=5, first_retry=0.02, last_retry=0.05, most_attempts=3)


def register(number: object) -> dict[str, Any]:
    """A command that is accepted once for each number."""
    return {"type": "RegisterAgent", "actor": "test", "data": {"agent_id": f"a-{number}", "agent_type": "t"}}


class PlainProducer:
    """An orchestrator that knows dramatiq and docs/queue.md, and nothing of ours."""

    def __init__(self, url: str, tenant: str) -> None:
        self.broker = RedisBroker(url=url, namespace=f"dora-state-commands:{{{tenant}}}")  # type: ignore[no-untyped-call]  # it has no types

    def send(self, *arguments: Any, actor: str = "submit", **named: Any) -> str:
        """The id of the message."""
        message: Any = dramatiq.Message("commands", actor, arguments, named, {})
        return self.broker.enqueue(message).message_id

    def close(self) -> None:
        self.broker.client.close()


@asynccontextmanager
async def consuming(
    broker: CommandBroker, submit: Submit, patience: Patience = IMPATIENT
) -> AsyncIterator[QueueConsumer]:
    """A consumer that runs as long as the block does, and finishes what is in hand."""
    stop = asyncio.Event()
    consumer = QueueConsumer(TakenCommands(broker), submit, patience)
    running = asyncio.create_task(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await running
