"""docs/http.md tells the truth: its walk is walked, on a server and a worker as operators run them."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import ROOT
from tests.support.serving import ServerProcess, Serving
from tests.support.tenants import new_name

WALK = (ROOT / "docs" / "http.md").read_text().partition("## A walk")[2].partition("\n## ")[0]


@pytest.fixture
def serving(home: Path, database_url: str, redis_url: str) -> Serving:
    return Serving(home, database_url, redis_url, new_name())


@pytest.fixture
def server(serving: Serving) -> Iterator[ServerProcess]:
    with serving.tenant(), serving.worker(), serving("--port", "0") as server:
        yield server


def steps() -> list[tuple[str, str]]:
    """Each command, with what it is to answer."""
    block = re.findall(r"```\n(.*?)```", WALK, re.DOTALL)[0]
    found = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, answer.strip("\n")) for command, _, answer in (step.partition("\n") for step in found)]


def pattern(expected: str) -> str:
    """`...` stands for what differs from run to run, or is too long for a page."""
    return re.escape(expected).replace(re.escape("..."), ".*")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the walk is one of curl's")
def test_the_walk_is_as_the_page_tells_it(server: ServerProcess) -> None:
    assert len(steps()) >= 15
    for command, expected in steps():
        asked = command.replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(["sh", "-c", asked], capture_output=True, text=True, timeout=60, check=False)
        said = "\n".join(line for line in done.stdout.strip().splitlines() if line)
        assert re.search(f"^{pattern(expected)}", said, re.DOTALL), f"{command}\nsaid: {said}\nnot: {expected}"


def test_sigterm_ends_a_server_well_and_tells_its_streams(server: ServerProcess) -> None:
    with subprocess.Popen(["curl", "-sN", f"{server.url}/v1/events"], stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        assert stream.stdout.readline() == "retry: 1000\n"
        ended = server.end(signal.SIGTERM)
        rest = stream.stdout.read()
        assert stream.wait(30) == 0  # the answer was whole
    assert ended.code == 0
    assert 'event: end\ndata: {"reason":"leaving"' in rest
    assert "Everything that was taken is answered." in ended.err
    assert "Traceback" not in ended.err


def test_a_server_without_keys_says_so_and_listens_to_its_own_machine_only(serving: Serving) -> None:
    with serving.tenant():
        refused = serving.line("serve", "--host", "0.0.0.0", "--port", "0")
        assert refused.code == 2
        assert "not on 0.0.0.0" in refused.one_sentence()
        with serving("--port", "0") as server:
            server.wait_for("whoever is on this machine may do everything")
            taken = serving.line("serve", "--port", server.url.rpartition(":")[2])
            assert taken.code == 2
            assert "can't listen on 127.0.0.1" in taken.one_sentence()


def test_help_and_show_import_no_server() -> None:
    for code in (
        "import sys; from dora_state.cli.app import command; command(); import dora_state.cli.show",
        "import sys; import dora_state.state_manager",
    ):
        heavy = "print([name for name in ('fastapi', 'uvicorn', 'starlette', 'uvloop') if name in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; {heavy}"], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.stdout.strip() == "[]", done.stderr
