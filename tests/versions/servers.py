"""A PostgreSQL of some release for a run of the tests: in a directory of its own, on a socket only."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

OWNER = "dora_state"
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "jit": "off",
    "timezone": "UTC",
    "shared_buffers": "128MB",
}
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Runs as long as the block does; gives the URL of an empty database."""
    directory = Path(tempfile.mkdtemp(prefix="dora-state-pg-"))
    try:
        user = _not_root(directory)
        data = directory / "data"
        initdb: list[str | Path] = [
            programs / "initdb",
            f"--pgdata={data}",
            f"--username={OWNER}",
            "--encoding=UTF8",
            "--locale=C",
        ]
        subprocess.run([*initdb, "--auth=trust"], check=True, capture_output=True, env=ENVIRONMENT, cwd="/", **user)
        with (directory / "log").open("wb") as log:
            options = [f"--{name}={value}" for name, value in SETTINGS.items()]
            options += [f"--unix_socket_directories={directory}"]
            command: list[str | Path] = [programs / "postgres", "-D", data, *options]
            server = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, cwd="/", **user)
        try:
            yield _database(directory)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _not_root(directory: Path) -> dict[str, Any]:
    """As who it runs, since it refuses to be root; that one gets the directory."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    os.chown(directory, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _database(directory: Path) -> str:
    url = f"postgresql://{OWNER}@/{{}}?host={directory}"
    deadline = time.monotonic() + 60
    while True:
        try:
            with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE dora_state")
            return url.format("dora_state")
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
