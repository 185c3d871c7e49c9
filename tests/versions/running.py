"""Runs the tests on one combination, and counts what became of them."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tests.support.redis_server import RedisServer
from tests.versions.combinations import Combination, Programs
from tests.versions.found import REDIS_SERVER
from tests.versions.servers import postgres_server

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "dev.txt"
PIP = ("-m", "pip", "install", "--quiet", "--no-deps")


@dataclass(frozen=True, slots=True)
class Counts:
    passed: int
    failed: int
    skipped: int

    @property
    def is_good(self) -> bool:
        return self.passed > 0 and self.failed == 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run(combination: Combination, programs: Programs, arguments: Sequence[str]) -> Counts:
    with ExitStack() as open_here:
        directory = Path(open_here.enter_context(tempfile.TemporaryDirectory(prefix="dora-state-versions-")))
        variables = {}
        if programs.postgres is not None:
            url = open_here.enter_context(postgres_server(programs.postgres.path))
            variables["DORA_STATE_TEST_DATABASE_URL"] = url
        if programs.redis is not None:
            variables[REDIS_SERVER] = str(programs.redis.path)
            open_here.enter_context(patch.dict(os.environ, variables))
            variables["DORA_STATE_TEST_REDIS_URL"] = open_here.enter_context(RedisServer(directory)).url
        interpreter = Path(sys.executable) if programs.python is None else environment(programs.python.path)
        report = directory / "report.xml"
        command: list[str | Path] = [interpreter, "-m", "pytest", f"--junit-xml={report}", *arguments]
        subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=False)
        return counted(report)


def environment(python: Path) -> Path:
    """An environment of another Python, of the same lock; made once. The Python in it."""
    place = ROOT / f".venv-{python.name.removeprefix('python')}"
    inside, made = place / "bin" / "python", place / ".installed"
    if not made.exists() or made.read_text() != _stamp():
        print(f"Setting up {place.name}, once; about a minute ...", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", place], check=True)
        subprocess.run([inside, *PIP, "--require-hashes", "-r", LOCK], cwd=ROOT, check=True)
        subprocess.run([inside, *PIP, "--no-build-isolation", "-e", "."], cwd=ROOT, check=True)
        made.write_text(_stamp())
    return inside


def _stamp() -> str:
    """What the environment is made of: it lies at a place, and the place is in it."""
    return f"{ROOT}\n{LOCK.read_text()}"


def counted(report: Path) -> Counts:
    """Of pytest's report; a run that wrote none has failed."""
    if not report.exists():
        return Counts(0, 1, 0)
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    told = [{name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")} for suite in suites]
    failed = sum(one["failures"] + one["errors"] for one in told)
    skipped = sum(one["skipped"] for one in told)
    return Counts(sum(one["tests"] for one in told) - failed - skipped, failed, skipped)
