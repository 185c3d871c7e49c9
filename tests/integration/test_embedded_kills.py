"""`kill -9` of any of the parts, and the next start simply works."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded import EmbeddedServerError, EmbeddedServers
from tests.integration.test_embedded_homes import (
    User,
    fresh_home,
    made_home,
    part,
    processes_of,
    read,
    wait_until,
    wait_until_nobody_is_left,
    write,
)

__all__ = ["made_home"]


@pytest.fixture
def home(made_home: Path) -> Path:
    return made_home


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it may go between opening and reading
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def test_nothing_stays_when_the_only_user_is_killed(home: Path) -> None:
    user = User(home)
    user.wait_until_ready()
    user.kill()
    wait_until_nobody_is_left(home)


def test_nothing_stays_when_the_supervisor_and_the_only_user_are_killed(home: Path) -> None:
    user = User(home)
    user.wait_until_ready()
    kill(part(home, "supervisor"))
    user.kill()
    wait_until_nobody_is_left(home)


@pytest.mark.parametrize("name", ["postmaster", "valkey", "supervisor"])
def test_after_a_part_is_killed_the_next_start_works_and_has_what_was_committed(home: Path, name: str) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "before")
        if name == "valkey":
            time.sleep(1.1)  # what everysec promises
        kill(part(home, name))
        with EmbeddedServers(home) as after:
            write(after, "after")
            assert read(after) == (["before", "after"], ["before", "after"])
            assert part(home, "supervisor")
        assert read(servers) == (["before", "after"], ["before", "after"])
    assert processes_of(home) == {}


def test_after_everything_is_killed_at_once_the_next_start_works(home: Path) -> None:
    user = User(home)
    user.wait_until_ready()
    write(EmbeddedServers(home), "before")
    time.sleep(1.1)
    victims = list(processes_of(home))
    assert len(victims) > 5
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    user.kill()
    with EmbeddedServers(home) as servers:
        assert read(servers) == (["before"], ["before"])


def test_the_supervisor_brings_back_a_server_that_was_killed_without_a_start(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "before")
        old = part(home, "postmaster")
        kill(old)

        def is_back() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                return read(servers)[0] == ["before"]
            return False

        wait_until(is_back)
        assert part(home, "postmaster") != old


def test_a_backend_that_outlives_its_killed_postmaster_does_not_stop_the_next_start(home: Path) -> None:
    with EmbeddedServers(home) as servers, psycopg.connect(servers.database_url) as connection:
        backend = connection.info.backend_pid
        connection.pgconn.send_query(b"DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$")
        kill(part(home, "postmaster"))
        assert _is_alive(backend)
        with EmbeddedServers(home) as after:
            write(after, "after")
        assert not _is_alive(backend)
        connection.pgconn.finish()


@pytest.mark.parametrize("seconds", [0.25, *(pytest.param(seconds, marks=pytest.mark.long) for seconds in (0.1, 0.4))])
def test_a_start_that_is_killed_while_the_data_is_made_is_done_anew(seconds: float) -> None:
    with fresh_home() as home:
        user = User(home)
        wait_until((home / "pgdata.new").exists)
        time.sleep(seconds)
        for pid in [user.process.pid, *processes_of(home)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        user.kill()
        with EmbeddedServers(home) as servers:
            write(servers, "kept")
            assert not (home / "pgdata.new").exists()


def test_a_pid_that_was_reused_fools_nobody(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "before")
        pid_file = (home / "pgdata" / "postmaster.pid").read_text()
    # Somebody unrelated, of the servers' own user, so that PostgreSQL may signal it and take it for its own.
    owner = (home / "pgdata").stat()
    somebody = subprocess.Popen(
        ["sleep", "60"],
        preexec_fn=lambda: os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid),
    )
    try:
        reused = re.sub(r"^\d+", str(somebody.pid), pid_file)
        for stale in (home / "pgdata" / "postmaster.pid", home / "run" / ".s.PGSQL.5432.lock"):
            stale.write_text(reused)
            os.chown(stale, owner.st_uid, owner.st_gid)
        with EmbeddedServers(home) as servers:
            assert read(servers)[0] == ["before"]
        assert somebody.poll() is None
    finally:
        somebody.kill()
        somebody.wait()


def test_recovery_is_waited_for_with_a_word(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "before")
    # A recovery that lasts until it is told to end: a standby that takes no readers, and is promoted.
    configuration = home / "pgdata" / "postgresql.conf"
    configuration.write_text(configuration.read_text() + "hot_standby = off\n")
    pgdata = home / "pgdata"
    (pgdata / "standby.signal").touch()
    os.chown(pgdata / "standby.signal", pgdata.stat().st_uid, pgdata.stat().st_gid)

    def end_recovery() -> None:
        (pgdata / "promote").touch()
        os.chown(pgdata / "promote", pgdata.stat().st_uid, pgdata.stat().st_gid)
        os.kill(part(home, "postmaster"), signal.SIGUSR1)

    words: list[str] = []
    timer = threading.Timer(3, end_recovery)
    timer.start()
    began = time.monotonic()
    with EmbeddedServers(home, say=words.append) as servers:
        timer.join()
        assert time.monotonic() - began > 3
        assert "PostgreSQL is recovering from a crash; this may take a few minutes ..." in words
        assert read(servers)[0] == ["before"]


def test_a_slow_start_after_an_orderly_end_is_not_called_a_recovery(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "before")
    # PostgreSQL reads its statistics while it starts; from this pipe it gets none until somebody opens it.
    statistics = home / "pgdata" / "pg_stat" / "pgstat.stat"
    statistics.unlink()
    os.mkfifo(statistics, 0o600)
    os.chown(statistics, (home / "pgdata").stat().st_uid, (home / "pgdata").stat().st_gid)
    timer = threading.Timer(3, lambda: os.close(os.open(statistics, os.O_WRONLY | os.O_NONBLOCK)))
    timer.start()
    words: list[str] = []
    began = time.monotonic()
    with EmbeddedServers(home, say=words.append) as servers:
        timer.join()
        assert time.monotonic() - began > 3
        assert words == ["PostgreSQL is starting ..."]
        assert read(servers)[0] == ["before"]


def test_a_server_that_does_not_answer_is_waited_for_as_long_as_was_said_and_not_replaced(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "before")
        postmaster = part(home, "postmaster")
        os.kill(postmaster, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedServerError, match=r"not ready within 1 seconds") as failure:
                EmbeddedServers(home, wait_seconds=1).start()
        finally:
            os.kill(postmaster, signal.SIGCONT)
        assert failure.value.code == "embedded.not_ready"
        assert read(servers)[0] == ["before"]
        assert part(home, "postmaster") == postmaster
