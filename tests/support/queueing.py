"""The queue of commands in tests: what others send by plain dramatiq, and a worker's part in this process."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from commands.envelope import Answer
from dora_state.queue.consumer import QueueConsumer, Submit
from dora_state.queue.patience import Patience
from dora_state.state_manager import StateManager
from infrastructure.command_queue import CommandBroker, TakenCommands, open_broker

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


@asynccontextmanager
async def own_broker(url: str, tenant: str) -> AsyncIterator[CommandBroker]:
    """A tenant's part of a broker, which is empty afterwards."""
    async with open_broker(url, tenant, connections=40, heartbeat_seconds=0.5) as broker:
        yield broker
        if names := [name async for name in broker.client.scan_iter(f"{broker.keys.namespace}*")]:
            await broker.client.delete(*names)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON):
        while not (await found if inspect.isawaitable(found := holds()) else found):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)


def waits(submitted: asyncio.Event, goes_on: asyncio.Event, manager: StateManager) -> Callable[..., Any]:
    """Submits, but only when it may."""

    async def submit(submission: dict[str, Any]) -> Answer:
        submitted.set()
        await goes_on.wait()
        return await manager.submit(submission)

    return submit
