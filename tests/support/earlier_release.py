"""Another release than this one, in a directory of its own: an earlier one itself, or one that may come after."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command_line import ROOT, CommandLine

LOCK = "requirements/runtime.txt"
UNTAGGED = "acf13918"
"""Stands for an earlier release until there is a tag: a commit of 26 November 2026, with all that it had."""
_LEFT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "htmlcov", "*.egg-info", "results")


def newest_release() -> str | None:
    """The newest tag, or what DORA_STATE_TEST_EARLIER_RELEASE names; None where there is no repository, or not all.

    The tree is checked out with the packages that it pins.
    """
    if given := os.environ.get("DORA_STATE_TEST_EARLIER_RELEASE"):
        return given
    told = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=-version:refname", "--merged"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    known = next(iter(told.stdout.split()), UNTAGGED)
    words = ["git", "cat-file", "-e", f"{known}^{{commit}}"]
    return known if subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 0 else None


def lay_out_next(directory: Path) -> None:
    """This tree with what a release may bring: a column, a table, and another text of a function of the log."""
    shutil.copytree(ROOT, directory, ignore=_LEFT)
    scripts = directory / "infrastructure" / "sql"
    last = max(one.stem for one in (scripts / "migrations").glob("*.sql"))
    (scripts / "migrations" / "9990_next.sql").write_text(
        f"-- Works beside releases from {last} on.\n"
        "ALTER TABLE tasks ADD COLUMN remark text;\n"
        "CREATE TABLE remarks (id bigint PRIMARY KEY, remark text);\n"
    )
    changed = scripts / "functions" / "append_closely.sql"
    changed.write_text(changed.read_text() + "-- As the next release has it.\n")


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
