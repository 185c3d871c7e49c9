"""`EmbeddedServers`: what a process of a home holds while it uses the home's servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from . import locks
from .errors import EmbeddedServerError
from .home import Home, home_not_usable
from .logs import last_lines, open_log, trim
from .postgres import DATABASE, OWNER
from .readiness import what_is_awaited
from .supervisor_state import LAUNCHED, SupervisorState, read_state
from .wheels import Programs, find_programs

_PAUSE_SECONDS = 0.02
_QUIET_SECONDS = 2.0
_STOP_SECONDS = 120.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def _on_stderr(word: str) -> None:
    sys.stderr.write(f"{word}\n")
    sys.stderr.flush()


class EmbeddedServers:
    """A real PostgreSQL 18 and a real Valkey in a home, shared by all processes that use it.

    ``home`` is a directory, made with mode 0700 if it is missing. ``say`` gets a sentence when something
    takes longer than two seconds (default: on stderr). ``wait_seconds`` bounds a start; PostgreSQL may need
    minutes to recover from a crash.

    ``database_url`` is for psycopg and names the owner of the database ``dora_state``; ``redis_url`` is as
    redis-py takes it. Both are known from the beginning and work between `start` and `stop`. A process made
    by ``fork`` is not a user of its parent's servers: it makes an instance of its own.

    Every failure is an `EmbeddedServerError`. No thread is started. Not for use by several threads at once.
    """

    def __init__(
        self,
        home: Path,
        *,
        say: Callable[[str], None] = _on_stderr,
        wait_seconds: float = 300.0,
    ) -> None:
        self._home = Home.at(home)
        self._say = say
        self._wait_seconds = wait_seconds
        self._users_lock: int | None = None
        self.database_url = f"postgresql://{OWNER}@/{DATABASE}?host={quote(str(self._home.run), safe='')}"
        self.redis_url = f"unix://{quote(str(self._home.valkey_socket))}?db=0"
        _instances.add(self)

    def start(self) -> Self:
        """Use the home's servers, started if they do not run; returns when a connection to each works.

        Once more on a started instance, it brings back servers that have ended since.
        """
        try:
            self._home.create()
            self._become_ready(_Patience(self._say, self._wait_seconds, self._home))
        except BaseException as error:
            self._leave()
            if isinstance(error, OSError):
                raise home_not_usable(self._home, error) from error
            raise
        return self

    def bring_back(self) -> None:
        """Start the servers again if their supervisor has ended since `start`; else only a look at its lock.

        A home that was deleted is not made anew: what its user wrote there is gone.
        """
        try:
            ended = self._home.users_lock.exists() and locks.is_free(self._home.supervisor_lock)
        except OSError as error:
            raise home_not_usable(self._home, error) from error
        if ended:
            self.start()

    def stop(self) -> None:
        """Leave. The last user of the home that leaves waits until both servers have stopped."""
        if self._users_lock is None:
            return
        self._leave()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._are_servers_alive() and not self._are_there_users():
            if time.monotonic() > deadline:
                self._say(f"The servers in {self._home.path} are still stopping.")
                return
            time.sleep(_PAUSE_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _become_ready(self, patience: _Patience) -> None:
        programs = find_programs()
        spawned = False
        while True:
            start_lock = locks.open_lock(self._home.start_lock)
            try:
                while not locks.try_exclusive(start_lock):
                    patience.wait(f"Waiting for other processes of {self._home.path} to start or stop ...")
                self._join()
                if not spawned:
                    spawned = self._spawn_supervisor(programs)
            finally:
                os.close(start_lock)
            if self._await_servers(patience):
                return
            if spawned:
                raise self._supervisor_failure()

    def _join(self) -> None:
        if self._users_lock is None:
            self._users_lock = locks.open_lock(self._home.users_lock)
            # Only a holder of the start lock ever tries this lock alone, and that is us now.
            locks.try_shared(self._users_lock)

    def _leave(self) -> None:
        if self._users_lock is not None:
            # Said aloud and not only closed: a fork may hold the same open file.
            locks.unlock(self._users_lock)
            self._forget()

    def _forget(self) -> None:
        if self._users_lock is not None:
            os.close(self._users_lock)
            self._users_lock = None

    def _spawn_supervisor(self, programs: Programs) -> bool:
        """Start a supervisor unless one is alive. It inherits its lock, so it holds it from the beginning."""
        home = self._home
        lock = locks.open_lock(home.supervisor_lock)
        try:
            if not locks.try_exclusive(lock):
                return False
            home.supervisor_state.unlink(missing_ok=True)
            for log in home.log.glob("*.log"):
                trim(log)
            with open_log(home.log / "supervisor.log") as log_file:
                subprocess.run(
                    [
                        *(sys.executable, "-S", "-P", "-m", "infrastructure.embedded.supervisor"),
                        *("--home", home.path, "--lock", str(lock)),
                        *("--postgres-bin", programs.postgres_bin, "--valkey-server", programs.valkey_server),
                    ],
                    env={"PYTHONPATH": str(_PACKAGE_ROOT), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                    cwd="/",
                    pass_fds=(lock,),
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=log_file,
                    start_new_session=True,
                    check=False,
                )
        finally:
            os.close(lock)
        return True

    def _await_servers(self, patience: _Patience) -> bool:
        """True when both take connections; False if there is no supervisor (any more) to bring them up."""
        while True:
            if locks.is_free(self._home.supervisor_lock):
                return False
            state = read_state(self._home)
            if state is None or state.phase != LAUNCHED:
                patience.wait(f"Preparing PostgreSQL and Valkey in {self._home.path} ...")
                continue
            awaited = what_is_awaited(self._home, self.database_url, self.redis_url)
            if awaited is None:
                return True
            patience.wait(awaited)

    def _supervisor_failure(self) -> EmbeddedServerError:
        state: SupervisorState | None = read_state(self._home)
        if state is not None and state.failure is not None:
            return state.failure
        log = self._home.log / "supervisor.log"
        lines = last_lines(log)
        return EmbeddedServerError(
            "embedded.supervisor_ended",
            f"The supervisor of the servers in {self._home.path} ended before they took connections "
            f"({lines[-1].strip() if lines else 'it did not say why'}): start again; its log is {log}.",
            {"home": str(self._home.path), "log": str(log), "last_lines": lines},
        )

    def _are_servers_alive(self) -> bool:
        home = self._home
        return not all(map(locks.is_free, (home.supervisor_lock, home.postgres_lock, home.valkey_lock)))

    def _are_there_users(self) -> bool:
        """Whether somebody else uses the servers; False also while somebody starts or stops them."""
        try:
            start_lock = locks.open_lock(self._home.start_lock)
        except FileNotFoundError:
            return False
        try:
            if not locks.try_exclusive(start_lock):
                return False
            return not self._is_users_lock_free()
        finally:
            os.close(start_lock)

    def _is_users_lock_free(self) -> bool:
        users_lock = locks.open_lock(self._home.users_lock)
        try:
            return locks.try_exclusive(users_lock)
        finally:
            os.close(users_lock)


class _Patience:
    """Waits in small pauses, says after two seconds what for, once each, and gives up at the deadline."""

    def __init__(self, say: Callable[[str], None], seconds: float, home: Home) -> None:
        self._say = say
        self._seconds = seconds
        self._home = home
        self._began = time.monotonic()
        self._said: set[str] = set()

    def wait(self, awaited: str) -> None:
        waited = time.monotonic() - self._began
        if waited > self._seconds:
            raise EmbeddedServerError(
                "embedded.not_ready",
                f"The servers in {self._home.path} were not ready within {self._seconds:g} seconds (last: "
                f"{awaited.rstrip(' .')}): start again to go on waiting, or look into {self._home.log}.",
                {"home": str(self._home.path), "seconds": self._seconds, "awaited": awaited},
            )
        if waited > _QUIET_SECONDS and awaited not in self._said:
            self._said.add(awaited)
            self._say(awaited)
        time.sleep(_PAUSE_SECONDS)


_instances: weakref.WeakSet[EmbeddedServers] = weakref.WeakSet()


def _after_fork() -> None:
    """A forked child is no user: else servers would outlive their last user for as long as any child."""
    for instance in list(_instances):
        instance._forget()


os.register_at_fork(after_in_child=_after_fork)
