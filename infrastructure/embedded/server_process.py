"""One server under our supervisor: started under its lock, stopped in its own way, its log bounded."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .identity import Identity
from .logs import open_log
from .stragglers import seize

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class ServerSpec:
    """What differs between the servers.

    ``prepare`` runs before each start, while the lock (its descriptor is given) proves that no process of
    this server is alive. ``gentle`` ends the server in order, ``firm`` in a hurry but without harm.
    """

    name: str
    command: tuple[str | Path, ...]
    directory: Path
    lock: Path
    log: Path
    prepare: Callable[[int], None]
    gentle: signal.Signals
    firm: signal.Signals


class ServerProcess:
    """A server, from its start to its end; a child of the supervisor."""

    def __init__(self, spec: ServerSpec, identity: Identity) -> None:
        self.spec = spec
        self._identity = identity
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, once nothing is left of the one before. Returns before it takes connections."""
        lock = seize(self.spec.lock, self.spec.name, self.spec.firm)
        try:
            self.spec.prepare(lock)
            with open_log(self.spec.log) as log:
                self._process = subprocess.Popen(
                    self.spec.command,
                    preexec_fn=self._identity.assume(self.spec.directory, self.spec.gentle),
                    # From here on the server and all its children hold the lock, and the supervisor does not.
                    pass_fds=(lock,),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=ENVIRONMENT,
                    start_new_session=True,
                )
        finally:
            os.close(lock)

    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll() if self._process is not None else None

    def begin_stop(self) -> None:
        """Ask it to end in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.spec.gentle)

    def finish_stop(self) -> None:
        """Wait until it and all its children have ended, less gently with time."""
        if self._process is None:
            return
        for seconds, harder in ((_STOP_SECONDS, self.spec.firm), (5.0, signal.SIGKILL)):
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.send_signal(harder)
        self._process.wait()
        os.close(seize(self.spec.lock, self.spec.name, self.spec.firm))
