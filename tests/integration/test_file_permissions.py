"""What lies on the disk is for its owner alone, whatever the umask is under which we are started."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infrastructure.xes.sort import sort_xes
from tests.support.command_line import CommandLine, lines
from tests.support.serving import ServerProcess
from tests.support.xes_logs import LoggedEvent, LoggedTrace, xes

OTHERS = 0o077


def others_may(directory: Path) -> list[str]:
    """Everything below a directory, and itself, that has a right for somebody else; sockets and pipes too."""
    found = []
    for parent, directories, files in os.walk(directory):
        for path in (parent, *(os.path.join(parent, name) for name in [*directories, *files])):
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                continue  # a server's own, which comes and goes
            if mode & OTHERS and not os.path.islink(path):
                found.append(f"{path} {mode & 0o777:o}")
    return found


@pytest.fixture
def place() -> Iterator[Path]:
    """Short, as sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="dora-state-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_everything_under_a_home_is_for_its_owner_alone(place: Path, no_umask: None) -> None:
    home = place / "h"
    line = CommandLine(home)
    server = ServerProcess(line.begin("serve", "--port", "0"))
    try:
        assert server.url
        register = {"type": "RegisterAgent", "data": {"agent_id": "a", "agent_type": "t"}}
        assert line("submit", "-", given=lines(register)).code == 0
        (place / "log.xes").write_text(xes(LoggedTrace("case", (LoggedEvent(),))))
        imported = line("--tenant", "bank", "import", "xes", str(place / "log.xes"))
        assert imported.code == 0, imported.err
        assert others_may(home) == []
        assert server.end().code == 0
    finally:
        server.leave_nothing()
    kinds = {path.name for path in home.iterdir()}
    assert kinds > {"pgdata", "valkey", "log", "run", "imports", "supervisor.json", "users.lock"}
    assert others_may(home) == []


def test_what_an_import_has_sorted_is_for_its_owner_alone(place: Path, no_umask: None) -> None:
    (place / "log.xes").write_text(xes(*(LoggedTrace(f"case {n}", (LoggedEvent(),)) for n in range(200))))
    scratch = place / "home" / "imports"
    with sort_xes(place / "log.xes", scratch, now=datetime.now(UTC), run_size=2) as found:
        assert {path.suffix for path in scratch.iterdir()} == {".json", ".jsonl"}
        assert others_may(place / "home") == []
        assert sum(1 for _ in found) == 200


def test_what_commands_write_about_the_past_is_for_its_owner_alone(
    place: Path, database_url: str, tenant: str, no_umask: None
) -> None:
    line = CommandLine(place / "h", DORA_STATE_DATABASE_URL=database_url, DORA_STATE_TENANT=tenant)
    create = {"type": "CreateWorkflow", "data": {"workflow_id": "w", "definition_id": "d"}}
    assert line("submit", "-", given=lines(create)).code == 0
    (place / "out").mkdir(mode=0o700)
    assert line("history", "workflow", "w", "--timeline", "--html", str(place / "out" / "page.html")).code == 0
    assert line("export", "jsonl", "--output", str(place / "out" / "log.jsonl")).code == 0
    assert json.loads((place / "out" / "log.jsonl").read_text().splitlines()[0])
    assert others_may(place / "out") == []


def test_what_others_may_is_found(place: Path, no_umask: None) -> None:
    (place / "secret").touch()
    assert others_may(place) == [f"{place} 755", f"{place}/secret 666"]
