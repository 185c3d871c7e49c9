"""What a read costs at each level: in this process, from Redis, from PostgreSQL."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage
from dora_state.platform import Platform, now, open_platform
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager
from infrastructure import sql
from infrastructure.hot_copies import Keys
from infrastructure.redis_client import open_redis
from projections.cache_ports import NoHotCopies
from projections.documents.frozen import thawed
from projections.queries import Queries

NAME = "reads"
WORKFLOWS = 300
SIZES = (0, 8)
"""Tasks of a workflow: documents of about one and of four kilobytes."""
ASKED = 3_000
ROUNDS = 7
LOOKS = 20_000
Ask = Callable[[int], Awaitable[object]]


async def run(quick: bool) -> list[Row]:
    async with open_stage() as stage, reading(stage) as (platform, redis):
        asked, rounds = (ASKED // 10, 2) if quick else (ASKED, ROUNDS)
        rows = await near(platform, rounds)
        for tasks in SIZES:
            rows += await copies(platform, redis, tasks, asked, rounds)
            rows += await tables(platform, tasks, asked, rounds)
        return rows


@asynccontextmanager
async def reading(stage: Stage) -> AsyncIterator[tuple[Platform, Redis]]:
    """A platform with some workflows, a projector that keeps the copies, and a bare client of the same Redis."""
    tenant = await stage.new_tenant()
    settings = load_settings(home=stage.home, tenant=tenant, database_url=None, redis_url=None)
    stop = asyncio.Event()
    async with open_platform(settings, warm=True) as platform:
        manager = StateManager(platform, default_actor="bench")
        for tasks in SIZES:
            for number in range(WORKFLOWS):
                await make(manager, _name(tasks, number), tasks)
        await manager.catch_up()
        projecting = asyncio.create_task(platform.projector.run(stop))
        while platform.caches.near.peek("workflow", _name(SIZES[-1], 0)) is None:
            await manager.state("workflow", _name(SIZES[-1], 0), consistency="cached")
            await asyncio.sleep(0.01)
        assert platform.servers.redis_url is not None
        async with open_redis(platform.servers.redis_url, tenant, settings.redis_pool_size) as redis:
            yield platform, redis.client
        stop.set()
        await projecting


def _name(tasks: int, number: int) -> str:
    return f"of-{tasks}-{number}"


async def make(manager: StateManager, workflow_id: str, tasks: int) -> None:
    about = {"workflow_id": workflow_id, "definition_id": "d"}
    await manager.submit({"type": "CreateWorkflow", "data": about})
    for number in range(tasks):
        await manager.submit({"type": "AddTask", "data": about | {"task_id": f"{workflow_id}-{number}"}})


async def near(platform: Platform, rounds: int) -> list[Row]:
    frozen, plain, name = [], [], _name(SIZES[-1], 0)
    for _ in range(rounds):
        frozen.append(_microseconds(lambda: platform.queries.peek("workflow", name)))
        plain.append(_microseconds(lambda: thawed(platform.queries.peek("workflow", name))))
        await asyncio.sleep(0.1)  # others wait for the loop, too
    return [
        row(NAME, "L1", "the frozen view", "us", frozen, at_most=5),
        row(NAME, "L1", "and a copy that may be changed", "us", plain),
    ]


async def copies(platform: Platform, redis: Redis, tasks: int, asked: int, rounds: int) -> list[Row]:
    """The same copy, by a bare GET of the same client, and as a document."""
    id = _name(tasks, 0)
    name = Keys(platform.settings.tenant).document("workflow", id)

    async def ours(_: int) -> object:
        return await platform.queries.show("workflow", id)

    async def bare(_: int) -> object:
        return await redis.get(name)

    measured, peer = await _in_turn(ours, bare, asked, rounds)
    return [row(NAME, f"L2, {_what(tasks)}", "against a bare GET", "us", measured, peer, at_most=2)]


async def tables(platform: Platform, tasks: int, asked: int, rounds: int) -> list[Row]:
    queries = Queries(platform.read_models, NoHotCopies(), platform.presence, platform.log, now)
    statement = sql.load("read_models/document_of_workflow")

    async def ours(number: int) -> object:
        return await queries.show("workflow", _name(tasks, number % WORKFLOWS))

    async def bare(number: int) -> object:
        async with platform.projector_pool.connection() as connection:
            facts = {"id": _name(tasks, number % WORKFLOWS)}
            return await (await connection.execute(statement, facts, prepare=True)).fetchone()

    measured, peer = await _in_turn(ours, bare, asked, rounds)
    return [row(NAME, f"L3, {_what(tasks)}", "against a primary-key SELECT", "us", measured, peer, at_most=2)]


def _what(tasks: int) -> str:
    return f"a workflow of {tasks} tasks"


async def _in_turn(ours: Ask, bare: Ask, asked: int, rounds: int) -> tuple[list[float], list[float]]:
    """The median of each round, in microseconds."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for ask, medians in zip((ours, bare), taken, strict=True):
            medians.append(await _median(ask, asked))
    return taken


async def _median(ask: Ask, asked: int) -> float:
    seconds = []
    for number in range(asked):
        began = time.perf_counter()
        await ask(number)
        seconds.append(time.perf_counter() - began)
    return 1e6 * statistics.median(seconds)


def _microseconds(look: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(LOOKS):
        look()
    return 1e6 * (time.perf_counter() - began) / LOOKS
