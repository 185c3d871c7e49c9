"""What grows with what, on the way to the limits of docs/limits.md: long streams, full workflows, many months, many
tenants. What is measured of the largest is held against the smallest."""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import islice
from random import randrange
from typing import Any

import orjson

from benchmarks.crowding import months, tenants
from benchmarks.filling import append, new_event, opened, progressing
from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage
from benchmarks.time_travel import taken
from domain.log import CommandAppend, Cut
from domain.room import MOST_TASKS
from dora_state.platform import new_id
from dora_state.queue import open_command_queue
from dora_state.state_manager import StateManager
from infrastructure.redis_client import open_redis

NAME = "limits"
LENGTHS = (1_000, 100_000, 1_000_000)
ASKED = 50
TOGETHER = 500
GROUP = 20
TASKS = (100, 1_000, MOST_TASKS)
DOCUMENT = "its document"
RESERVATIONS = (100, 1_000, 10_000)
PARTS = 8
PART = 1_000_000
"""Of a workflow that is full."""
MESSAGES = 5_000
MONTHS = (60, 600)
TENANTS = 30


async def run(quick: bool) -> list[Row]:
    scale = 20 if quick else 1
    rows: list[Row] = []
    async with open_stage() as stage:
        rows += await streams(stage, [length // scale for length in LENGTHS])
    async with open_stage() as stage:
        rows += await workflows(stage, [max(tasks // scale, 5) for tasks in TASKS])
        rows += await full_workflow(stage)
        rows += await pools(stage, [max(count // scale, 5) for count in RESERVATIONS])
        rows += await messages(stage, MESSAGES // scale)
    async with open_stage() as stage:
        rows += await months(NAME, stage, [max(count // scale, 3) for count in MONTHS], ASKED)
    async with open_stage() as stage:
        rows += await tenants(NAME, stage, TENANTS // scale)
    return rows


# --- one stream ------------------------------------------------------------------------------------------------


async def streams(stage: Stage, lengths: list[int]) -> list[Row]:
    """Of a task that tells of its progress; snapshots are taken and read models are up."""
    figures: dict[int, dict[str, list[float]]] = {}
    async with opened(stage) as manager:
        for length in lengths:
            await _tell(manager, f"t{length}", length)
        await manager.platform.snapshotter.catch_up()
        await manager.catch_up()
        for length in lengths:
            figures[length] = await _of_stream(manager, f"t{length}", length)
    return [
        row(NAME, f"a stream of {length:,} events", f"{what}, p50", "ms", values, figures[lengths[0]][what])
        for length in lengths[1:]
        for what, values in figures[length].items()
    ]


async def _tell(manager: StateManager, task_id: str, length: int) -> None:
    """Many events a command: it is the stream that is to be long."""
    stream_id, group, version = f"task-{task_id}", [], 0
    told = iter([new_event(stream_id, event) for event in progressing(task_id, length)])
    while events := tuple(islice(told, TOGETHER)):
        group.append(CommandAppend(new_id(), {stream_id: version}, events, b"{}"))
        version += len(events)
        if len(group) == GROUP or version == length:
            await append(manager.platform.log, group)
            group = []


async def _of_stream(manager: StateManager, task_id: str, length: int) -> dict[str, list[float]]:
    async def progress(note: str) -> None:
        await accepted(manager, "ReportProgress", task_id=task_id, note=note)

    async def ask(times: int, how: Callable[[], Awaitable[object]]) -> list[float]:
        return [await taken(how) for _ in range(times)]

    def at_a_version() -> Awaitable[object]:
        return manager.state("task", task_id, cut=Cut(version=randrange(length) + 1))

    first = [await taken(partial(progress, "first"))]
    appended = [await taken(partial(progress, f"step {step}")) for step in range(1, ASKED)]
    await manager.catch_up()
    return {
        "the first command of a process on it": first,
        "a command": appended,
        "its state of now": await ask(ASKED, lambda: manager.state("task", task_id)),
        "the same, folded (live)": await ask(ASKED, lambda: manager.state("task", task_id, live=True)),
        "its state at a random version": await ask(ASKED, at_a_version),
    }


# --- aggregates that hold much -----------------------------------------------------------------------------------


async def workflows(stage: Stage, sizes: list[int]) -> list[Row]:
    """A workflow is one document and one state, and going back restores all of it at once."""
    figures: dict[int, dict[str, list[float]]] = {}
    for size in sizes:
        async with opened(stage) as manager:
            await accepted(manager, "CreateWorkflow", workflow_id="w", definition_id="d")
            added = await _milliseconds_each(manager, [_task(number) for number in range(size)])
            await accepted(manager, "StartWorkflow", workflow_id="w")
            await manager.catch_up(everything=True)
            version = await manager.platform.log.stream_version("workflow-w")
            document = orjson.dumps(await manager.state("workflow", "w"))
            read = [await taken(lambda: manager.state("workflow", "w")) for _ in range(5)]
            amended = [await taken(partial(amend, manager, {"step": step})) for step in range(5)]
            shown = [await taken(lambda: manager.catch_up(everything=True))]
            cancelled = [await taken(lambda: accepted(manager, "CancelWorkflow", workflow_id="w", reason="bench"))]
            back = {"workflow_id": "w", "to_version": version, "reason": "bench", "operator": "bench"}
            gone_back = [await taken(partial(accepted, manager, "RollBackWorkflow", **back))]
            figures[size] = {
                "adding a task, of 500 together": [added],
                DOCUMENT: [len(document) / 1_000],
                "reading it": read,
                "a command on it": amended,
                "until that is seen": shown,
                "cancelling it with all tasks": cancelled,
                "rolling it back with all tasks": gone_back,
            }
    return [
        row(
            NAME,
            f"a workflow of {size:,} tasks",
            what,
            "kB" if what == DOCUMENT else "ms",
            values,
            figures[sizes[0]][what],
        )
        for size in sizes[1:]
        for what, values in figures[size].items()
    ]


async def full_workflow(stage: Stage) -> list[Row]:
    """One whose context is as large as it may be, against an empty one."""
    figures: list[dict[str, list[float]]] = []
    for parts in (0, PARTS):
        async with opened(stage) as manager:
            await accepted(manager, "CreateWorkflow", workflow_id="w", definition_id="d")
            for part in range(parts):
                await amend(manager, {f"part{part}": "x" * PART})
            await manager.catch_up(everything=True)
            command, seen = [], []
            for step in range(5):
                command.append(await taken(partial(amend, manager, {"step": step})))
                seen.append(await taken(lambda: manager.catch_up(everything=True)))
            read = [await taken(lambda: manager.state("workflow", "w")) for _ in range(5)]
            back = {"workflow_id": "w", "to_version": 2, "reason": "bench", "operator": "bench"}
            gone_back = [await taken(partial(accepted, manager, "RollBackWorkflow", **back))]
            told = {"a command": command, "until it is seen": seen, "reading it": read, "a rollback": gone_back}
            figures.append(told)
    case = f"a workflow that holds {PARTS * PART:,} bytes"
    return [row(NAME, case, what, "ms", values, figures[0][what]) for what, values in figures[1].items()]


async def pools(stage: Stage, counts: list[int]) -> list[Row]:
    """All active reservations are one state and one document."""
    figures: dict[int, float] = {}
    for count in counts:
        async with opened(stage) as manager:
            await accepted(manager, "CreatePool", pool_id="p", total={"cpu": "1000000"})
            reserve = {"type": "Reserve", "data": {"pool_id": "p", "resources": {"cpu": "1"}}}
            await _milliseconds_each(manager, [reserve] * count)
            figures[count] = await _milliseconds_each(manager, [reserve] * TOGETHER)
    few = figures[counts[0]]
    return [
        row(NAME, f"a pool of {count:,} reservations", "one more, of 500 together", "ms", [figures[count]], [few])
        for count in counts[1:]
    ]


# --- the queue -------------------------------------------------------------------------------------------------


async def messages(stage: Stage, count: int) -> list[Row]:
    """What waits is in the broker's memory."""
    command = {"type": "ReportProgress", "actor": "bench", "data": {"task_id": "t", "percentage": 1, "note": "x" * 100}}
    async with opened(stage) as manager:
        url = manager.platform.servers.redis_url
        assert url is not None
        async with open_redis(url, "bench", 2) as redis, open_command_queue(url, "bench") as queue:
            before = int((await redis.client.info("memory"))["used_memory"])
            for _ in range(count):
                await queue.send(command)
            held = int((await redis.client.info("memory"))["used_memory"]) - before
    size = len(orjson.dumps(command))
    return [row(NAME, f"a message that waits, of {size} bytes", "bytes of the broker's memory", "", [held / count])]


# --- what it is made of ----------------------------------------------------------------------------------------


async def accepted(manager: StateManager, name: str, **data: Any) -> None:
    answer = await manager.submit({"type": name, "data": data})
    if answer.outcome != "accepted":
        raise RuntimeError(f"{name} of the benchmark was not accepted: {answer.problem}")


async def amend(manager: StateManager, context: Mapping[str, Any]) -> None:
    await accepted(manager, "AmendWorkflow", workflow_id="w", context=dict(context))


async def _milliseconds_each(manager: StateManager, commands: list[dict[str, Any]]) -> float:
    begun = time.perf_counter()
    answers = await manager.submit_many(commands)
    if not all(answer.outcome == "accepted" for answer in answers):
        raise RuntimeError("Commands of the benchmark were not accepted.")
    return 1000 * (time.perf_counter() - begun) / len(commands)


def _task(number: int) -> dict[str, Any]:
    return {"type": "AddTask", "data": {"workflow_id": "w", "task_id": f"t{number}", "definition_id": "d"}}
