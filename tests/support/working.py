"""Workers in processes of their own, as operators run them, on the servers of the tests."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command_line import ROOT, CommandLine, Ended
from tests.support.warm_line import Forked


class WorkerProcess:
    """One `dora-state worker`. `said` is what it told so far, a line each."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked) -> None:
        self._process = process
        self.said: list[str] = []
        self._is_silent = False
        self._told = threading.Condition()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._told:
                self.said.append(line.decode().rstrip())
                self._told.notify_all()
        with self._told:
            self._is_silent = True
            self._told.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, words: str, seconds: float = 60.0) -> str:
        """The line that has these words, once it was told; who has ended will not tell it."""

        def found() -> str | None:
            return next((line for line in self.said if words in line), None)

        with self._told:
            self._told.wait_for(lambda: found() or self._is_silent, seconds)
            line = found()
        assert line is not None, self.said
        return line

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> Ended:
        """How it ended, after a signal if one is given."""
        if number is not None:
            self._process.send_signal(number)
        code = self._process.wait(60)
        self._listening.join(60)
        return Ended(code, "", "\n".join(self.said))

    def leave_nothing(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listening.join(60)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


class Workers:
    """Starts workers of one tenant; settings by the names of their variables, without DORA_STATE_."""

    def __init__(self, home: Path, database_url: str, redis_url: str | None, tenant: str, **settings: str) -> None:
        given = {"DATABASE_URL": database_url, "TENANT": tenant, "WORKER_INTERVAL": "0.2"} | settings
        if redis_url is not None:
            given["REDIS_URL"] = redis_url
        variables = {f"DORA_STATE_{name}": value for name, value in given.items()}
        self.line = CommandLine(home, directory=ROOT, **variables)

    @contextmanager
    def __call__(self, *roles: str) -> Iterator[WorkerProcess]:
        """A worker that runs when the block begins, and at its end is gone in any case."""
        chosen = [argument for role in roles for argument in ("--role", role)]
        worker = WorkerProcess(self.line.begin("worker", *chosen))
        try:
            worker.wait_for("is running")
            yield worker
        finally:
            worker.leave_nothing()


def is_stopped(pid: int) -> bool:
    """Whether the kernel has stopped a process, as SIGSTOP asks for."""
    return os.path.exists(f"/proc/{pid}") and ") T " in Path(f"/proc/{pid}/stat").read_text()
