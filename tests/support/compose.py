"""docker-compose.yml as its services would be run, without docker: on the servers of the tests."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.command_line import ROOT

FILE = ROOT / "docker-compose.yml"
SECRETS = "/run/secrets/"
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return document


def ours() -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: one for name, one in compose()["services"].items() if one["image"].startswith("dora-state:")}


@dataclass(frozen=True, slots=True)
class Place:
    """What stands for a container: where its secrets and its passing files are, and which ports are free."""

    directory: Path
    tenant: str
    ports: Mapping[str, str]

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    def here(self, text: str) -> str:
        """A word of the file, as it is to be here."""
        text = VARIABLE.sub(lambda found: self.tenant if "TENANT" in found[1] else found[2], text)
        text = text.replace(SECRETS, f"{self.secrets}/").replace("/run/dora-state", str(self.directory))
        text = str(self.directory) if text == "/data" else text
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """The service's, beside what a process needs that knows nothing of it."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DORA_STATE_")}
        given = {name: self.here(text) for name, text in service.get("environment", {}).items()}
        return kept | given | {"DORA_STATE_HOME": str(self.directory)}

    def words(self, service: Mapping[str, Any]) -> list[str]:
        return [self.here(word) for word in service["command"]]

    def is_healthy(self, service: Mapping[str, Any], programs: Mapping[str, Path], **variables: str) -> bool:
        """Whether its health check succeeds, run as it is written: `programs` say where those of its image are here."""
        kind, *words = service["healthcheck"]["test"]
        words = [self.here(word) for word in words]
        if kind == "CMD":
            line = [str(programs[words[0]]), *words[1:]]
        else:
            assert kind == "CMD-SHELL"
            line = ["/bin/sh", "-c", words[0].replace("$$", "$")]
            variables["PATH"] = f"{self._beside(programs)}:{os.environ['PATH']}"
        done = subprocess.run(line, env=os.environ | variables, capture_output=True, timeout=30, check=False)
        return done.returncode == 0

    def _beside(self, programs: Mapping[str, Path]) -> Path:
        """A directory in which a shell finds them by their names."""
        found = self.directory / "bin"
        found.mkdir(exist_ok=True)
        for name, program in programs.items():
            if not (found / name).exists():
                (found / name).symlink_to(program)
        return found
