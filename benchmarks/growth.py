"""How the rate holds on the way to five million events, with ids that rise and with random ones."""

import time

from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage

NAME = "growth"
EVENTS = 5_000_000
QUICK = 100_000
PROCESSES = 2
SUBMITTERS = 64
GOALS = {"uuid7": 0.9, "random": 0.8}


async def run(quick: bool) -> list[Row]:
    rows: list[Row] = []
    for ids, goal in GOALS.items():
        async with open_stage() as stage:
            second, last = await grow(stage, ids, QUICK if quick else EVENTS)
        case = f"command ids {'that rise (UUIDv7)' if ids == 'uuid7' else 'that are random'}"
        metric = f"commands in the last tenth of {QUICK if quick else EVENTS:,}, against the second"
        rows.append(row(NAME, case, metric, "a second", [last], [second], at_least=goal))
    return rows


async def grow(stage: Stage, ids: str, events: int) -> tuple[float, float]:
    """Commands a second, of one event each, in the second and in the last tenth."""
    rates: list[float] = []
    async with stage.submitters("progress", PROCESSES, SUBMITTERS, ids=ids) as two:
        for _ in range(10):
            done, begun = 0, time.perf_counter()
            while done < events / 10:
                done += (await two.round(2.0)).commands
            rates.append(done / (time.perf_counter() - begun))
    return rates[1], rates[-1]
