"""The Dockerfile's own lines, run without docker: what they install is the whole, and runs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import ROOT

pytestmark = pytest.mark.timeout(900)
PREFIX = "/opt/dora-state"


def build_lines() -> Iterator[tuple[str, str]]:
    """COPY and RUN of the first stage, each on one line."""
    stage = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").split("\nFROM ")[1]
    for line in stage.splitlines():
        if found := re.match(r"(COPY|RUN) (.*)", line):
            yield found[1], found[2]


def test_what_the_dockerfile_installs_is_the_whole_and_runs(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str
) -> None:
    prefix, build = tmp_path / "installed", tmp_path / "build"
    build.mkdir()
    # The image's Python is ours here.
    path = f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}"
    for kind, text in build_lines():
        if kind == "RUN":
            line = ["sh", "-ec", text.replace(PREFIX, str(prefix))]
            subprocess.run(line, cwd=build, env=os.environ | {"PATH": path}, check=True)
            continue
        *sources, target = text.split()
        for source in sources:
            place = build / target / source if target.endswith("/") else build / target
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)
    environment = os.environ | {"DORA_STATE_DATABASE_URL": database_url, "DORA_STATE_REDIS_URL": redis_url}
    environment |= {"DORA_STATE_TENANT": tenant, "DORA_STATE_HOME": str(tmp_path / "home")}
    for words in (("init",), ("health", "--json"), ("queue", "status")):
        asked = [prefix / "bin" / "dora-state", *words]
        done = subprocess.run(asked, env=environment, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert done.stderr == b""
