"""A process that submits at a steady rate, and notes when each command was answered, at which position.

`python -m benchmarks.pacing TASKS` makes its tasks; then for each line `RATE SECONDS` on stdin it submits, each command
at its time whether or not the ones before are answered, and tells `[[task, position, answered at], ...]` in one line.
Times are of the machine's one monotonic clock.
"""

import asyncio
import itertools
import sys
import time

import orjson

from benchmarks.submitters import Load, progress
from commands.envelope import Envelope
from commands.messages import Command
from dora_state.memory import spare_the_collector
from dora_state.platform import new_id
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager

Told = list[tuple[str, int, float]]


async def steadily(manager: StateManager, tasks: list[str], mark: str, rate: float, seconds: float) -> Told:
    told: Told = []

    async def submit(command: Command) -> None:
        one = new_id()
        answer = await manager.submit(Envelope(one, command, "bench", str(one)))
        if answer.position is None:
            raise RuntimeError(f"A command of the benchmark was not accepted: {answer.problem}")
        told.append((command.stream_id.removeprefix("task-"), answer.position, time.monotonic()))

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, command in zip(range(round(rate * seconds)), progress(tasks, mark), strict=False):
            ahead = begun + number / rate - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            group.create_task(submit(command))
    return told


async def main(count: int) -> None:
    async with open_state_manager(load_settings(), default_actor="bench") as manager:
        load = Load(manager, "paced")
        await load.register("paced-a")
        tasks = await load.make_tasks(count, running=True)
        spare_the_collector()
        print("ready", flush=True)
        for number in itertools.count():
            line = (await asyncio.to_thread(sys.stdin.readline)).split()
            if not line:
                return
            told = await steadily(manager, tasks, f"round {number}", float(line[0]), float(line[1]))
            print(orjson.dumps(told).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
