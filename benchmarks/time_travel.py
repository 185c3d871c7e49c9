"""What the past costs: folds, states at versions and times, first pages of history, replays."""

import random
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from benchmarks import peers
from benchmarks.exports import exports
from benchmarks.filling import AT, append, new_event, opened, progressing
from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage
from benchmarks.watching import Memory
from domain import task as tasks
from domain.aggregate import Event
from domain.folding import FOLDER
from domain.log import CommandAppend, Cut
from dora_state.platform import new_id
from dora_state.replaying import replay_until
from infrastructure.event_store import PostgresEventLog

NAME = "time"
LONG, SHORT = 1_000_000, 1_000
FOLDED = 100_000
MONTHS, EVENTS = 60, 5_000_000
LIFE = 50
"""Events of one stream."""
REPLAYED = 4_000_000
EXPORTED = 1_000_000
ROUNDS = 7
FOLD_ROUNDS = 15
ASKED = 300
"""How often each question is asked of a random version, stream or time."""
PAGE = 50


async def run(quick: bool) -> list[Row]:
    scale = 20 if quick else 1
    async with open_stage() as stage:
        rows = [*await folds(stage, FOLDED // scale), *await one_stream(stage, LONG // scale)]
    async with open_stage() as stage:
        rows += await many_months(stage, EVENTS // scale, REPLAYED // scale)
    async with open_stage() as stage:
        rows += await exports(stage, EXPORTED // scale)
    return rows


# --- the fold of one stream ------------------------------------------------------------------------------------


async def folds(stage: Stage, length: int) -> list[Row]:
    ours: list[float] = []
    theirs: list[float] = []
    async with opened(stage) as manager, peers.eventsourcing_folds(stage.url, length) as peer:
        log = manager.platform.log
        await tell(log, "task-t", progressing("t", length))
        for _ in range(FOLD_ROUNDS):
            begun = time.perf_counter()
            folded = await FOLDER.at(log, "task-t")
            ours.append(folded.version / (time.perf_counter() - begun))
            theirs.append(await peer())
    case = f"fold of a stream of {length:,} events"
    return [
        row(NAME, case, "events, against repository.get", "a second", ours, theirs, at_least=8),
        row(NAME, case, "events", "a second", ours, at_least=250_000),
    ]


# --- one long stream -------------------------------------------------------------------------------------------


async def one_stream(stage: Stage, long: int) -> list[Row]:
    async with opened(stage) as manager:
        lengths = {"short": SHORT, "long": long}
        for name, length in lengths.items():
            await tell(manager.platform.log, f"task-{name}", progressing(name, length))
        await manager.platform.snapshotter.catch_up()

        async def ask(name: str) -> float:
            version = random.randint(1, lengths[name])
            return await taken(partial(manager.state, "task", name, cut=Cut(version=version)))

        took: dict[str, list[float]] = {name: [] for name in lengths}
        for _ in range(ASKED):
            for name in lengths:
                took[name].append(await ask(name))

        async def page(newest_first: bool) -> None:
            _ = [one async for one in manager.history("task", "long", newest_first=newest_first, limit=PAGE)]

        pages = {last: [await taken(partial(page, last)) for _ in range(ROUNDS)] for last in (False, True)}
    state = f"a task of {long:,} events at a random version"
    history = f"{PAGE} versions of {long:,}"
    return [
        row(NAME, state, f"p50, against one of {SHORT:,}", "ms", took["long"], took["short"], at_most=2),
        row(NAME, state, "p50", "ms", took["long"], at_most=10),
        row(NAME, history, "first page of history, p50", "ms", pages[False], at_most=20),
        row(NAME, history, "its last page, p50", "ms", pages[True], at_most=20),
    ]


# --- many streams in many months -------------------------------------------------------------------------------


async def many_months(stage: Stage, events: int, replayed: int) -> list[Row]:
    """Tasks of fifty events each, one after the other through sixty months."""
    streams = events // LIFE
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    step = (datetime(2025, 1, 1, tzinfo=UTC) - begin) / events
    async with opened(stage) as manager:
        log = manager.platform.log
        import_id = uuid4()
        importing = await log.begin_import(import_id)
        await log.ensure_months(begin, datetime(2025, 1, 1, tzinfo=UTC))
        await tell_all(importing, streams, begin, step)
        await log.end_import(import_id)
        took = []
        for _ in range(ASKED):
            number = random.randrange(streams)
            at = begin + step * (number * LIFE + random.randrange(LIFE) + 1)
            took.append(await taken(partial(manager.state, "task", f"t{number}", cut=Cut(at=at))))
        memory = Memory(replayed)
        report = await replay_until(manager.platform, Cut(position=replayed), "bench_replay", memory)
    state = f"a task at a random time in {MONTHS} months of {events:,} events"
    replay = f"replay --until of {report.events:,} events"
    return [
        row(NAME, state, "p50", "ms", took, at_most=10),
        row(NAME, replay, "events", "a second", [report.events / report.seconds], at_least=20_000),
        row(NAME, replay, "memory in the last quarter, against the second", "MB", *memory.quarters, at_most=1.05),
    ]


# --- what it is made of ----------------------------------------------------------------------------------------


async def taken(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - begun)


async def tell(log: PostgresEventLog, stream_id: str, events: Iterable[Event], at_once: int = 10_000) -> None:
    """Each event is a command of its own."""
    group: list[CommandAppend] = []
    for version, event in enumerate(events):
        group.append(CommandAppend(new_id(), {stream_id: version}, (new_event(stream_id, event),), b"{}"))
        if len(group) == at_once:
            await append(log, group)
            group = []
    await append(log, group)


async def tell_all(log: PostgresEventLog, streams: int, begin: datetime, step: timedelta) -> None:
    """The events of a stream come together, and the times rise from event to event."""
    group: list[CommandAppend] = []
    life = list(progressing("t", LIFE))[1:]
    place = 0
    for number in range(streams):
        stream_id = f"task-t{number}"
        first = tasks.TaskCreated(at=AT, task_id=f"t{number}", workflow_id="w", definition_id="d")
        for version, event in enumerate((first, *life)):
            at = begin + step * place
            group.append(CommandAppend(new_id(), {stream_id: version}, (new_event(stream_id, event),), b"{}", at))
            place += 1
        if len(group) >= 10_000:
            await append(log, group)
            group = []
    await append(log, group)
