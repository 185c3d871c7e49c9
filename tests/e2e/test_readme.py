"""README's walk is taken line by line, as who reads it would."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from infrastructure.embedded import EmbeddedServers
from tests.e2e.test_import_real_log import LOG, part_of
from tests.support.homes import furnish

ROOT = Path(__file__).parents[2]
TRACES = 30


def walk() -> list[tuple[str, list[str]]]:
    """Commands, each with the lines that follow it in its block."""
    page = (ROOT / "README.md").read_text()
    begin, end = page.index("## A walk"), page.index("## More")
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```\n(.*?)```", page[begin:end], re.DOTALL):
        for line in block.splitlines():
            command = line.removeprefix("$ ")
            if command.startswith((".venv/bin/dora-state ", "curl ")):
                found.append((command, []))
            elif found:
                found[-1][1].append(line)
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the walk needs of a clone: the program, the examples, and a part of the bank's log under its name."""
    program = tmp_path / ".venv" / "bin" / "dora-state"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m dora_state "$@"\n')
    program.chmod(0o755)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    if LOG.exists():
        part_of(LOG, TRACES, tmp_path / "bpic2012.xes.gz")
    return tmp_path


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@contextmanager
def in_the_background(command: str, clone: Path, environment: dict[str, str]) -> Iterator[None]:
    """Goes on with the walk once it says where it listens, as its reader does."""
    words = shlex.split(command.removesuffix("&"))
    with subprocess.Popen(
        words, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "http://127.0.0.1" in line:
                    break
            yield
            assert process.poll() is None
        finally:
            process.terminate()
            process.stdout.read()
    assert process.returncode == 0


@pytest.mark.timeout(300)
def test_every_line_of_the_walk_does_what_the_page_says(clone: Path) -> None:
    home = clone / "h"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DORA_STATE_")}
    environment = kept | {"DORA_STATE_HOME": str(home), "USER": kept.get("USER", "nobody"), "COLUMNS": "200"}
    lines = walk()
    assert len(lines) > 15
    port = free_port()
    with EmbeddedServers(furnish(home)), ExitStack() as running:
        for command, expected in lines:
            if "--tenant bank" in command and not LOG.exists():
                continue
            if command.startswith("curl ") and shutil.which("curl") is None:
                continue
            command = command.replace("8000", port)
            if command.endswith("&"):
                running.enter_context(in_the_background(command, clone, environment))
                continue
            done = subprocess.run(
                ["bash", "-c", command], cwd=clone, env=environment, capture_output=True, timeout=90, check=False
            )
            said = (done.stdout + done.stderr).decode()
            # The example's commands are refused once, on purpose.
            assert done.returncode == (1 if "submit docs/examples" in command else 0), f"{command}: {said}"
            for line in expected:
                for piece in line.split("..."):
                    assert piece.strip() in said, f"{command}: {piece!r} is not in {said}"
