"""A plugin of pytest that runs all tests once for each mutant of a script of SQL, in a child of its own.

Tests are imported and collected once; each child takes its mutant for what the house has, makes its tenants of it, and
ends at the first test that fails. The tests that told the last mutants from the code come first, then the fastest.
"""

import ctypes
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from infrastructure import sql
from tests.mutation.laying_out import NotRun
from tests.mutation.mutants import Fate

PLAN = "DORA_STATE_TEST_PLAN"
"""A file: JSON with `mutants` (folders, each with one script where ours has it), how many are tried `at_once`, and the
file `fates`, which gets a line for each: its folder's name, and what became of it."""
TIMES, SECONDS = 3, 30
"""A mutant has as long as all tests take without one, so many times, and some seconds more."""
_PAUSE = 0.02
_END_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
_FATES: dict[int, Fate] = {0: "survived", 1: "killed", -signal.SIGKILL: "timed out"}
_TOLD = "told.json"
"""In a mutant's folder: how long each test took, and which failed."""
_took: dict[str, float] = defaultdict(float)
"""How long each test took in this process."""
_failed: list[str] = []


@dataclass(frozen=True, slots=True)
class _Child:
    folder: Path
    until: float


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    plan = json.loads(Path(os.environ[PLAN]).read_text())
    with open(plan["fates"], "a") as fates:
        _Trying(session, [Path(one) for one in plan["mutants"]], int(plan["at_once"])).all(fates)
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _took[report.nodeid] += report.duration
    if report.failed:
        _failed.append(report.nodeid)


class _Trying:
    def __init__(self, session: pytest.Session, mutants: Sequence[Path], at_once: int) -> None:
        self._session = session
        self._mutants = mutants
        self._at_once = at_once
        self._first: list[str] = []
        self._took: dict[str, float] = {}
        self._children: dict[int, _Child] = {}

    def all(self, fates: IO[str]) -> None:
        """Raises NotRun where tests fail without any mutant, or servers are gone: then all would fail for that."""
        place = Path(os.environ[PLAN]).parent
        began = time.monotonic()
        ((_, code),) = self._tried([place], seconds=float("inf"))
        if code:
            raise NotRun(json.loads((place / _TOLD).read_text())["failed"])
        seconds = TIMES * self._at_once * (time.monotonic() - began) + SECONDS
        for folder, code in self._tried(self._mutants, seconds):
            require_servers()
            fates.write(json.dumps([folder.name, _FATES.get(code, "not tried")]) + "\n")
            fates.flush()

    def _tried(self, folders: Sequence[Path], seconds: float) -> Iterator[tuple[Path, int]]:
        """The exit code of each, as they end."""
        for folder in folders:
            while len(self._children) >= self._at_once:
                yield from self._ended()
            pid = os.fork()
            if pid == 0:
                _run(self._session, self._ordered(), folder)
            self._children[pid] = _Child(folder, time.monotonic() + seconds)
        while self._children:
            yield from self._ended()

    def _ordered(self) -> list[pytest.Item]:
        first = {name: place for place, name in enumerate(self._first)}
        return sorted(
            self._session.items,
            key=lambda item: (first.get(item.nodeid, len(first)), self._took.get(item.nodeid, 0.0)),
        )

    def _ended(self) -> Iterator[tuple[Path, int]]:
        time.sleep(_PAUSE)
        for pid, child in list(self._children.items()):
            if time.monotonic() > child.until:
                _kill(pid)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _kill(pid)  # whoever it left behind
                del self._children[pid]
                self._learn(child.folder)
                yield child.folder, os.waitstatus_to_exitcode(status)

    def _learn(self, folder: Path) -> None:
        with suppress(FileNotFoundError):
            told = json.loads((folder / _TOLD).read_text())
            self._took = self._took or told["took"]
            for name in told["failed"]:
                self._first = [name, *(one for one in self._first if one != name)]


def require_servers() -> None:
    """Raises NotRun."""
    try:
        with psycopg.connect(os.environ["DORA_STATE_TEST_DATABASE_URL"], connect_timeout=30):
            pass
        with closing(Redis.from_url(os.environ["DORA_STATE_TEST_REDIS_URL"], socket_timeout=30)) as redis:
            redis.ping()
    except (psycopg.Error, RedisError) as error:
        raise NotRun(f"The servers are gone: {error}") from error


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def use(folder: Path) -> None:
    """From now on SQL is what this folder has, laid out as ours, and ours where it has nothing."""
    load, scripts = sql.load, sql.scripts

    def text(directory: str, name: str) -> bytes | None:
        path = folder / directory / f"{name}.sql"
        return path.read_bytes() if path.exists() else None

    # What they keep in mind is not needed here.
    sql.load = lambda name: text("queries", name) or load(name)  # type: ignore[assignment]
    sql.scripts = lambda directory: tuple(  # type: ignore[assignment]
        replace(one, text=text(directory, one.name) or one.text) for one in scripts(directory)
    )


def _run(session: pytest.Session, items: Sequence[pytest.Item], folder: Path) -> None:
    """In the child, which ends here: 0 if all pass, 1 at the first that does not."""
    code = 3
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        session.config.pluginmanager.unregister(name="terminalreporter")
        use(folder)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if _failed:
                break
        session._setupstate.teardown_exact(None)  # fixtures that outlive a test drop their tenants
        (folder / _TOLD).write_text(json.dumps({"took": _took, "failed": _failed}))
        code = 1 if _failed else 0
    finally:
        os._exit(code)
