"""What others do in the same time on the same server: pgbench, psycopg alone, the eventsourcing library."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import psycopg

from infrastructure.embedded.wheels import find_programs

SQL = Path(__file__).parent / "sql"


async def set_up(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute((SQL / "peer_setup.sql").read_bytes())


async def pgbench(url: str, clients: int, seconds: float) -> float:
    """Prepared one-row INSERTs a second, as pgbench says."""
    program = find_programs().postgres_bin / "pgbench"
    options = [
        "--no-vacuum",
        "--protocol=prepared",
        "--jobs=1",
        f"--client={clients}",
        f"--time={max(1, round(seconds))}",
    ]
    arguments = [str(program), *options, f"--file={SQL / 'peer_insert.sql'}", url]
    done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench told no rate: {done.stdout[-300:]}")
    return float(found[1])


async def psycopg_inserts(url: str, seconds: float) -> list[float]:
    """How long each one-row INSERT and commit took, one after the other, in seconds."""
    statement = (SQL / "one_row.sql").read_bytes()
    taken: list[float] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            await connection.execute(statement, (f"task-t-{len(taken) % 3200}", len(taken), b"x" * 80, b"x" * 235))
            taken.append(time.perf_counter() - begun)
    return taken


async def eventsourcing_saves(url: str, threads: int, seconds: float) -> float:
    """Events a second that an application of the eventsourcing library saves, on its own PostgreSQL recorder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.eventsourcing_peer", str(threads), str(seconds)),
        stdout=subprocess.PIPE,
        env=_environment(url, threads),
    )
    out, _ = await process.communicate()
    return float(orjson.loads(out)["a_second"])


def eventsourcing_folds(url: str, events: int) -> AbstractAsyncContextManager[Callable[[], Awaitable[float]]]:
    """Ask for events a second of one `repository.get` of the library, of an aggregate of so many events."""
    return _asked(url, "benchmarks.eventsourcing_fold", events)


def eventsourcing_projections(
    url: str, tasks: int, life: int
) -> AbstractAsyncContextManager[Callable[[], Awaitable[float]]]:
    """Ask for events a second of the library's projection runner, of so many tasks of so many events each."""
    return _asked(url, "benchmarks.eventsourcing_projection", tasks, life)


@asynccontextmanager
async def _asked(url: str, module: str, *numbers: int) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """A peer in a process of its own, which answers each line with its rate."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *map(str, numbers)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(url, threads=1),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told, heard = process.stdin, process.stdout

    async def ask() -> float:
        told.write(b"go\n")
        return float(orjson.loads(await heard.readline())["a_second"])

    try:
        await heard.readline()
        yield ask
    finally:
        told.close()
        await process.wait()


def _environment(url: str, threads: int) -> dict[str, str]:
    parts = urlsplit(url)
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parse_qs(parts.query).get("host", [parts.hostname or ""])[0],
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
        "POSTGRES_POOL_SIZE": str(threads),
    }
    return os.environ | environment
