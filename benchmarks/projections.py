"""The read models: how fast they are rebuilt, how soon they know, what they cost the write side."""

import asyncio
import statistics
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

from benchmarks import peers
from benchmarks.filling import opened, tell_lives
from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage
from benchmarks.watching import Memory
from dora_state.memory import spare_the_collector
from dora_state.rebuilding import Wish, rebuild
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.projection import PROJECTIONS

NAME = "projections"
ROUNDS = 5
LIFE, SHORT_LIFE = 50, 8
"""Events of one task."""
REBUILT, OF_THE_PEER, MANY = 250_000, 10_000, 1_000_000
RATE, TASKS = 1_000, 400
SECONDS = 30.0
FULL_SPEED = 60.0
SUBMITTERS = 64
LOOKED_AT = 20
"""Tasks whose documents another process watches."""
PAUSE = 0.001


async def run(quick: bool) -> list[Row]:
    scale, rounds = (25, 1) if quick else (1, ROUNDS)
    async with open_stage() as stage:
        rows = await rebuilds(stage, REBUILT // scale, OF_THE_PEER // scale, rounds)
    async with open_stage() as stage:
        rows += await memory(stage, MANY // scale)
    async with open_stage() as stage:
        rows += await visible(stage, SECONDS / scale, rounds)
        rows += await full_speed(stage, FULL_SPEED / scale)
    return rows


# --- rebuilds --------------------------------------------------------------------------------------------------


async def rebuilds(stage: Stage, events: int, of_the_peer: int, rounds: int) -> list[Row]:
    """All projections, from the log to the exchange; rounds of ours and the peer's alternate."""
    ours: list[float] = []
    theirs: list[float] = []
    async with (
        opened(stage) as manager,
        peers.eventsourcing_projections(stage.url, of_the_peer // LIFE, LIFE) as peer,
    ):
        await tell_lives(manager.platform.log, events // LIFE, LIFE)
        spare_the_collector()  # as `dora-state rebuild` does
        for _ in range(rounds):
            begun = time.perf_counter()
            await rebuild_all(manager, Memory(events))
            ours.append(events / (time.perf_counter() - begun))
            theirs.append(await peer())
    case = f"rebuild of all read models, {events:,} events"
    peer_name = "the eventsourcing library's runner with one row an event"
    return [row(NAME, case, f"events, against {peer_name}", "a second", ours, theirs, at_least=50)]


async def memory(stage: Stage, events: int) -> list[Row]:
    """Of short lives: more streams than the states that are kept in memory, long before the second quarter."""
    async with opened(stage) as manager:
        await tell_lives(manager.platform.log, events // SHORT_LIFE, SHORT_LIFE)
        watched = Memory(events * len(PROJECTIONS))
        await rebuild_all(manager, watched)
    case = f"rebuild of all read models, {events:,} events"
    metric = "memory in the last quarter, against the second"
    return [row(NAME, case, metric, "MB", *watched.quarters, at_most=1.05)]


async def rebuild_all(manager: StateManager, progress: Memory) -> None:
    async for _ in rebuild(manager.platform, list(PROJECTIONS.values()), progress, Wish()):
        pass


# --- how soon they know ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """When something was first seen to be at a position, in the order of both."""

    positions: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def note(self, position: int) -> None:
        if not self.positions or position > self.positions[-1]:
            self.positions.append(position)
            self.times.append(time.monotonic())

    def since(self, position: int, answered: float) -> float | None:
        """Milliseconds from a command's answer to its being seen; None if it never was."""
        place = bisect_left(self.positions, position)
        return None if place == len(self.times) else max(0.0, 1000 * (self.times[place] - answered))


async def visible(stage: Stage, seconds: float, rounds: int) -> list[Row]:
    """Three watchers in this process look every millisecond; a worker projects, another process submits."""
    tenant = await stage.new_tenant()
    settings = load_settings(home=stage.home, tenant=tenant, database_url=None, redis_url=None)
    found: dict[str, list[list[float]]] = {"PostgreSQL": [], "Redis": [], "L1 of another process": []}
    async with (
        stage.process(tenant, "benchmarks.pacing", str(TASKS)) as submitter,
        open_state_manager(settings) as manager,
        stage.worker(tenant),
    ):
        assert submitter.stdin is not None
        assert submitter.stdout is not None
        await submitter.stdout.readline()
        await manager.catch_up()
        for _ in range(rounds):
            tasks = [f"paced-w{number // 8}-t{number % 8}" for number in range(LOOKED_AT)]
            async with watching(manager, tasks) as (stored, hot, near):
                submitter.stdin.write(f"{RATE} {seconds}\n".encode())
                told: list[tuple[str, int, float]] = orjson.loads(await submitter.stdout.readline())
                await asyncio.sleep(1)
            found["PostgreSQL"].append(_all(stored.since(at, answered) for _, at, answered in told))
            found["Redis"].append(_all(hot.since(at, answered) for _, at, answered in told))
            found["L1 of another process"].append(
                _all(near[task].since(at, answered) for task, at, answered in told if task in near)
            )
    case = f"from a command's answer to visible, {RATE:,} commands a second"
    rows = []
    for where, taken in found.items():
        p50, p99 = ([statistics.quantiles(one, n=100)[part] for one in taken] for part in (49, 98))
        rows.append(row(NAME, case, f"{where}, p50", "ms", p50, at_most=10 if where == "PostgreSQL" else None))
        rows.append(row(NAME, case, f"{where}, p99", "ms", p99, at_most=50 if where == "PostgreSQL" else 60))
    return rows


def _all(found: Iterable[float | None]) -> list[float]:
    taken = list(found)
    if len(taken) < 2 or None in taken:
        raise RuntimeError("Something was never seen.")
    return [one for one in taken if one is not None]


@asynccontextmanager
async def watching(manager: StateManager, tasks: Sequence[str]) -> AsyncIterator[tuple[Seen, Seen, dict[str, Seen]]]:
    """What is seen meanwhile in PostgreSQL, in Redis, and of some tasks in this process's own cache."""
    stored, hot, near = Seen(), Seen(), {task_id: Seen() for task_id in tasks}
    platform = manager.platform

    async def look_at_postgres() -> None:
        stored.note((await platform.read_models.checkpoint()).position)

    async def look_at_redis() -> None:
        assert platform.redis is not None
        hot.note(int(await platform.redis.get(f"dora-state:{{{platform.settings.tenant}}}:mark") or 0))

    async def look_near() -> None:
        for task_id, seen in near.items():
            seen.note((await manager.state("task", task_id, consistency="cached"))["position"])

    looking = [asyncio.create_task(_for_ever(look)) for look in (look_at_postgres, look_at_redis, look_near)]
    try:
        yield stored, hot, near
    finally:
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def _for_ever(look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await look()
        await asyncio.sleep(PAUSE)


# --- what they cost --------------------------------------------------------------------------------------------


async def full_speed(stage: Stage, seconds: float) -> list[Row]:
    """The write side alone, then with a worker beside it; and how long that takes afterwards to be up with it."""
    async with stage.submitters("progress", 1, SUBMITTERS) as alone:
        without = (await alone.round(seconds)).rate
    async with stage.submitters("progress", 1, SUBMITTERS) as beside, stage.worker(beside.tenant):
        settings = load_settings(home=stage.home, tenant=beside.tenant, database_url=None, redis_url=None)
        async with open_state_manager(settings) as manager:
            await _until_up(manager)
            with_worker = (await beside.round(seconds)).rate
            took = await _until_up(manager)
    case = f"{seconds:.0f} s of commands at full speed, a worker beside"
    return [
        row(NAME, case, "commands, against none beside", "a second", [with_worker], [without], at_least=0.7),
        row(NAME, case, "until all is projected, after the end", "s", [took], at_most=60),
    ]


async def _until_up(manager: StateManager) -> float:
    """Seconds until all runners are at the log's end, by somebody else's hand."""
    begun = time.perf_counter()
    head = (await manager.platform.log.head()).position
    for runner in manager.platform.runners:
        while (await runner.checkpoint()).position < head:  # noqa: ASYNC110  another process moves it
            await asyncio.sleep(0.01)
    return time.perf_counter() - begun
