"""The write side: from envelope to durable answer, with validation, decision, idempotency, order and fsync."""

import statistics

import psycopg

from benchmarks import peers
from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage

NAME = "append"
SUBMITTERS = 64
THREADS = 8
ROUNDS = 5
TASKS_A_SECOND = 6_000
"""More than are used, as each takes two commands; and few enough to stay in memory with their workflows."""
LIBRARY = "the eventsourcing library, 8 threads"
PGBENCH = "pgbench, 64 clients"
UNIT = "a second"


async def run(quick: bool) -> list[Row]:
    rounds, seconds = (1, 2.0) if quick else (ROUNDS, 5.0)
    rows: list[Row] = []
    async with open_stage() as stage:
        rows += await single_streams(stage, rounds, seconds)
        rows += await lone(stage, rounds, seconds)
        rows += await four_streams(stage, rounds, min(seconds, 2.5))
        rows += await hot_stream(stage, 5.0 if quick else 60.0)
        rows += await memory(stage, 20_000 if quick else 1_000_000)
    return rows


async def single_streams(stage: Stage, rounds: int, seconds: float) -> list[Row]:
    """One event a command, each in a stream of its own; rounds of ours and the peers' alternate."""
    rates: dict[str, list[float]] = {"one": [], "two": [], "halves": [], "pgbench": [], "library": []}
    async with (
        stage.submitters("progress", 1, SUBMITTERS) as one,
        stage.submitters("progress", 2, SUBMITTERS) as two,
        stage.submitters("progress", 2, SUBMITTERS // 2) as halves,
    ):
        for _ in range(rounds):
            rates["one"].append((await one.round(seconds)).rate)
            rates["pgbench"].append(await peers.pgbench(stage.url, SUBMITTERS, seconds))
            rates["two"].append((await two.round(seconds)).rate)
            rates["halves"].append((await halves.round(seconds)).rate)
            rates["library"].append(await peers.eventsourcing_saves(stage.url, THREADS, seconds))
    cases = (
        ("one", "one process, 64 submitters", 12.0, 0.8),
        ("two", "two processes, 64 submitters each", 20.0, 1.2),
        ("halves", "two processes, 64 submitters in all", 20.0, 1.2),
    )
    rows = []
    for name, case, of_library, of_pgbench in cases:
        for peer, goal, label in (("library", of_library, LIBRARY), ("pgbench", of_pgbench, PGBENCH)):
            metric = f"commands, against {label}"
            rows.append(row(NAME, case, metric, "a second", rates[name], rates[peer], at_least=goal))
    rows.append(
        row(
            NAME, "disjoint streams", "two processes, against one", "a second", rates["two"], rates["one"], at_least=1.0
        )
    )
    return rows


async def lone(stage: Stage, rounds: int, seconds: float) -> list[Row]:
    ours, theirs = [], []
    async with stage.submitters("progress", 1, 1, tasks=64) as one:
        for _ in range(rounds):
            ours.append(1000 * (await one.round(seconds)).p50)
            theirs.append(1000 * statistics.median(await peers.psycopg_inserts(stage.url, seconds)))
    return [row(NAME, "one submitter", "p50, against psycopg's INSERT", "ms", ours, theirs, at_most=2.0)]


async def four_streams(stage: Stage, rounds: int, seconds: float) -> list[Row]:
    """Each command writes a task, its workflow, one of 28 agents, and the one pool."""
    single: list[float] = []
    rates: dict[int, list[float]] = {1: [], 2: [], 4: []}
    slow: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(rounds):
        async with stage.submitters("progress", 1, SUBMITTERS) as one:
            single.append((await one.round(seconds)).rate)
        for processes, found in rates.items():
            each = SUBMITTERS // processes
            tasks = round(TASKS_A_SECOND * seconds / processes)
            async with stage.submitters("four", processes, each, tasks=tasks) as several:
                await several.prepare()
                done = await several.round(seconds)
            found.append(done.rate)
            slow[processes].append(done.p99 / done.p50)
    rows = [
        row(
            NAME,
            "four streams, one process",
            "commands, against one stream",
            "a second",
            rates[1],
            single,
            at_least=0.4,
        )
    ]
    for processes in (2, 4):
        case = f"four streams, {processes} processes"
        rows.append(
            row(NAME, case, "commands, against one process", "a second", rates[processes], rates[1], at_least=0.9)
        )
    for processes, ratios in slow.items():
        rows.append(row(NAME, f"four streams, {processes} processes", "p99 / p50", "", ratios, at_most=10.0))
    return rows


async def hot_stream(stage: Stage, seconds: float) -> list[Row]:
    """All commands on one stream, while another connection holds a snapshot open; and before that, and after."""
    part = min(seconds, 10.0)
    async with stage.submitters("progress", 1, SUBMITTERS, tasks=1) as hot:
        await hot.round(part / 2)  # to warm up
        free = [(await hot.round(part)).rate]
        async with await psycopg.AsyncConnection.connect(stage.url, autocommit=True) as holder:
            await holder.execute((peers.SQL / "hold_snapshot.sql").read_bytes())
            if seconds > part:
                await hot.round(seconds - part)
            held = await hot.round(part)
            await holder.execute(b"ROLLBACK")
        free.append((await hot.round(part)).rate)
    metric = f"commands, a snapshot held for {seconds:.0f} s, against before and after"
    return [row(NAME, "one hot stream", metric, UNIT, [held.rate], free, at_least=0.8)]


async def memory(stage: Stage, commands: int) -> list[Row]:
    """The largest memory in each quarter of so many commands."""
    quarters: list[float] = []
    async with stage.submitters("progress", 1, SUBMITTERS) as one:
        for _ in range(4):
            done, most = 0, 0
            while done < commands / 4:
                found = await one.round(2.0)
                done += found.commands
                most = max(most, found.resident_bytes)
            quarters.append(most / 1e6)
    metric = f"memory in the last quarter of {commands:,} commands, against the second"
    return [row(NAME, "memory", metric, "MB", [quarters[3]], [quarters[1]], at_most=1.05)]
