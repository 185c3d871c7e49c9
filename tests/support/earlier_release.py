"""An earlier release itself, as it was tagged: its code, in a directory of its own, with the packages that it pins."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command_line import ROOT, CommandLine

LOCK = "requirements/runtime.txt"


def newest_release() -> str | None:
    """The newest tag, or what DORA_STATE_TEST_EARLIER_RELEASE names; None where there is none, or no repository."""
    if given := os.environ.get("DORA_STATE_TEST_EARLIER_RELEASE"):
        return given
    told = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=-version:refname", "--merged"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return next(iter(told.stdout.split()), None)


@contextmanager
def checked_out(release: str, directory: Path) -> Iterator[Path]:
    _git("worktree", "add", "--detach", "--force", str(directory), release)
    try:
        yield directory
    finally:
        _git("worktree", "remove", "--force", str(directory))


def python_of(checkout: Path) -> str:
    """A Python with what a checkout pins: ours, where that is the same."""
    lock = checkout / LOCK
    if lock.read_bytes() == (ROOT / LOCK).read_bytes():
        return sys.executable
    python = checkout / ".venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", checkout / ".venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", lock], check=True)
    return str(python)


def run_by(line: CommandLine, checkout: Path) -> None:
    """What is typed from here on is for that release."""
    line.directory = checkout
    line.python = python_of(checkout)
    line.is_warm = False


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True)
