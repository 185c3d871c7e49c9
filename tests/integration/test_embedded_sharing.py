"""Who shares the servers of a home, and who stops them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from infrastructure.embedded import EmbeddedServers
from infrastructure.embedded.identity import Identity
from infrastructure.embedded.logs import LIMIT_BYTES
from tests.integration.test_embedded_homes import (
    User,
    fresh_home,
    home,
    part,
    processes_of,
    read,
    wait_until_nobody_is_left,
    write,
)

__all__ = ["home"]

_CAP_DAC_READ_SEARCH = 2


def test_two_processes_share_the_servers_and_the_last_that_leaves_stops_them(home: Path) -> None:
    first = User(home)
    first.wait_until_ready()
    postmaster = part(home, "postmaster")
    second = User(home)
    second.wait_until_ready()
    first.leave()
    assert part(home, "postmaster") == postmaster
    second.leave()
    assert processes_of(home) == {}


def test_eight_processes_that_start_at_once_get_one_pair_of_servers(home: Path) -> None:
    users = [User(home) for _ in range(8)]
    for user in users:
        user.wait_until_ready()
    assert part(home, "postmaster")
    assert part(home, "valkey")
    assert part(home, "supervisor")
    for user in users:
        user.process.stdin.close()  # type: ignore[union-attr]  # it was opened as a pipe
    for user in users:
        assert user.process.wait(60) == 0
        user.process.stdout.close()  # type: ignore[union-attr]  # likewise
        user.process.stderr.close()  # type: ignore[union-attr]  # likewise
    assert processes_of(home) == {}


def test_a_user_that_comes_while_the_last_one_leaves_gets_working_servers(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        write(servers, "0")
    for round_number in range(1, 4):
        leaving = User(home)
        leaving.wait_until_ready()
        assert leaving.process.stdin is not None
        leaving.process.stdin.close()
        leaving.process.stdin = None
        time.sleep(0.04 * round_number)
        with EmbeddedServers(home) as servers:
            write(servers, str(round_number))
        leaving.leave()
    with EmbeddedServers(home) as servers:
        expected = [str(number) for number in range(4)]
        assert read(servers) == (expected, expected)


def test_starting_beside_running_servers_is_quick_and_once_more_is_harmless(home: Path) -> None:
    with EmbeddedServers(home) as servers:
        seconds = []
        for _ in range(5):
            began = time.monotonic()
            with EmbeddedServers(home):
                seconds.append(time.monotonic() - began)
        assert min(seconds) < 0.15, seconds
        servers.start()
        write(servers, "kept")
        assert read(servers) == (["kept"], ["kept"])


def test_a_forked_child_neither_keeps_the_servers_nor_stops_its_parents(home: Path) -> None:
    servers = EmbeddedServers(home).start()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        servers.stop()
        os.write(writer, b"stopped")
        time.sleep(60)
        os._exit(0)
    try:
        assert os.read(reader, 7) == b"stopped"
        time.sleep(0.3)
        write(servers, "kept")
        servers.stop()
        assert processes_of(home) == {}
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_the_servers_are_in_a_session_of_their_own(home: Path) -> None:
    with EmbeddedServers(home):
        for name in ("supervisor", "postmaster", "valkey"):
            assert os.getsid(part(home, name)) != os.getsid(0)


def test_a_home_that_is_deleted_while_it_is_used_leaves_nobody_behind(home: Path) -> None:
    user = User(home)
    user.wait_until_ready()
    while home.exists():
        # Once more if a server made a file meanwhile.
        shutil.rmtree(home, ignore_errors=True)
    user.kill()
    wait_until_nobody_is_left(home)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


@needs_root
def test_as_root_in_a_directory_that_only_root_may_enter(home: Path) -> None:
    home.parent.chmod(0o700)
    with EmbeddedServers(home) as servers:
        write(servers, "kept")
        assert read(servers) == (["kept"], ["kept"])
        for name in ("postmaster", "valkey"):
            assert os.stat(f"/proc/{part(home, name)}").st_uid != 0
    assert home.parent.stat().st_mode & 0o777 == 0o700
    assert home.parent.stat().st_uid == 0


def _as_ordinary_user(uid: int) -> Identity:
    # The capability only lets it read the repository and the venv, wherever root keeps them.
    return Identity("an ordinary user", uid, uid, _CAP_DAC_READ_SEARCH)


@needs_root
@pytest.mark.parametrize("uid", [65534, 61001])
def test_as_an_ordinary_user_with_a_name_or_without_one(uid: int) -> None:
    with fresh_home() as home:
        os.chown(home.parent, uid, uid)
        become = _as_ordinary_user(uid).assume(Path("/"), 9)  # type: ignore[arg-type]  # SIGKILL
        if uid == 61001 and subprocess.run(["unshare", "-U", "true"], check=False).returncode != 0:
            pytest.skip("no user namespaces here, and without one initdb insists on a name")
        user = User(home, become)
        user.wait_until_ready()
        assert {os.stat(f"/proc/{pid}").st_uid for pid in processes_of(home)} == {uid}
        user.leave()
        assert processes_of(home) == {}
        # Root may use it afterwards, together with its owner, and leaves it usable for its owner.
        (home / "log" / "postgresql.log").write_bytes(b"x" * (LIMIT_BYTES + 1))
        with EmbeddedServers(home) as servers:
            write(servers, "by root")
            user = User(home, become)
            user.wait_until_ready()
            user.leave()
            assert read(servers) == (["by root"], ["by root"])
            # The capability above also reads what is root's, so look at the owners too.
            assert (home / "log" / "postgresql.log.1").exists()
            places = [*home.iterdir(), *(home / "log").iterdir()]
            assert {str(place) for place in places if place.stat().st_uid != uid} == set()
        user = User(home, become)
        user.wait_until_ready()
        user.leave()
        assert {path.stat().st_uid for path in home.rglob("*")} == {uid}
