"""A primary and a streaming replica of a test's own: two homes of embedded servers, the second made from the first."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from infrastructure.embedded import EmbeddedServers
from infrastructure.embedded.home import SERVER_UID, Home
from infrastructure.embedded.server_process import ENVIRONMENT
from infrastructure.embedded.wheels import find_programs


class Pair:
    """The primary runs but for `without_primary`; the replica runs from `start` to `stop`, as often as a test likes."""

    def __init__(self, primary: EmbeddedServers, home: Path) -> None:
        self._primary = primary
        self._home = home
        self._replica = EmbeddedServers(home, say=lambda _: None)
        self.primary_url = primary.database_url
        self.replica_url = self._replica.database_url

    def start(self) -> None:
        self._replica.start()

    def stop(self) -> None:
        self._replica.stop()

    @contextmanager
    def without_primary(self) -> Iterator[None]:
        self._primary.stop()
        try:
            yield
        finally:
            self._primary.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nobody."""
        postmaster = psutil.Process(int((self._home / "pgdata" / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It is there, and shows nothing new."""
        with psycopg.connect(self.replica_url, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            try:
                yield
            finally:
                connection.execute("SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        """It is a primary of its own from here on."""
        with psycopg.connect(self.replica_url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")


@contextmanager
def pair() -> Iterator[Pair]:
    directory = Path(tempfile.mkdtemp(prefix="dora-state-pair-"))
    directory.chmod(0o755)
    try:
        with EmbeddedServers(directory / "p", say=lambda _: None) as primary:
            _copy(primary.database_url, directory / "r")
            both = Pair(primary, directory / "r")
            both.start()
            try:
                yield both
            finally:
                both.stop()
    finally:
        shutil.rmtree(directory)


def _copy(primary_url: str, home: Path) -> None:
    """As an operator makes a standby; root gives it to who runs the servers."""
    copy = Home.at(home)
    copy.create()
    program = find_programs().postgres_bin / "pg_basebackup"
    options = (f"--pgdata={copy.pgdata}", f"--dbname={primary_url}", "--write-recovery-conf", "--checkpoint=fast")
    subprocess.run([program, *options], env=ENVIRONMENT, capture_output=True, check=True)
    if os.geteuid() == 0:
        for parent, _, files in os.walk(copy.pgdata):
            for path in (parent, *(os.path.join(parent, file) for file in files)):
                os.chown(path, SERVER_UID, SERVER_UID)
