"""The embedded Valkey: a socket, an append-only file, nothing evicted."""

from __future__ import annotations

import signal
from pathlib import Path

from .home import Home
from .server_process import ServerSpec
from .wheels import Programs

_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "save": "",
    "appendonly": "yes",
    # A second of writes may be lost with the machine, none with the process. That is enough for what is
    # kept here: read models, counters and caches are rebuilt from PostgreSQL, and a message that was lost
    # or comes twice is harmless by its command id.
    "appendfsync": "everysec",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "maxclients": "1000",
    "set-proc-title": "no",
    "logfile": "",
}


def valkey_spec(home: Home, programs: Programs) -> ServerSpec:
    """Valkey on a socket in the home."""

    def prepare(_lock: int) -> None:
        home.valkey_socket.unlink(missing_ok=True)

    settings = {**_SETTINGS, "dir": str(home.valkey), "unixsocket": str(home.valkey_socket)}
    return ServerSpec(
        name="Valkey",
        command=(
            programs.valkey_server,
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ),
        directory=home.valkey,
        lock=home.valkey_lock,
        log=valkey_log(home),
        prepare=prepare,
        gentle=signal.SIGTERM,
        firm=signal.SIGTERM,
    )


def valkey_log(home: Home) -> Path:
    return home.log / "valkey.log"
