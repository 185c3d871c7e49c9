"""A process that submits commands as fast as they are answered: `python -m benchmarks.submitters` and a parent.

The parent writes a line `go SECONDS`, the process answers with a line of JSON about that round.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterator, Mapping
from uuid import UUID, uuid4

import orjson

from commands.envelope import Envelope
from commands.messages import Command
from commands.messages.task import AssignTask, CancelTask, ReportProgress
from dora_state.memory import spare_the_collector
from dora_state.platform import new_id
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.machine import memory_vitals

TASKS_OF_A_WORKFLOW = 8
AGENTS = 28
SAMPLES = 1_000
"""How many of the times that commands took are told, evenly spaced by rank."""
POOL = {"pool_id": "pool", "total": {"cpu": "1000000"}}


class Load:
    """What one process submits. Names are its own, but for the agents and the pool that all share."""

    def __init__(self, manager: StateManager, name: str) -> None:
        self._manager = manager
        self._name = name
        self._made = itertools.count()

    async def make_tasks(self, count: int, *, running: bool = False) -> list[str]:
        """Scheduled tasks, eight to a workflow; or running ones, each with the one agent of this process."""
        tasks: list[str] = []

        async def workflow() -> None:
            workflow_id = f"{self._name}-w{next(self._made)}"
            about = {"workflow_id": workflow_id}
            await self._give("CreateWorkflow", about | {"definition_id": "bench", "on_task_failure": "continue"})
            await self._give("StartWorkflow", about)
            for number in range(TASKS_OF_A_WORKFLOW):
                task = {"task_id": f"{workflow_id}-t{number}"}
                needs: dict[str, object] = {} if running else {"resource_requirements": {"cpu": "2"}}
                await self._give("AddTask", about | task | needs | {"definition_id": "bench"})
                await self._give("ScheduleTask", task)
                if running:
                    await self._give("AssignTask", task | {"agent_id": f"{self._name}-a", "reason": "bench"})
                    await self._give("StartTask", task)
                tasks.append(task["task_id"])

        left = -(-count // TASKS_OF_A_WORKFLOW)
        while left > 0:
            await asyncio.gather(*(workflow() for _ in range(min(left, 64))))
            left -= 64
        return tasks

    async def _give(self, name: str, data: Mapping[str, object]) -> None:
        answer = await self._manager.submit({"type": name, "data": data})
        if not answer.ok:
            raise RuntimeError(f"The benchmark could not be prepared: {answer.problem}")

    async def register(self, agent_id: str) -> None:
        about = {"agent_id": agent_id, "agent_type": "bench", "max_concurrent_tasks": 1_000_000, "state": "healthy"}
        await self._give("RegisterAgent", about)


def progress(tasks: list[str], mark: str) -> Iterator[Command]:
    """One event each; what is noted is always new."""
    for step in itertools.count():
        for task_id in tasks:
            yield ReportProgress(task_id=task_id, note=f"{mark}, step {step}")


def four_streams(tasks: list[str], mark: str) -> Iterator[Command]:
    """Each writes its task, the task's workflow, one of 28 agents, and the one pool."""
    for place, task_id in enumerate(tasks):
        yield AssignTask(task_id=task_id, agent_id=f"agent-{place % AGENTS}", reason=mark, pool_id="pool")
        yield CancelTask(task_id=task_id, reason=mark)


def command_id(kind: str) -> UUID:
    return uuid4() if kind == "random" else new_id()


async def run_round(
    manager: StateManager, commands: list[Iterator[Command]], seconds: float, ids: str
) -> dict[str, object]:
    taken: list[float] = []
    outcomes: dict[str, int] = {}
    until = time.perf_counter() + seconds
    is_over = False

    async def submit(mine: Iterator[Command]) -> None:
        nonlocal is_over
        for command in mine:
            begun = time.perf_counter()
            if begun >= until or is_over:
                return
            one = command_id(ids)
            answer = await manager.submit(Envelope(one, command, "bench", str(one)))
            taken.append(time.perf_counter() - begun)
            outcomes[answer.outcome] = outcomes.get(answer.outcome, 0) + 1
        is_over = True  # whoever has nothing left ends the round of all, so that all of it was measured under one load

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(submit, commands))
    lasted = time.perf_counter() - begun
    return {
        "commands": len(taken),
        "seconds": lasted,
        "cpu_seconds": time.process_time() - cpu,
        "taken": sorted(taken)[:: max(1, len(taken) // SAMPLES)],
        "outcomes": outcomes,
        "resident_bytes": memory_vitals().own_bytes or 0,
    }


async def main(name: str, kind: str, submitters: int, tasks: int, ids: str) -> None:
    async with open_state_manager(load_settings(), default_actor="bench") as manager:
        load = Load(manager, name)
        if kind != "four":
            await load.register(f"{name}-a")
        made = [] if kind == "four" else await load.make_tasks(tasks, running=True)
        spare_the_collector()
        print("ready", flush=True)
        for number in itertools.count():
            line = (await asyncio.to_thread(sys.stdin.readline)).split()
            if not line:
                return
            if line[0] == "prepare":
                made = await load.make_tasks(tasks)
                print("ready", flush=True)
                continue
            mine = [made[first::submitters] or made for first in range(submitters)]
            source = four_streams if kind == "four" else progress
            commands = [source(some, f"round {number}, submitter {place}") for place, some in enumerate(mine)]
            result = await run_round(manager, commands, float(line[1]), ids)
            print(orjson.dumps(result).decode(), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
