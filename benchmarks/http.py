"""What HTTP costs: commands one by one and in arrays, cached reads, streams of events; against the bare framework."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import psutil

from benchmarks.http_server import WORKFLOW
from benchmarks.rows import Row, row
from benchmarks.stage import Stage, open_stage

NAME = "http"
CONNECTIONS = 64
STREAMS = 1_000
TASKS = 3_200
COMMANDS = "/v1/commands"
CACHED = f"/v1/workflows/{WORKFLOW}?consistency=cached"


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that answers each line with one."""

    process: asyncio.subprocess.Process

    async def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"A process of the benchmark ended ({await self.process.wait()}).")
        told: dict[str, Any] = orjson.loads(line)
        return told

    @property
    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


class Rounds:
    """The client, and what it asks."""

    def __init__(self, client: Peer, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    async def load(self, what: str, port: int, of: list[str], connections: int = CONNECTIONS) -> dict[str, Any]:
        asked = {"what": what, "port": port, "of": of, "connections": connections, "seconds": self._seconds}
        told = await self._client.ask(orjson.dumps(asked).decode())
        if told["failed"]:
            raise RuntimeError(f"{told['failed']} requests of the benchmark were not answered well ({what}).")
        return told

    async def streams(self, what: str, port: int, count: int = 0) -> None:
        await self._client.ask(orjson.dumps({"what": what, "port": port, "connections": count}).decode())


async def run(quick: bool) -> list[Row]:
    seconds, rounds = (1.0, 1) if quick else (5.0, 5)
    async with open_stage() as stage, _peers(stage) as (server, ours, bare, client):
        load = Rounds(client, seconds)
        there, bare_port = ours["port"], bare["port"]
        singles, arrays, bare_posts, bare_arrays = [], [], [], []
        targets = [COMMANDS, *ours["tasks"]]
        for _ in range(rounds):
            singles.append(await load.load("one", there, targets))
            bare_posts.append(await load.load("one", bare_port, ["/bare", *ours["tasks"]]))
            arrays.append(await load.load("hundred", there, targets, 8))
            bare_arrays.append(await load.load("hundred", bare_port, ["/bare", *ours["tasks"]], 8))
        before = server.resident_bytes
        await load.streams("idle", there, STREAMS)
        with_streams = [await load.load("one", there, targets) for _ in range(rounds)]
        grown = server.resident_bytes - before
        await load.streams("close", there)
        await server.ask("project")
        cached, bare_gets = [], []
        for _ in range(rounds):
            cached.append(await load.load("get", there, [CACHED]))
            bare_gets.append(await load.load("get", bare_port, ["/bare/read-me"]))
        await server.ask("rest")
    rates = _rates(singles)
    return [
        row(NAME, "single commands, 64 connections", "rate", "/s", rates, at_least=2_500),
        row(NAME, "single commands, against bare", "rate", "/s", rates, _rates(bare_posts)),
        row(NAME, "single commands, 64 connections", "p99", "ms", [1000 * one["p99"] for one in singles]),
        row(NAME, "arrays of 100, 8 connections", "commands", "/s", _rates(arrays, 100), at_least=8_000),
        row(NAME, "arrays of 100, against bare", "commands", "/s", _rates(arrays, 100), _rates(bare_arrays, 100)),
        row(NAME, "cached reads, 64 connections", "rate", "/s", _rates(cached), at_least=4_000),
        row(NAME, "cached reads, against bare", "rate", "/s", _rates(cached), _rates(bare_gets), at_least=0.5),
        row(NAME, "1,000 idle streams", "memory", "MB", [grown / 1e6], at_most=300),
        row(NAME, "single commands beside them", "rate", "/s", _rates(with_streams), rates, at_least=0.8),
    ]


@asynccontextmanager
async def _peers(stage: Stage) -> AsyncIterator[tuple[Peer, dict[str, Any], dict[str, Any], Peer]]:
    tenant = await stage.new_tenant()
    async with (
        stage.process(tenant, "benchmarks.http_server", "ours", str(TASKS)) as ours,
        stage.process(tenant, "benchmarks.http_client") as client,
    ):
        server = Peer(ours)
        told = await server.hear()
        async with stage.process(tenant, "benchmarks.http_server", "bare", str(told["document_bytes"])) as bare:
            yield server, told, await Peer(bare).hear(), Peer(client)


def _rates(rounds: list[dict[str, Any]], each: int = 1) -> list[float]:
    return [each * one["rate"] for one in rounds]
