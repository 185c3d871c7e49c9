"""The directory that the embedded servers live in; they touch nothing outside it.

===================  ==========================================================================
``pgdata/``          PostgreSQL's data (``pgdata.new/`` while it is being made)
``valkey/``          Valkey's append-only file
``run/``             the sockets; mode 0700, which is all the authentication that there is
``log/``             what the servers and their supervisor said, bounded
``start.lock``       held alone during each start, and while the servers stop
``users.lock``       shared by every process that uses the servers
``supervisor.lock``  held alone by the supervisor, as long as it lives
``postgres.lock``    held alone by PostgreSQL's processes, inherited by each of them
``valkey.lock``      likewise by Valkey
``supervisor.json``  how far the supervisor is, or why it gave up
===================  ==========================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import EmbeddedServerError

SERVER_UID = 61000
"""Who the servers are when root starts them in a home of its own.

PostgreSQL refuses uid 0, and no user is to be created. 60706 to 61183 is the range that systemd's table of
uids leaves unused; ``nobody`` would share the data with whatever else runs as nobody, and ids over 65535
do not exist in many containers.
"""

_SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path is 108 bytes with its final zero
_POSTGRES_SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Home:
    """The places in a home. ``path`` is absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Home:
        """The home at a path that may be relative or start with ``~``; refused if no socket fits in it."""
        home = cls(Path(os.path.abspath(path.expanduser())))
        length = len(os.fsencode(home.postgres_socket))
        if length > _SOCKET_PATH_BYTES:
            spare = len(os.fsencode(home.path)) - (length - _SOCKET_PATH_BYTES)
            raise EmbeddedServerError(
                "embedded.home_too_long",
                f"The home {home.path} is too long for a socket in it: choose a DORA_STATE_HOME of at most "
                f"{spare} bytes.",
                {"home": str(home.path), "limit": spare},
            )
        if "," in str(home.path) or any(ord(character) < 32 for character in str(home.path)):
            raise EmbeddedServerError(
                "embedded.home_not_usable",
                f"The home {str(home.path)!r} has a comma or a control character in its name, which "
                "PostgreSQL's clients cannot connect to: choose another DORA_STATE_HOME.",
                {"home": str(home.path)},
            )
        return home

    @property
    def pgdata(self) -> Path:
        return self.path / "pgdata"

    @property
    def unfinished_pgdata(self) -> Path:
        return self.path / "pgdata.new"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def postgres_socket(self) -> Path:
        return self.run / _POSTGRES_SOCKET

    @property
    def valkey_socket(self) -> Path:
        return self.run / "valkey.sock"

    @property
    def start_lock(self) -> Path:
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        return self.path / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def postgres_lock(self) -> Path:
        return self.path / "postgres.lock"

    @property
    def valkey_lock(self) -> Path:
        return self.path / "valkey.lock"

    @property
    def supervisor_state(self) -> Path:
        return self.path / "supervisor.json"

    def create(self) -> None:
        """Make what is missing, for the owner alone. What is there keeps its owner and its mode."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if _make_directory(self.path) and os.geteuid() == 0:
                _give_to_servers(self.path)
            for directory in (self.run, self.log, self.valkey):
                if _make_directory(directory) and os.geteuid() == 0:
                    owner = self.path.stat()
                    os.chown(directory, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise home_not_usable(self, error) from error


def home_not_usable(home: Home, error: OSError) -> EmbeddedServerError:
    """The sentence for a home that the operating system refuses."""
    reason = error.strerror or str(error)
    where = error.filename if error.filename is not None else home.path
    return EmbeddedServerError(
        "embedded.home_not_usable",
        f"The home {home.path} cannot be used ({where}: {reason}): give its owner's rights or free space "
        "there, or choose another DORA_STATE_HOME.",
        {"home": str(home.path), "path": str(where), "reason": reason},
    )


def _make_directory(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return False
    return True


def _give_to_servers(path: Path) -> None:
    try:
        os.chown(path, SERVER_UID, SERVER_UID)
    except OSError:
        # A container that maps no user but root; there the servers run in a user namespace of their own.
        return
