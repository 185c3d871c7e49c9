"""The supervisor: a small process of our own, the parent of both servers of a home.

It stops them when the last user has left, which the kernel tells it by a lock that every user shares, so a
user that was killed counts as one that left. A server that a signal ended is started again; one that ended
by itself said why in its log, and then the supervisor stops the other, keeps the reason for whoever waits,
and ends. If the supervisor itself is killed, the kernel tells the servers to stop in order
(PR_SET_PDEATHSIG), and the next start waits for them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from . import locks
from .errors import EmbeddedServerError
from .home import Home, home_not_usable
from .identity import choose_identity
from .logs import last_lines, trim
from .postgres import postgres_spec
from .server_process import ServerProcess
from .supervisor_state import FAILED, LAUNCHED, PREPARING, SupervisorState, write_state
from .valkey import valkey_spec
from .wheels import Programs

_POLL_SECONDS = 0.1
_TRIM_EVERY_POLLS = 100
_RESTARTS = 5
_RESTARTS_WITHIN_SECONDS = 60.0
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Supervisor:
    """Runs both servers of one home until nobody uses them."""

    def __init__(self, home: Home, programs: Programs) -> None:
        self._home = home
        self._programs = programs
        # Opened once: if the home is deleted meanwhile, the users' locks are still those of these files.
        self._start_lock = locks.open_lock(home.start_lock)
        self._users_lock = locks.open_lock(home.users_lock)
        self._servers: list[ServerProcess] = []
        self._restarts: list[float] = []

    def run(self) -> None:
        """Start both servers, watch them, stop them; an error says why that could not go on."""
        write_state(self._home, SupervisorState(PREPARING))
        identity = choose_identity(self._home, self._programs)
        _tell(f"The servers run as {identity.name}.")
        specs = (
            valkey_spec(self._home, self._programs),
            postgres_spec(self._home, self._programs, identity),
        )
        try:
            for spec in specs:
                server = ServerProcess(spec, identity)
                self._servers.append(server)
                server.launch()
            write_state(self._home, SupervisorState(LAUNCHED))
            self._watch()
        finally:
            self._stop()

    def _watch(self) -> None:
        polls = 0
        while not self._is_unused():
            received = signal.sigtimedwait(_ENDING | {signal.SIGCHLD}, _POLL_SECONDS)
            if received is not None and received.si_signo in _ENDING:
                return
            for server in self._servers:
                self._look_after(server)
            polls += 1
            if polls % _TRIM_EVERY_POLLS == 0:
                for server in self._servers:
                    trim(server.spec.log)

    def _is_unused(self) -> bool:
        """Whether the last user has left; if so, nobody can start until this process has ended.

        The users' lock is only ever tried alone by whoever holds the start lock, so no try is mistaken for
        a user, and no user can come between the answer and the end.
        """
        if not locks.try_exclusive(self._start_lock):
            return False
        if locks.try_exclusive(self._users_lock):
            return True
        locks.unlock(self._start_lock)
        return False

    def _look_after(self, server: ServerProcess) -> None:
        exit_code = server.exit_code()
        if exit_code is None:
            return
        now = time.monotonic()
        self._restarts = [then for then in self._restarts if now - then < _RESTARTS_WITHIN_SECONDS]
        if exit_code >= 0 or len(self._restarts) >= _RESTARTS:
            raise _ended(server, exit_code)
        _tell(f"{server.spec.name} was ended by signal {-exit_code}; it is started again.")
        self._restarts.append(now)
        server.launch()

    def _stop(self) -> None:
        for server in self._servers:
            server.begin_stop()
        for server in self._servers:
            server.finish_stop()


def _ended(server: ServerProcess, exit_code: int) -> EmbeddedServerError:
    lines = last_lines(server.spec.log)
    how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}, again and again"
    said = next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), (lines or [""])[-1])
    return EmbeddedServerError(
        "embedded.server_ended",
        f"{server.spec.name} ended by itself ({how}: {said.strip()}): mend that and start again; its log is "
        f"{server.spec.log}.",
        {
            "server": server.spec.name,
            "exit_code": exit_code,
            "log": str(server.spec.log),
            "last_lines": lines,
        },
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Take over the supervisor's lock from the starter, leave it and its terminal, and run."""
    parser = argparse.ArgumentParser(prog="dora-state supervisor")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--postgres-bin", type=Path, required=True)
    parser.add_argument("--valkey-server", type=Path, required=True)
    parser.add_argument("--lock", type=int, required=True, help="descriptor that holds the supervisor's lock")
    options = parser.parse_args(arguments)
    os.set_inheritable(options.lock, False)
    # Not a child of the starter, which may live long and would have to bury it; the session is its own already.
    if os.fork() != 0:
        os._exit(0)
    os.umask(0o077)
    # A parent may have told its children to ignore it, and then nobody's end would be told.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, _ENDING | {signal.SIGCHLD})
    home = Home(options.home)
    try:
        Supervisor(home, Programs(options.postgres_bin, options.valkey_server)).run()
    except EmbeddedServerError as error:
        _give_up(home, error)
    except OSError as error:
        traceback.print_exc()
        _give_up(home, home_not_usable(home, error))


def _tell(word: str) -> None:
    """To the supervisor's log."""
    sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC {word}\n")
    sys.stdout.flush()


def _give_up(home: Home, failure: EmbeddedServerError) -> None:
    _tell(failure.message)
    _tell(f"The facts: {failure.facts}")
    write_state(home, SupervisorState(FAILED, failure))
    sys.exit(1)


if __name__ == "__main__":
    main()
