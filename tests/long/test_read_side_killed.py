"""Whatever is killed, stopped or emptied in the midst of a stream of commands, the read models are the log's fold."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from commands.envelope import Envelope
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.embedded import EmbeddedServers
from tests.integration.test_embedded_homes import home, part
from tests.integration.test_embedded_kills import kill
from tests.support.command_line import CommandLine
from tests.support.working import WorkerProcess

__all__ = ["home"]

pytestmark = pytest.mark.timeout(300)

PATIENCE = 120.0
FAULTS = 9
ENDS: dict[str, dict[str, Any]] = {
    "CompleteTask": {},
    "FailTask": {"error": "x"},
    "CancelTask": {"reason": "x"},
    "": {},
}
TASKS = 6
"""Of each workflow."""


class Workforce:
    """Two workers at any time, but for the moments after one was killed."""

    def __init__(self, home: Path) -> None:
        self.line = CommandLine(home, DORA_STATE_WORKER_INTERVAL="0.2")
        self.workers: list[WorkerProcess] = []

    def hire(self) -> WorkerProcess:
        worker = WorkerProcess(self.line.start("worker"))
        worker.wait_for("is running")
        self.workers.append(worker)
        return worker

    def kill(self, worker: WorkerProcess) -> None:
        self.workers.remove(worker)
        worker.leave_nothing()

    def let_go(self) -> None:
        while self.workers:
            worker = self.workers.pop()
            assert worker.end().code == 0, worker.said
            worker.leave_nothing()


@contextmanager
def workforce(home: Path) -> Iterator[Workforce]:
    force = Workforce(home)
    try:
        force.hire()
        force.hire()
        yield force
    finally:
        for worker in force.workers:
            worker.leave_nothing()


def life(chance: random.Random, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """A workflow of some tasks; each is finished, fails, or stays as it is."""
    workflow = {"workflow_id": f"w{number}"}
    kind = {"definition_id": f"d{number % 3}", "on_task_failure": "continue", "completion": "explicit"}
    yield "CreateWorkflow", workflow | kind
    yield "StartWorkflow", workflow
    for place in range(TASKS):
        task = {"task_id": f"w{number}-t{place}"}
        yield "AddTask", workflow | task | {"definition_id": "step", "resource_requirements": {"cpu": "1"}}
        yield "ScheduleTask", task
        yield "AssignTask", task | {"agent_id": "a", "reason": "test", "pool_id": "p"}
        yield "StartTask", task
        for percentage in range(0, chance.choice([20, 90]), 10):
            yield "ReportProgress", task | {"percentage": percentage}
        if end := chance.choice(list(ENDS)):
            yield end, task | ENDS[end]


async def write(manager: StateManager, chance: random.Random, name: int, over: asyncio.Event) -> int:
    """One command after the other, each until it is answered for good; gives how many."""
    done, number = 0, name
    while not over.is_set():
        for type, data in life(chance, number):
            await until_done(manager, manager.parse({"type": type, "data": data}))
            done += 1
        number += 10
    return done


async def until_done(manager: StateManager, envelope: Envelope) -> None:
    """The same command id again and again, as clients do: it happens once."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await manager.submit(envelope)).outcome == "failed":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert answer.outcome in ("accepted", "unchanged"), answer.problem


class Faults:
    """What goes wrong, one thing after the other."""

    def __init__(self, home: Path, force: Workforce, chance: random.Random) -> None:
        self._home = home
        self._force = force
        self._chance = chance

    async def happen(self) -> str:
        fault = self._chance.choice([self.worker, self.stopped, self.postgres, self.redis, self.emptied, self.both])
        await fault()
        return fault.__name__

    async def worker(self) -> None:
        self._force.kill(self._chance.choice(self._force.workers))
        await asyncio.to_thread(self._force.hire)

    async def both(self) -> None:
        for worker in list(self._force.workers):
            self._force.kill(worker)
        await asyncio.to_thread(self._force.hire)
        await asyncio.to_thread(self._force.hire)

    async def stopped(self) -> None:
        worker = self._chance.choice(self._force.workers)
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(self._chance.choice([0.2, 7.0]))  # the longer: another has taken over
        worker.send(signal.SIGCONT)

    async def postgres(self) -> None:
        await asyncio.to_thread(kill, part(self._home, "postmaster"))

    async def redis(self) -> None:
        await asyncio.to_thread(kill, part(self._home, "valkey"))

    async def emptied(self) -> None:
        async with Redis.from_url(EmbeddedServers(self._home).redis_url) as client:
            with contextlib.suppress(RedisError, OSError):
                await client.flushall()


@asynccontextmanager
async def writing(manager: StateManager, seed: int) -> AsyncIterator[None]:
    """Three clients, while the block runs."""
    over = asyncio.Event()
    clients = [asyncio.create_task(write(manager, random.Random(seed + name), name, over)) for name in range(3)]
    try:
        yield
    finally:
        over.set()
        assert min(await asyncio.gather(*clients)) > 0


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await what():  # noqa: ASYNC110  other processes see to it
            await asyncio.sleep(0.05)


async def is_up(manager: StateManager) -> bool:
    head = (await manager.platform.log.head()).position
    return all([(await runner.checkpoint()).position >= head for runner in manager.platform.runners])


async def answers_are_right(manager: StateManager) -> bool:
    """Whatever copies there are in Redis, they say what the log says, once they can't be of a runner that was killed
    between writing a batch and copying it.
    """
    streams, mark = [], ""
    while page := await manager.platform.log.streams_after(mark, 500):
        streams += page
        mark = page[-1]
    assert len(streams) > 3
    for stream_id in streams:
        kind, _, id = stream_id.partition("-")
        if kind in ("workflow", "task", "pool"):
            (known, folded) = [await manager.state(kind, id, live=live) for live in (False, True)]
            for document in (known, folded):
                if kind == "task":
                    document["execution_metrics"]["execution_time"] = None
            if known["position"] < folded["position"]:
                return False
            assert known == folded
    return True


@pytest.mark.parametrize("seed", range(1, 8))
async def test_whatever_goes_wrong_every_document_is_the_fold_in_the_end(home: Path, seed: int) -> None:
    """A stream of commands, and faults as the seed has them."""
    chance = random.Random(seed)
    settings = load_settings(home=home)
    async with open_state_manager(settings, default_actor="test") as manager:
        agent = {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 1_000_000, "state": "healthy"}
        await until_done(manager, manager.parse({"type": "RegisterAgent", "data": agent}))
        pool = {"pool_id": "p", "total": {"cpu": "1000000"}}
        await until_done(manager, manager.parse({"type": "CreatePool", "data": pool}))
        with workforce(home) as force:
            faults, happened = Faults(home, force, chance), []
            async with writing(manager, seed):
                for _ in range(FAULTS):
                    await asyncio.sleep(chance.uniform(0.1, 0.8))
                    happened.append((await faults.happen(), round(time.monotonic(), 1)))
            await until(lambda: is_up(manager))
            await until(lambda: answers_are_right(manager))
            force.let_go()
        found = await asyncio.to_thread(force.line, "replay", "--check", "--json")
        assert found.code == 0, (happened, found.out, found.err)
