"""Commands a second through the whole write side, against pgbench's bare one-row INSERT on the same server.

Each command is a ReportProgress from envelope to durable answer, with 64 submitters in one process; the
peer inserts one prepared row a transaction from 64 connections. Rounds alternate, medians count.
"""

import asyncio
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from benchmarks.rows import Row
from commands.envelope import Envelope
from commands.messages.task import ReportProgress
from dora_state.platform import new_id
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.embedded.wheels import find_programs

SUBMITTERS = 64
TASKS = 640
ROUNDS = 5
SECONDS = 4.0
PEER_SETUP = Path(__file__).parent / "sql" / "peer_setup.sql"
PEER_INSERT = Path(__file__).parent / "sql" / "peer_insert.sql"


async def bench_append(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="dora-state-bench-") as directory:
        settings = Settings(home=Path(directory), tenant=f"bench_{uuid4().hex[:8]}", database_url=None, redis_url=None)
        async with open_state_manager(settings, default_actor="bench") as manager:
            await _prepare(manager)
            url = manager.platform.servers.database_url
            await _pgbench(url, PEER_SETUP, "--transactions=1", "--client=1")
            ours, peers = [], []
            for number in range(rounds):
                ours.append(await _round(manager, seconds, number))
                peers.append(await _pgbench(url, PEER_INSERT, f"--time={seconds:.0f}", f"--client={SUBMITTERS}"))
    value, against = statistics.median(ours), statistics.median(peers)
    case = f"{SUBMITTERS} submitters, one process"
    return [Row("append", case, "commands", value, "a second", against, round(value / against, 3))]


async def _prepare(manager: StateManager) -> None:
    """Running tasks, spread over workflows, all with one agent of enough slots."""
    agent = {"agent_id": "a", "agent_type": "bench", "max_concurrent_tasks": TASKS, "state": "healthy"}
    submissions: list[dict[str, object]] = [{"type": "RegisterAgent", "data": agent}]
    for number in range(TASKS):
        workflow, task = {"workflow_id": f"w-{number // 10}"}, {"task_id": f"t-{number}"}
        if number % 10 == 0:
            submissions.append({"type": "CreateWorkflow", "data": workflow | {"definition_id": "bench"}})
            submissions.append({"type": "StartWorkflow", "data": workflow})
        submissions.append({"type": "AddTask", "data": workflow | task | {"definition_id": "bench"}})
        submissions.append({"type": "ScheduleTask", "data": task})
        submissions.append({"type": "AssignTask", "data": task | {"agent_id": "a", "reason": "bench"}})
        submissions.append({"type": "StartTask", "data": task})
    for answer in await manager.submit_many(submissions):
        if not answer.ok:
            raise RuntimeError(f"The benchmark could not be prepared: {answer.problem}")


async def _round(manager: StateManager, seconds: float, number: int) -> float:
    done = 0
    until = time.perf_counter() + seconds

    async def submit(submitter: int) -> None:
        nonlocal done
        step = 0
        while time.perf_counter() < until:
            step += 1
            task = f"t-{(submitter + step * SUBMITTERS) % TASKS}"
            command = ReportProgress(task_id=task, note=f"round {number}, submitter {submitter}, step {step}")
            command_id = new_id()
            answer = await manager.submit(Envelope(command_id, command, "bench", str(command_id)))
            if answer.outcome != "accepted":
                raise RuntimeError(f"A command of the benchmark was {answer.outcome}: {answer.problem}")
            done += 1

    begun = time.perf_counter()
    await asyncio.gather(*(submit(submitter) for submitter in range(SUBMITTERS)))
    return done / (time.perf_counter() - begun)


async def _pgbench(url: str, script: Path, *options: str) -> float:
    """Transactions a second, as pgbench says."""
    program = find_programs().postgres_bin / "pgbench"
    arguments = [str(program), "--no-vacuum", "--protocol=prepared", "--jobs=1", f"--file={script}", *options, url]
    done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench told no rate: {done.stdout[-300:]}")
    return float(found[1])
