"""A Redis of a test's own, to be stopped, filled and killed: the embedded Valkey, or what an environment names.

DORA_STATE_TEST_REDIS_SERVER is the path of another server, such as Debian's redis-server.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from infrastructure.embedded.wheels import find_programs


class RedisServer:
    """On a socket in a directory, or with `cluster` on a port, as the one node that has all slots."""

    def __init__(self, directory: Path, *, cluster: bool = False, keeps: bool = False) -> None:
        """`keeps`: what it holds is on the disk before it is answered, and is there after a start."""
        self._directory = directory
        self._cluster = cluster
        self._keeps = keeps
        self._port = free_port() if cluster else 0
        self._socket = directory / "redis.sock"
        self.url = f"redis://127.0.0.1:{self._port}/0" if cluster else f"unix://{self._socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Empty, whatever it held before, unless it keeps that."""
        program = os.environ.get("DORA_STATE_TEST_REDIS_SERVER") or find_programs().valkey_server
        settings = {"port": str(self._port), "save": "", "appendonly": "no", "dir": str(self._directory)}
        if self._keeps:
            settings |= {"appendonly": "yes", "appendfsync": "always"}
        if self._cluster:
            settings |= {"bind": "127.0.0.1", "cluster-enabled": "yes", "cluster-port": str(free_port())}
            (self._directory / "nodes.conf").unlink(missing_ok=True)
        else:
            settings |= {"unixsocket": str(self._socket)}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([program, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._await()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def client(self) -> Iterator[Redis]:
        client = Redis.from_url(self.url)
        try:
            yield client
        finally:
            client.close()

    def _await(self) -> None:
        deadline = time.monotonic() + 30
        with self.client() as client:
            while time.monotonic() < deadline:
                with suppress(RedisError, OSError):
                    client.ping()
                    if not self._cluster or self._has_slots(client):
                        return
                time.sleep(0.01)
        raise TimeoutError((self._directory / "redis.log").read_text())

    def _has_slots(self, client: Redis) -> bool:
        with suppress(RedisError):
            execute(client, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        return b"cluster_state:ok" in execute(client, "CLUSTER", "INFO")


def execute(client: Redis, *words: str) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py has no types for it


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
