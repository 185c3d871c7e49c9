"""Where mutants are tried: a copy of the tree, servers for all of them, and processes that nothing outlives."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from infrastructure.embedded import EmbeddedServers

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"HYPOTHESIS_PROFILE": "mutation"}
_LEFT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "htmlcov", "*.egg-info", "results")
_SERVERS = ("DORA_STATE_TEST_DATABASE_URL", "DORA_STATE_TEST_REDIS_URL")


class NotRun(Exception):
    """Mutants could not be tried; why is told above."""


def copy_to(place: Path) -> None:
    """The tree as it is, over what is there."""
    shutil.copytree(ROOT, place, ignore=_LEFT, dirs_exist_ok=True)


def run_alone(
    command: Sequence[str | Path],
    place: Path,
    environment: Mapping[str, str],
    seconds: float | None = None,
    *,
    quiet: bool = False,
) -> int:
    """The exit code. A mutant may hang where no signal reaches it: nothing outlives the run.

    Raises TimeoutExpired after so many seconds.
    """
    out = subprocess.DEVNULL if quiet else None
    with subprocess.Popen(command, cwd=place, env=environment, start_new_session=True, stdout=out) as running:
        try:
            return running.wait(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


@contextmanager
def servers(*, wanted: bool = True) -> Iterator[dict[str, str]]:
    """One pair for all mutants, or the ones that the environment names: otherwise each mutant would start its own."""
    if not wanted or all(name in os.environ for name in _SERVERS):
        yield {}
        return
    home = Path(f"/tmp/dora-state-mutation-{os.getpid()}")  # a short path: there are sockets in it
    try:
        with EmbeddedServers(home) as started:
            yield dict(zip(_SERVERS, (started.database_url, started.redis_url), strict=True))
    finally:
        shutil.rmtree(home, ignore_errors=True)
