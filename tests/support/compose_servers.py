"""The servers of docker-compose.yml, run by the lines that stand there with the programs of the tests."""

import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infrastructure.embedded.home import Home
from infrastructure.embedded.identity import choose_identity, choose_maker
from infrastructure.embedded.server_process import ENVIRONMENT
from infrastructure.embedded.wheels import find_programs
from tests.support.compose import Place, compose
from tests.support.redis_server import free_port

SERVICES = compose()["services"]
SOON = 60.0
PASSWORD = "hunter2"
CLIENT = shutil.which("valkey-cli") or shutil.which("redis-cli")


def until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@contextmanager
def postgres() -> Iterator[tuple["subprocess.Popen[bytes]", Place, int]]:
    """Healthy, on a port of its own; its data are made as the image makes them, with the service's options."""
    service, programs, port = SERVICES["postgres"], find_programs(), free_port()
    directory = Path(tempfile.mkdtemp(prefix="dora-state-compose-"))  # which who is not root can reach
    directory.chmod(0o755)
    try:
        home = Home.at(directory / "home")
        home.create()
        data = directory / "data"
        data.mkdir(mode=0o700)
        maker = choose_maker(choose_identity(home, programs), data, programs)
        become, log = maker.assume(data, signal.SIGKILL), directory / "log"
        password = data.parent / "password"
        password.write_text(PASSWORD)
        given = service["environment"]
        options = f"--username={given['POSTGRES_USER']} --encoding=UTF8 {given['POSTGRES_INITDB_ARGS']}"
        made = [str(programs.initdb), *shlex.split(options), f"--pwfile={password}", f"--pgdata={data}"]
        subprocess.run(made, env=ENVIRONMENT, preexec_fn=become, capture_output=True, check=True)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("unix_socket_directories = ''\n")  # the image's is a directory of its own
        program, *words = service["command"]
        environment = ENVIRONMENT | {"PGDATA": str(data), "PGPORT": str(port)}
        with log.open("wb") as out:
            line = [programs.postgres_bin / program, *words]
            process = subprocess.Popen(line, env=environment, preexec_fn=become, stdout=out, stderr=out)
        place = Place(directory, "default", {})
        try:
            until(lambda: is_healthy_postgres(place, port), process, log)
            yield process, place, port
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()
    finally:
        shutil.rmtree(directory)


def is_healthy_postgres(place: Place, port: int) -> bool:
    programs = {"pg_isready": find_programs().postgres_bin / "pg_isready"}
    return place.is_healthy(SERVICES["postgres"], programs, PGPORT=str(port))


@contextmanager
def valkey(place: Place, name: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """On a socket, as two of a test run can't share a port."""
    (place.secrets / f"{name}.conf").write_text(f"requirepass {PASSWORD}\n")
    socket, log = place.directory / "v.sock", place.directory / f"{name}.log"
    program, *words = place.words(SERVICES[name])
    assert program == "valkey-server"
    listening = ["--port", "0", "--unixsocket", str(socket)]
    with log.open("wb") as out:
        process = subprocess.Popen([find_programs().valkey_server, *words, *listening], stdout=out, stderr=out)
    try:
        until(socket.exists, process, log)
        yield process, socket
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)


def valkey_client(place: Place) -> Path:
    """What stands for `valkey-cli` in a health check: CLIENT, told where the socket is."""
    program = place.directory / "client"
    program.write_text(f'#!/bin/sh\nexec {CLIENT} -s {place.directory}/v.sock "$@"\n')
    program.chmod(0o700)
    return program
