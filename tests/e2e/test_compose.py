"""The services of docker-compose.yml, each run by the line that stands there, on the servers of the tests."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from dora_state.settings import Settings
from infrastructure.command_queue import Fitness
from infrastructure.embedded.wheels import find_programs
from tests.support.command_line import ROOT, Ended
from tests.support.compose import Place, compose, ours
from tests.support.redis_server import free_port

SERVICES = compose()["services"]
SOON = 60.0


@pytest.fixture
def place(tmp_path: Path, tenant: str, database_url: str, redis_url: str) -> Place:
    place = Place(tmp_path, tenant, {port: str(free_port()) for port in ("8000", "9464")})
    place.secrets.mkdir()
    for name, url in (("database_url", database_url), ("cache_url", redis_url), ("broker_url", redis_url)):
        (place.secrets / name).write_text(f"{url}\n")
    return place


def line(place: Place, name: str, *instead: str) -> Ended:
    """Runs a service to its end, or another command in its place, as `docker compose run` does."""
    service = ours()[name]
    words = [sys.executable, "-m", "dora_state", *(instead or place.words(service))]
    done = subprocess.run(
        words, env=place.environment(service), cwd=ROOT, capture_output=True, timeout=SOON, check=False
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def running(place: Place, name: str) -> Iterator[subprocess.Popen[bytes]]:
    service = ours()[name]
    words = [sys.executable, "-m", "dora_state", *place.words(service)]
    with (place.directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(words, env=place.environment(service), cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until_healthy(place: Place, name: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SOON
    while not place.is_healthy(ours()[name], sys.executable):
        told = (place.directory / f"{name}.log").read_text()
        assert process.poll() is None, told
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_init_makes_the_tenant_and_ends(place: Place) -> None:
    ended = line(place, "init")
    assert (ended.code, place.tenant in ended.out) == (0, True), ended.err


@pytest.mark.parametrize("name", ["worker", "queue"])
@pytest.mark.skipif("metrics_port" not in Settings.model_fields, reason="workers serve no metrics in this release")
def test_a_worker_comes_up_healthy_and_leaves_when_it_is_told(place: Place, name: str) -> None:
    with running(place, name) as process:
        until_healthy(place, name, process)
        process.terminate()
        assert process.wait(SOON) == 0


@pytest.mark.skipif(not (ROOT / "dora_state" / "http").exists(), reason="there is no server in this release")
def test_the_server_comes_up_healthy_once_there_is_a_key_and_leaves_when_it_is_told(place: Place) -> None:
    assert line(place, "init").code == 0
    refused = line(place, "api")
    assert (refused.code, "keys create" in refused.one_sentence()) == (2, True)
    assert line(place, "init", "keys", "create", "operator", "--role", "operator").code == 0
    with running(place, "api") as process:
        until_healthy(place, "api", process)
        process.terminate()
        assert process.wait(SOON) == 0


@contextmanager
def valkey(place: Place, name: str) -> Iterator[tuple["subprocess.Popen[bytes]", Redis]]:
    """By the service's own line, on a socket, as two of a test run can't share a port."""
    service, socket = SERVICES[name], place.directory / "v.sock"
    program, *words = place.words(service)
    assert program == "valkey-server"
    listening = ["--port", "0", "--unixsocket", str(socket)]
    process = subprocess.Popen([find_programs().valkey_server, *words, *listening], stdout=subprocess.DEVNULL)
    client = Redis(unix_socket_path=str(socket), password="hunter2")
    try:
        _until_it_answers(client)
        yield process, client
    finally:
        client.close()
        process.kill()
        process.wait()


def _until_it_answers(client: Redis) -> None:
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        with suppress(RedisError, OSError):
            client.ping()
            return
        time.sleep(0.02)
    raise TimeoutError


def _fitness(client: Redis) -> Fitness:
    told: Any = client.info()
    return Fitness.told(told)


@pytest.fixture
def passwords(place: Place) -> None:
    for name in ("cache", "broker"):
        (place.secrets / f"{name}.conf").write_text("requirepass hunter2\n")


@pytest.mark.usefixtures("passwords")
def test_the_broker_keeps_what_it_took_also_when_it_is_killed(place: Place) -> None:
    with valkey(place, "broker") as (_, client):
        found = _fitness(client)
        assert (found.unfit_because, found.persists, 0 < found.used < 0.5) == (None, True, True)
        client.rpush("queue", "command")
    with valkey(place, "broker") as (_, client):
        assert client.lrange("queue", 0, -1) == [b"command"]


@pytest.mark.usefixtures("passwords")
def test_the_cache_makes_room_and_wants_its_password(place: Place) -> None:
    with valkey(place, "cache") as (process, client):
        assert _fitness(client).eviction == "allkeys-lru"
        with Redis(unix_socket_path=str(place.directory / "v.sock")) as stranger, pytest.raises(RedisError):
            stranger.ping()
        assert "hunter2" not in Path(f"/proc/{process.pid}/cmdline").read_text()


def test_postgres_takes_its_line(home: Path, servers: tuple[str, str]) -> None:
    program, *words = SERVICES["postgres"]["command"]
    (directory,) = {one.parent for one in home.rglob("PG_VERSION") if (one.parent / "postgresql.conf").exists()}
    for setting, value in (("shared_buffers", "32768"), ("max_connections", "100")):
        asked = [find_programs().postgres_bin / program, "-C", setting, "-D", directory, *words]
        done = subprocess.run(asked, capture_output=True, check=False)
        assert done.stdout.decode().strip() == value, done.stderr
