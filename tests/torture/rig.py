"""One run: a house at work, faults one after the other, then quiet, and the checker."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg

from domain.errors import LogError
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.testing.checker import Checker, Fault
from dora_state.testing.history import Read, read_history
from dora_state.testing.log import whole_log
from dora_state.worker.chores import ACTOR
from tests.support.postgres import connected, rows
from tests.torture.client import TELL
from tests.torture.counters import miscounted
from tests.torture.errands import Errands
from tests.torture.faults import KINDS, Faults
from tests.torture.report import Report
from tests.torture.stage import TENANT, Part, Stage, open_stage
from tests.torture.watch import Watch, watching

AT_ONCE = 3
"""Faults that may be going on at a time."""
SHORTEST, LONGEST = 0.3, 3.0
"""Seconds from one fault to the next."""
BEGIN_SECONDS = 120.0
UP_SECONDS = 180.0
"""For the read models to be up with the log once all is quiet."""
FOLLOWERS, LOOKERS = ("follower", "listener"), ("own-writes", "moments")
_STANDING: tuple[LiteralString, ...] = (
    "SELECT * FROM checkpoints",
    "SELECT *, held_until - clock_timestamp() FROM leads",
    "SELECT * FROM halts",
    "SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid), now() - state_change,"
    " query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
)
SYSTEM = (ACTOR,)
"""Who gives the commands that time asks for."""


async def torture(seconds: float, seed: int, *, only: Sequence[str] | None = None) -> Report:
    chance = random.Random(seed)
    async with open_stage(seed) as stage, watching(stage) as watch:
        faults, errands = Faults(stage, random.Random(seed + 1)), Errands(stage, random.Random(seed + 2))
        async with _going_on(stage):
            await _until_at_work(stage, watch)
            await stage.come_to_a_month_in(int(seconds) // 2)
            running = asyncio.create_task(errands.run())
            began, watch.counts_stops = time.monotonic(), True
            try:
                await _break(faults, chance, began + seconds, only or list(KINDS))
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            lasted = time.monotonic() - began
            faults.heal()
            watch.counts_stops = False
            followed_to, stuck = await _quiet(stage, watch)
        checked = await asyncio.to_thread(_replay, stage)  # before a rebuild mends what it would find
        await errands.once_more()
        crashed = [*errands.crashed, *_crashes(stage)]
        checker = Checker(others=SYSTEM, followed_to=followed_to)
        async with _house(stage) as manager:
            histories = sorted(stage.histories.iterdir())
            found: list[Fault] = await checker.check(whole_log(manager), read_history(histories))
            counted, miscounts = await miscounted(whole_log(manager))
            found += [Fault("locks", says) for says in miscounts]
            months = {f"{event.recorded_at:%Y-%m}" async for event in whole_log(manager)}
        checked = checked or await asyncio.to_thread(_replay, stage)
        return Report(
            seed=seed,
            seconds=lasted,
            happened=faults.happened,
            skipped=faults.skipped,
            counts=checker.counts,
            counted=counted,
            months=len(months),
            found=found,
            writes=watch.writes,
            projections=watch.projections,
            stops=watch.stops,
            errands=errands.done,
            in_peace=errands.in_peace,
            begun=Counter({part.name: part.begun for part in stage.all_parts}),
            stuck=stuck,
            crashed=crashed,
            replay=checked,
        )


@asynccontextmanager
async def _going_on(stage: Stage) -> AsyncIterator[None]:
    """If that fails nothing would come back: then all ends."""
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(stage.keep_up())
        yield
        keeping.cancel()


async def _until_at_work(stage: Stage, watch: Watch) -> None:
    async with asyncio.timeout(BEGIN_SECONDS):
        while watch.head < 200 or watch.checkpoint == 0 or not _have_begun(stage):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.1)


def _have_begun(stage: Stage) -> bool:
    """All clients; those that read have read."""
    for part in stage.parts["client"]:
        path = stage.histories / part.name
        told = {type(record) for record in read_history([path])} if path.exists() else set()
        if not told or (part.name.startswith(LOOKERS) and Read not in told):
            return False
    return True


async def _break(faults: Faults, chance: random.Random, until: float, kinds: Sequence[str]) -> None:
    """Raises what a fault raises that could not even be tried."""
    room = asyncio.Semaphore(AT_ONCE)

    async def carry_out(name: str) -> None:
        try:
            await faults.carry_out(name)
        finally:
            room.release()

    async with asyncio.TaskGroup() as going:
        while time.monotonic() < until:
            await room.acquire()
            going.create_task(carry_out(chance.choice(kinds)))
            await asyncio.sleep(chance.uniform(SHORTEST, LONGEST))


async def _quiet(stage: Stage, watch: Watch) -> tuple[int, list[str]]:
    """Writers leave, then who follows, then the read models come up, then all else leaves.

    Gives the position up to which followers must have come, and a word on whoever is stuck.
    """
    stuck: list[str] = []
    clients = stage.parts.pop("client")
    followers = [part for part in clients if part.name.startswith(FOLLOWERS)]
    await _leave(stage, [part for part in clients if part not in followers], stuck)
    await asyncio.sleep(1)
    followed_to = watch.head
    await _leave(stage, followers, stuck)
    try:
        async with asyncio.timeout(UP_SECONDS):
            while watch.checkpoint < watch.head:  # noqa: ASYNC110  # other processes see to it
                await asyncio.sleep(0.1)
    except TimeoutError:
        stuck.append(f"The read models stand at {watch.checkpoint} of {watch.head}: {await _standing(stage)}")
    rest, stage.parts = stage.all_parts, {}
    await _leave(stage, rest, stuck)
    stage.parts = {"client": clients, "rest": rest}
    return followed_to, stuck


async def _standing(stage: Stage) -> str:
    """Who has the lead, what sessions do, and what workers said last."""
    told = []
    try:
        async with connected(stage.servers.database_url, TENANT) as connection:
            for asked in _STANDING:
                told += [str(row) for row in await rows(connection, asked)]
    except (psycopg.Error, LogError) as error:
        told.append(f"PostgreSQL does not tell more: {error}")
    for part in stage.parts["worker"]:
        told += (stage.errors / part.name).read_text(errors="replace").splitlines()[-10:]
    return "\n    ".join(told)


async def _leave(stage: Stage, parts: Sequence[Part], stuck: list[str]) -> None:
    for part in parts:
        part.ask_to_leave()
    for part in parts:
        try:
            code = await part.leave()
            if code and part.is_client:  # among the last faults it could not begin: now it can
                part.start()
                part.ask_to_leave()
                code = await part.leave()
            if code:
                stuck.append(f"{part.name} ended with {code}: {_last_words(stage, part)}")
        except TimeoutError:
            if part.is_client:
                part.send(TELL)
                await asyncio.sleep(1)
            part.kill()
            stuck.append(f"{part.name} did not leave: {_last_words(stage, part)}")


def _last_words(stage: Stage, part: Part) -> str:
    return (stage.errors / part.name).read_text(errors="replace")[-5000:]


@asynccontextmanager
async def _house(stage: Stage) -> AsyncIterator[StateManager]:
    settings = load_settings(
        database_url=stage.servers.database_url, redis_url=stage.place.redis_url, tenant=stage.place.tenant
    )
    async with open_state_manager(settings, create=False) as manager:
        yield manager


def _crashes(stage: Stage) -> Iterator[str]:
    """Tracebacks, of the program's own processes and of clients."""
    for path in sorted(stage.errors.iterdir()):
        told = path.read_text(errors="replace")
        if "Traceback" in told:
            last = told[told.rindex("Traceback") :]
            yield f"{path.name}, {told.count('Traceback')} times, in the end: {last[:1000]} ... {last[1000:][-2000:]}"


def _replay(stage: Stage) -> str:
    """What `replay --check` finds; nothing if all agrees."""
    done = stage.line("replay", "--check")
    return "" if done.code == 0 else f"replay --check: {done.out}{done.err}"
