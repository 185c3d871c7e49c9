"""The queue of commands: from send to done when idle, and how many a second; beside a worker of plain dramatiq."""

import asyncio
import itertools
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.rows import Row, row
from benchmarks.stage import open_stage
from dora_state.queue import CommandQueue, open_command_queue
from dora_state.servers import open_servers
from dora_state.settings import load_settings
from infrastructure.command_queue import CommandBroker, figures, open_broker

NAME = "queue"
ROUNDS = 5
ASKED, MANY, SENDERS = 60, 5_000, 32
PAUSE = 0.1
"""Seconds between two commands of an idle queue."""
PATIENCE = 30.0
Done = Callable[[], Awaitable[object]]


async def run(quick: bool) -> list[Row]:
    asked, many = (ASKED // 5, MANY // 5) if quick else (ASKED, MANY)
    ours: list[float] = []
    slowest: list[float] = []
    theirs: list[float] = []
    rates: list[float] = []
    async with open_stage() as stage:
        tenant = await stage.new_tenant()
        settings = load_settings(home=stage.home, tenant=tenant, database_url=None, redis_url=None)
        async with open_servers(settings) as servers, stage.worker(tenant):
            url = servers.broker_url or ""
            async with open_command_queue(url, tenant) as queue, open_broker(url, tenant) as broker:
                submissions = _submissions()
                for _ in range(ROUNDS):
                    taken = await _idle(lambda: _send_and_wait(queue, next(submissions)), asked)
                    ours.append(1000 * statistics.median(taken))
                    slowest.append(1000 * max(taken))
                    with _plain(url) as send_and_wait:
                        plain = await _idle(lambda: asyncio.to_thread(send_and_wait), asked)
                    theirs.append(1000 * statistics.median(plain))
                    rates.append(await _many(queue, broker, itertools.islice(submissions, many)))
    return [
        row(NAME, "idle", "p50 from send to the answer", "ms", ours, at_most=50),
        row(NAME, "idle", "slowest from send to the answer", "ms", slowest),
        row(NAME, "idle", "p50 of a worker of plain dramatiq, with an actor that does nothing", "ms", theirs),
        row(NAME, f"{SENDERS} senders, one worker", "commands done", "a second", rates),
    ]


def _submissions() -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        yield {"type": "RegisterAgent", "actor": "bench", "data": {"agent_id": f"q-{number}", "agent_type": "bench"}}


async def _send_and_wait(queue: CommandQueue, submission: dict[str, Any]) -> None:
    answer = await queue.answer(await queue.send(submission), PATIENCE)
    if answer is None or not answer.ok:
        raise RuntimeError(f"A command of the benchmark was not accepted: {answer}")


async def _idle(done: Done, asked: int) -> list[float]:
    """The seconds of each, one after the other and with pauses."""
    taken = []
    for _ in range(asked):
        await asyncio.sleep(PAUSE)
        begun = time.perf_counter()
        await done()
        taken.append(time.perf_counter() - begun)
    return taken


async def _many(queue: CommandQueue, broker: CommandBroker, submissions: Iterator[dict[str, Any]]) -> float:
    """Commands a second, from the first that is sent to the last that is answered."""
    begun, sent = time.perf_counter(), 0
    while together := list(itertools.islice(submissions, SENDERS)):
        sent += len(await asyncio.gather(*map(queue.send, together)))
    while (found := await figures(broker)).waiting + found.in_hand > 0:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0.01)
    return sent / (time.perf_counter() - begun)


@contextmanager
def _plain(url: str) -> Iterator[Callable[[], None]]:
    """An actor that only tells that it ran, as dramatiq's worker runs it by default."""
    broker = RedisBroker(url=url, namespace="bench-dramatiq")  # type: ignore[no-untyped-call]  # it has no types
    ran = threading.Event()
    actor: Any = dramatiq.Actor(ran.set, broker=broker, actor_name="a", queue_name="a", priority=0, options={})
    worker = dramatiq.Worker(broker)
    worker.start()

    def send_and_wait() -> None:
        ran.clear()
        actor.send()
        ran.wait(PATIENCE)

    try:
        yield send_and_wait
    finally:
        worker.stop(timeout=5_000)
        broker.client.close()
