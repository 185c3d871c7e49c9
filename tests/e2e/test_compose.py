"""The services of docker-compose.yml, each run by the line that stands there, on the servers of the tests."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from infrastructure.command_queue import Fitness
from tests.support.command_line import ROOT, Ended
from tests.support.compose import Place, ours
from tests.support.compose_servers import (
    CLIENT,
    PASSWORD,
    SERVICES,
    SOON,
    is_healthy_postgres,
    postgres,
    valkey,
    valkey_client,
)
from tests.support.redis_server import free_port


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
    while not place.is_healthy(ours()[name], {"python": Path(sys.executable)}):
        told = (place.directory / f"{name}.log").read_text()
        assert process.poll() is None, told
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_init_makes_the_tenant_and_ends(place: Place) -> None:
    ended = line(place, "init")
    assert (ended.code, place.tenant in ended.out) == (0, True), ended.err


@pytest.mark.parametrize("name", ["worker", "queue"])
def test_a_worker_comes_up_healthy_and_leaves_when_it_is_told(place: Place, name: str) -> None:
    with running(place, name) as process:
        until_healthy(place, name, process)
        process.terminate()
        assert process.wait(SOON) == 0


def test_the_server_comes_up_healthy_once_there_is_a_key_and_leaves_when_it_is_told(place: Place) -> None:
    assert line(place, "init").code == 0
    refused = line(place, "api")
    assert (refused.code, "keys create" in refused.one_sentence()) == (2, True)
    assert line(place, "init", "keys", "create", "operator", "--role", "operator").code == 0
    with running(place, "api") as process:
        until_healthy(place, "api", process)
        process.terminate()
        assert process.wait(SOON) == 0


def _fitness(client: Redis) -> Fitness:
    told: Any = client.info()
    return Fitness.told(told)


@contextmanager
def asked(socket: Path) -> Iterator[Redis]:
    """Once it has read what it holds."""
    with Redis(unix_socket_path=str(socket), password=PASSWORD, retry=Retry(ConstantBackoff(0.02), 500)) as client:
        yield client


def test_the_broker_keeps_what_it_took_also_when_it_is_killed(place: Place) -> None:
    with valkey(place, "broker") as (_, socket), asked(socket) as client:
        found = _fitness(client)
        assert (found.unfit_because, found.persists, 0 < found.used < 0.5) == (None, True, True)
        client.rpush("queue", "command")
    with valkey(place, "broker") as (_, socket), asked(socket) as client:
        assert client.lrange("queue", 0, -1) == [b"command"]


def test_the_cache_makes_room_and_wants_its_password(place: Place) -> None:
    with valkey(place, "cache") as (process, socket), asked(socket) as client:
        assert _fitness(client).eviction == "allkeys-lru"
        with Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(RedisError):
            stranger.ping()
        assert PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text()


@pytest.mark.parametrize("name", ["cache", "broker"])
@pytest.mark.skipif(CLIENT is None, reason="there is neither valkey-cli nor redis-cli on this machine")
def test_a_valkey_is_healthy_while_it_answers_and_not_when_it_is_gone_or_its_password_is_another(
    place: Place, name: str
) -> None:
    programs = {"valkey-cli": valkey_client(place)}
    with valkey(place, name) as (process, socket), asked(socket) as client:
        client.ping()
        assert place.is_healthy(SERVICES[name], programs)
        (place.secrets / f"{name}.conf").write_text("requirepass another\n")
        assert not place.is_healthy(SERVICES[name], programs)
        process.kill()
        process.wait()
        (place.secrets / f"{name}.conf").write_text(f"requirepass {PASSWORD}\n")
        assert not place.is_healthy(SERVICES[name], programs)


def test_postgres_comes_up_healthy_with_its_settings_and_wants_its_password() -> None:
    login = {"host": "127.0.0.1", "user": SERVICES["postgres"]["environment"]["POSTGRES_USER"], "dbname": "postgres"}
    with postgres() as (process, place, port):
        with psycopg.connect(**login, port=port, password=PASSWORD) as connection:
            for setting, value in (("shared_buffers", "256MB"), ("max_connections", "100"), ("data_checksums", "on")):
                assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**login, port=port, password="another")
        process.send_signal(signal.SIGINT)  # as the image is told to stop
        assert process.wait(SOON) == 0
        assert not is_healthy_postgres(place, port)
