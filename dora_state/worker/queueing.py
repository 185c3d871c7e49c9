"""The worker's part in the queue of commands: waits until the broker may carry any, and takes them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from dora_state.platform import Platform
from dora_state.queue.consumer import QueueConsumer
from dora_state.resting import rest
from dora_state.state_manager import StateManager
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import CommandBroker, TakenCommands, open_broker

LOOK_SECONDS, AWAY_SECONDS = 60.0, 1.0
"""How often a broker is looked at that may carry no commands, and one that can't be reached."""
JUDGE_SECONDS = 15.0
"""How often one is looked at that carries commands."""
logger = logging.getLogger(__name__)


async def take_commands(platform: Platform, stop: asyncio.Event) -> None:
    """Until told to stop. Without a broker there is nothing to take."""
    url = platform.servers.broker_url
    if url is None:
        await stop.wait()
        return
    # A Redis that is there for copies may be as it likes; one that is named as the broker is expected to be fit.
    level = logging.WARNING if platform.settings.broker_url is not None else logging.INFO
    async with open_broker(url, platform.settings.tenant) as broker:
        submit = StateManager(platform).submit
        while await _is_fit(broker, level, stop):
            async with _as_long_as_fit(broker, stop) as ends:
                await QueueConsumer(TakenCommands(broker), submit, figures=platform.queue_figures).run(ends)


async def _is_fit(broker: CommandBroker, level: int, stop: asyncio.Event) -> bool:
    """Waits until it is, and tells once why it is not; false when told to stop."""
    told: str | None = None
    while not stop.is_set():
        reason, pause = await _unfit_because(broker)
        if reason is None:
            if not (await broker.fitness()).persists:
                logger.log(level, "The broker keeps no append-only file, so what waits in the queue is lost with it.")
            return True
        if reason != told:
            logger.log(level, "No command is taken from the queue: %s", reason)
            told = reason
        await rest(stop, pause)
    return False


@asynccontextmanager
async def _as_long_as_fit(broker: CommandBroker, stop: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """An event that is set when it is no longer, or on stopping; a broker that is away is waited for by who takes."""
    ends = asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():
            await rest(stop, JUDGE_SECONDS)
            if stop.is_set():
                break
            with suppress(BrokerUnavailable):
                if (await broker.fitness()).unfit_because is not None:
                    break
        ends.set()

    watching = asyncio.create_task(watch(), name="judging the broker")
    try:
        yield ends
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _unfit_because(broker: CommandBroker) -> tuple[str | None, float]:
    """And how many seconds to wait until the next look."""
    try:
        return (await broker.fitness()).unfit_because, LOOK_SECONDS
    except BrokerUnavailable as error:
        return error.message, AWAY_SECONDS
