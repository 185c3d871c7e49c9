"""Homes of embedded servers of which PostgreSQL's data is made already: making it takes longer than many a test."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infrastructure.embedded import EmbeddedServers
from infrastructure.embedded.home import Home

MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""Bytes: some servers at once, of half a gigabyte each."""


def write_to_memory() -> None:
    """All temporary files from now on, where memory has room for them and TMPDIR says nothing else.

    Servers sync thousands of times, and no test pulls the plug of the machine: what they promise is the same.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return
    told = os.statvfs(MEMORY)
    if told.f_bavail * told.f_frsize >= ROOM and not told.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def home_of_run() -> Path:
    """Of the servers that all processes of this run of tests share."""
    return Path(tempfile.gettempdir()) / f"dora-state-tests-{os.environ['DORA_STATE_TEST_RUN']}"


def remove_homes_of_run() -> None:
    for home in (home_of_run(), _made_home()):
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def furnished_home(prefix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix) as directory:
        os.chmod(directory, 0o755)  # the servers run as a user of their own where root runs this
        yield furnish(Path(directory) / "home")


def furnish(home: Path) -> Path:
    """As it is after its servers ran once, with nothing in them."""
    made = _made()
    Home.at(home).create()
    subprocess.run(["cp", "-a", made / "pgdata", home / "pgdata"], check=True)
    return home


def _made_home() -> Path:
    return home_of_run().with_name(f"{home_of_run().name}-made")


def _made() -> Path:
    """By whoever needs it first; the others wait."""
    home = _made_home()
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = home / "home"
        if not (home / "done").exists():
            with EmbeddedServers(made, say=lambda _: None):
                pass
            deadline = time.monotonic() + 60
            while (made / "pgdata" / "postmaster.pid").exists():
                assert time.monotonic() < deadline, "PostgreSQL does not end"
                time.sleep(0.02)
            (home / "done").touch()
    return made
