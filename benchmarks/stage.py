"""What a benchmark runs on: servers of its own, and processes that submit to them."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from benchmarks import peers
from benchmarks.submitters import AGENTS, POOL, Load
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from infrastructure.embedded import EmbeddedServers

LONGEST_LINE = 2**27
"""What a process may tell at once, in bytes."""


@dataclass(frozen=True, slots=True)
class Round:
    """What the processes did together."""

    commands: int
    rate: float
    """Commands a second: of each process in its own time, added up."""
    p50: float
    p99: float
    """Seconds that a command took, whichever process it was of."""
    outcomes: dict[str, int]
    resident_bytes: int


class Submitters:
    """Processes that are ready to submit."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], tenant: str) -> None:
        self._processes = processes
        self.tenant = tenant

    async def prepare(self) -> None:
        await self._tell("prepare")

    async def round(self, seconds: float) -> Round:
        told = [orjson.loads(line) for line in await self._tell(f"go {seconds}")]
        outcomes: dict[str, int] = {}
        for one in told:
            for outcome, count in one["outcomes"].items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        if set(outcomes) - {"accepted"}:
            raise RuntimeError(f"Commands of the benchmark were not accepted: {outcomes}")
        return Round(
            commands=sum(one["commands"] for one in told),
            rate=sum(one["commands"] / one["seconds"] for one in told),
            p50=_percentile(told, 50),
            p99=_percentile(told, 99),
            outcomes=outcomes,
            resident_bytes=max(one["resident_bytes"] for one in told),
        )

    async def _tell(self, line: str) -> list[bytes]:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n".encode())
        return await self.answers()

    async def answers(self) -> list[bytes]:
        async def answer(process: asyncio.subprocess.Process) -> bytes:
            assert process.stdout is not None
            line = await process.stdout.readline()
            if not line:
                raise RuntimeError(f"A process of the benchmark ended ({await process.wait()}).")
            return line

        return list(await asyncio.gather(*map(answer, self._processes)))


class Stage:
    """Embedded servers in a directory of their own, and a tenant."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url

    @asynccontextmanager
    async def submitters(
        self,
        kind: str,
        processes: int,
        submitters: int,
        *,
        tasks: int = 3_200,
        ids: str = "uuid7",
    ) -> AsyncIterator[Submitters]:
        """`kind` is "progress" (each command one event of one task) or "four" (each writes four streams)."""
        tenant = await self.new_tenant()
        async with AsyncExitStack() as stack:
            children = []
            for number in range(processes):
                asked = ("benchmarks.submitters", f"p{number}", kind, str(submitters), str(tasks), ids)
                children.append(await stack.enter_async_context(self.process(tenant, *asked)))
            ready = Submitters(children, tenant)
            await ready.answers()
            yield ready

    @asynccontextmanager
    async def process(self, tenant: str, *module: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A Python process on these servers, which ends when its stdin is closed."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DORA_STATE_")}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=LONGEST_LINE,
            env=kept | {"DORA_STATE_HOME": str(self.home), "DORA_STATE_TENANT": tenant},
        )
        try:
            yield child
        finally:
            if child.stdin is not None:
                child.stdin.close()
            await child.wait()

    @asynccontextmanager
    async def worker(self, tenant: str) -> AsyncIterator[None]:
        """A worker of a tenant, which runs while the block does."""
        async with self.process(tenant, "dora_state", "worker", "--json") as worker:
            assert worker.stdout is not None
            await worker.stdout.readline()
            reading = asyncio.create_task(worker.stdout.read())
            try:
                yield
            finally:
                worker.terminate()
                await reading

    async def new_tenant(self) -> str:
        """With the agents and the pool that all processes share."""
        tenant = f"bench_{uuid4().hex[:8]}"
        settings = load_settings(home=self.home, tenant=tenant, database_url=None, redis_url=None)
        async with open_state_manager(settings, default_actor="bench") as manager:
            load = Load(manager, "shared")
            for number in range(AGENTS):
                await load.register(f"agent-{number}")
            await manager.submit({"type": "CreatePool", "data": POOL})
        return tenant


def _percentile(told: Sequence[Mapping[str, Any]], percent: float) -> float:
    """Of all commands of all processes: each tells an evenly spaced sample of how long its own took."""
    weighed = sorted((taken, one["commands"] / len(one["taken"])) for one in told for taken in one["taken"])
    below, total = 0.0, sum(one["commands"] for one in told)
    for taken, weight in weighed:
        below += weight
        if below >= total * percent / 100:
            return float(taken)
    return 0.0


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="dora-state-bench-") as directory:
        home = Path(directory) / "home"
        servers = EmbeddedServers(home)
        await asyncio.to_thread(servers.start)
        try:
            await peers.set_up(servers.database_url)
            yield Stage(home, servers.database_url)
        finally:
            await asyncio.to_thread(servers.stop)
