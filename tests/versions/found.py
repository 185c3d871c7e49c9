"""What there is on this machine to run the tests with: servers and Pythons, by what they say of themselves."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

POSTGRES_BIN = "DORA_STATE_TEST_POSTGRES_BIN"
REDIS_SERVER = "DORA_STATE_TEST_REDIS_SERVER"
DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian puts the programs of each release."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, or PostgreSQL's directory of such; `release` is its number, such as 15 or 3.13."""

    path: Path
    release: str


def postgres(release: str) -> Program | None:
    """A PostgreSQL of a release: in the directory that the environment names, or Debian's."""
    named = os.environ.get(POSTGRES_BIN)
    places = [Path(named)] if named else sorted(DEBIAN.glob("*/bin"))
    return _first(release, (Program(place, _release(place / "postgres")) for place in places))


def redis(release: str) -> Program | None:
    """A Redis of a release: the program that the environment names, or the one on the path."""
    named = os.environ.get(REDIS_SERVER) or shutil.which("redis-server")
    return _first(release, [Program(Path(named), _release(Path(named)))] if named else [])


def python(release: str) -> Program | None:
    """A Python: on the path, where a shim may stand for one that is not there, or of pyenv."""
    named = shutil.which(f"python{release}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [Path(named)] if named else []
    places += sorted(pyenv.glob(f"{release}.*/bin/python{release}"), reverse=True)
    return _first(release, (Program(place, _release(place)) for place in places))


def release_in(said: str) -> str:
    """What a program says of itself: `15` of PostgreSQL 15.18, `7` of Redis 7.0.15, but `3.13` of Python 3.13.0."""
    found = re.search(r"(Python|PostgreSQL\)|v=) ?(\d+)(\.\d+)?", said)
    if found is None:
        return ""
    return found[2] + (found[3] or "" if found[1] == "Python" else "")


def _release(program: Path) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return release_in(done.stdout) if done.returncode == 0 else ""


def _first(release: str, programs: Iterable[Program]) -> Program | None:
    return next((one for one in programs if one.release == release), None)
