"""The house under torture: its servers, its processes, and its clients, each of which can be killed and begun again."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil
import psycopg

from infrastructure.database import Role
from infrastructure.embedded import EmbeddedServerError, EmbeddedServers
from infrastructure.migrations import migrate
from tests.support.command_line import ROOT, CommandLine
from tests.support.postgres import connected
from tests.support.postgres_proxy import Proxy
from tests.support.redis_server import RedisServer, free_port
from tests.support.xes_logs import LoggedEvent, LoggedTrace, at, xes
from tests.torture.client import READERS, WRITERS
from tests.torture.writers import Place

TENANT = "torture"
LEAVE_SECONDS = 60.0


class Part:
    """A process that goes on until it is told to stop: whoever kills it has it begun again."""

    def __init__(self, name: str, begin: Callable[[], subprocess.Popen[bytes]], *, is_client: bool = False) -> None:
        self.name = name
        self.is_client = is_client
        self._begin = begin
        self._process: subprocess.Popen[bytes] | None = None
        self.begun = 0

    def start(self) -> None:
        self.kill()
        self._process = self._begin()
        self.begun += 1

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                with suppress(BrokenPipeError):
                    self._process.stdin.close()

    def ask_to_leave(self) -> None:
        """Clients leave at the end of their stdin, all others by a signal."""
        assert self._process is not None
        if self.is_client:
            assert self._process.stdin is not None
            self._process.stdin.close()
        else:
            self._process.send_signal(signal.SIGTERM)

    async def leave(self) -> int:
        """How it ended. Raises TimeoutError for one that does not."""
        assert self._process is not None
        async with asyncio.timeout(LEAVE_SECONDS):
            while self._process.poll() is None:  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.02)
        return int(self._process.returncode)


class Stage:
    """Everything that runs. `errors` is what processes wrote to stderr, by their names."""

    def __init__(self, home: Path, servers: EmbeddedServers, proxy: Proxy, cache: RedisServer, broker: RedisServer):
        self.home = home
        self.servers = servers
        self.proxy = proxy
        self.cache = cache
        self.broker = broker
        self.port = free_port()
        self.place = Place(proxy.url, cache.url, broker.url, f"http://127.0.0.1:{self.port}", TENANT)
        self.histories = home / "histories"
        self.errors = home / "errors"
        for directory in (self.histories, self.errors):
            directory.mkdir()
        self.older = home / "older.xes"
        """The log of an older system, for imports."""
        self.older.write_text(_older())
        self.line = self._line(proxy.url)
        self.ahead = 0
        """Seconds that the log's clock is ahead of the machine's."""
        self.parts: dict[str, list[Part]] = {"api": [], "worker": [], "queue": [], "client": []}

    def _line(self, database_url: str) -> CommandLine:
        return CommandLine(
            self.home / "h",
            DORA_STATE_DATABASE_URL=database_url,
            DORA_STATE_REDIS_URL=self.cache.url,
            DORA_STATE_BROKER_URL=self.broker.url,
            DORA_STATE_TENANT=TENANT,
            DORA_STATE_WORKER_INTERVAL="0.2",
            DORA_STATE_POOL_SIZE="3",
        )

    def begin(self, seed: int) -> None:
        self._add("api", "api", ["serve", "--port", str(self.port)])
        for number in (1, 2):
            self._add("worker", f"worker-{number}", ["worker"])
        self._add("queue", "queue", ["worker", "--role", "queue"])
        for number, kind in enumerate((*WRITERS, *READERS)):
            self._add_client(kind, f"{kind}-{seed}", seed * 100 + number)

    def _add(self, group: str, name: str, arguments: list[str]) -> None:
        def begin() -> subprocess.Popen[bytes]:
            with (self.errors / name).open("ab") as errors:
                return self.line.start(*arguments, stdout=subprocess.DEVNULL, stderr=errors.fileno())

        self._start(group, Part(name, begin))

    def _add_client(self, kind: str, name: str, seed: int) -> None:
        def begin() -> subprocess.Popen[bytes]:
            words = [sys.executable, "-m", "tests.torture.client", kind, name, str(seed), str(self.histories / name)]
            with (self.errors / name).open("ab") as errors:
                process = subprocess.Popen(
                    words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
                )
            assert process.stdin is not None
            process.stdin.write(orjson.dumps(asdict(self.place)) + b"\n")
            process.stdin.flush()
            return process

        self._start("client", Part(name, begin, is_client=True))

    def _start(self, group: str, part: Part) -> None:
        part.start()
        self.parts[group].append(part)

    @property
    def all_parts(self) -> list[Part]:
        return [part for group in self.parts.values() for part in group]

    @property
    def postmaster(self) -> psutil.Process:
        """Raises psutil.NoSuchProcess, FileNotFoundError, ValueError where it is away."""
        told = (self.home / "h" / "pgdata" / "postmaster.pid").read_text()
        return psutil.Process(int(told.partition("\n")[0]))  # it is empty while it is written

    async def connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Past the proxy. Raises psycopg.OperationalError."""
        return await psycopg.AsyncConnection.connect(self.servers.database_url, autocommit=True, connect_timeout=5)

    async def set_clock(self, step: int) -> None:
        """The log's clock, so many seconds from what it is to be. Raises psycopg.Error, LogError."""
        async with connected(self.servers.database_url, TENANT, Role.MIGRATOR) as connection:
            tells = f"clock_timestamp() + make_interval(secs => {self.ahead + step})"
            await connection.execute(
                "CREATE OR REPLACE FUNCTION log_clock() RETURNS timestamptz LANGUAGE sql VOLATILE"
                f" AS $$ SELECT {tells} $$".encode()
            )

    async def come_to_a_month_in(self, seconds: int) -> None:
        """From now on the log's clock is ahead. Raises psycopg.Error, LogError."""
        self.ahead = _seconds_to_next_month() - seconds
        await self.set_clock(0)

    async def keep_up(self) -> None:
        """For ever: what ended by itself or was killed is begun again, as whoever runs a house sees to."""
        while True:
            with suppress(EmbeddedServerError):  # killed while it began: once more
                await asyncio.to_thread(self.servers.bring_back)
            for part in self.all_parts:
                if part.has_ended:
                    part.start()
            await asyncio.sleep(0.1)


@asynccontextmanager
async def open_stage(seed: int) -> AsyncIterator[Stage]:
    """A house that runs, in a directory deleted at the end."""
    home = Path(tempfile.mkdtemp(prefix="dora-state-torture-"))
    os.chmod(home, 0o755)  # the servers run as a user of their own where root runs this
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        for name in ("proxy", "cache", "broker"):
            (home / name).mkdir()
        servers = stack.enter_context(EmbeddedServers(home / "h", say=lambda _: None))
        cache = stack.enter_context(RedisServer(home / "cache"))
        broker = stack.enter_context(RedisServer(home / "broker", keeps=True))
        proxy = await stack.enter_async_context(Proxy(servers.database_url, home / "proxy").serving())
        await migrate(servers.database_url, TENANT)
        stage = Stage(home, servers, proxy, cache, broker)
        stack.callback(_kill_all, stage)
        stage.begin(seed)
        yield stage


def _kill_all(stage: Stage) -> None:
    for part in stage.all_parts:
        part.kill()


def _older() -> str:
    steps = [(name, state) for name in ("read", "decide") for state in ("schedule", "start", "complete")]
    return xes(
        *(
            LoggedTrace(
                f"case-{number}",
                tuple(LoggedEvent(name, state, at(60 * step)) for step, (name, state) in enumerate(steps)),
            )
            for number in range(50)
        )
    )


def _seconds_to_next_month() -> int:
    now = datetime.now(UTC)
    begin = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int((begin - now).total_seconds())
