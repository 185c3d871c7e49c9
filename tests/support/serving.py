"""A server in a process of its own, as operators run it, or in this one, on the servers of the tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from dora_state.access.opening import open_access
from dora_state.http.serving import address, listening, make_server, run
from dora_state.state_manager import StateManager
from infrastructure.migrations import drop_tenant, migrate
from tests.support.command_line import ROOT, CommandLine
from tests.support.working import WorkerProcess


@asynccontextmanager
async def served(manager: StateManager, port: int = 0) -> AsyncIterator[str]:
    """A server on a port of its own, as long as the block runs."""
    stop = asyncio.Event()
    platform = manager.platform
    async with open_access(platform.settings, platform.servers) as access:
        with listening("127.0.0.1", port) as listener:
            serving = asyncio.create_task(run(make_server(manager, access), listener, stop))
            try:
                yield address(listener)
            finally:
                stop.set()
                await serving


class ServerProcess(WorkerProcess):
    """One `dora-state serve`."""

    @property
    def url(self) -> str:
        return self.wait_for("Listening on").removeprefix("Listening on ").partition(",")[0]


class Serving:
    """Starts servers and workers of one tenant."""

    def __init__(self, home: Path, database_url: str, redis_url: str, tenant: str, **settings: str) -> None:
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "TENANT": tenant, "WORKER_INTERVAL": "0.2"}
        variables = {f"DORA_STATE_{name}": value for name, value in (given | settings).items()}
        self.line = CommandLine(home, directory=ROOT, **variables)
        self._database_url = database_url
        self._tenant = tenant

    @contextmanager
    def __call__(self, *options: str) -> Iterator[ServerProcess]:
        """A server that listens when the block begins, and at its end is gone in any case."""
        server = ServerProcess(self.line.begin("serve", *options))
        try:
            server.wait_for("Listening on")
            yield server
        finally:
            server.leave_nothing()

    @contextmanager
    def worker(self) -> Iterator[WorkerProcess]:
        worker = WorkerProcess(self.line.begin("worker", "--role", "projector"))
        try:
            worker.wait_for("is running")
            yield worker
        finally:
            worker.leave_nothing()

    @contextmanager
    def tenant(self) -> Iterator[None]:
        """There while the block runs."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, migrate(self._database_url, self._tenant)).result()
            try:
                yield
            finally:
                thread.submit(asyncio.run, drop_tenant(self._database_url, self._tenant)).result()
