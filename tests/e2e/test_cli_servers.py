"""The command line where the servers are its own to start and stop, and where there are none."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.command_line import CommandLine, finish

DEAD_DATABASE = "postgresql://user:secret@127.0.0.1:1/nowhere"
DEAD_REDIS = "redis://:secret@127.0.0.1:1/0"


def processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(home) in command and process.status() != psutil.STATUS_ZOMBIE:
            found.append(command)
    return found


def none_left(home: Path, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while processes_of(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_fresh_home_is_made_used_and_left_without_servers(tmp_path: Path) -> None:
    home = tmp_path / "h"
    dora_state = CommandLine(home)
    made = dora_state("init")
    assert made.code == 0
    assert made.out.startswith(f"Tenant default is set up in {home}.\n")
    assert processes_of(home) == []
    create = '{"type": "CreateWorkflow", "data": {"workflow_id": "wf", "definition_id": "d"}}'
    assert dora_state("submit", "-", given=create).code == 0
    assert '"state": "created"' in dora_state("show", "workflow", "wf", "--json").out
    assert processes_of(home) == []


def test_ctrl_c_stops_the_servers_too(tmp_path: Path) -> None:
    home = tmp_path / "h"
    process = CommandLine(home).start("submit", "-")
    while not (home / "run").exists():
        time.sleep(0.05)
    ended = finish(process, signal.SIGINT)
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert none_left(home)


@pytest.mark.parametrize(
    "arguments",
    [
        ("init",),
        ("submit", "-"),
        ("show", "workflow", "w"),
        ("history", "workflow", "w"),
        ("rollback", "workflow", "w", "--to-version", "1", "--dry-run"),
        ("worker",),
    ],
)
def test_without_a_server_one_sentence_says_what_was_tried(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = CommandLine(tmp_path / "h", DORA_STATE_DATABASE_URL=DEAD_DATABASE)(*arguments)
    assert (ended.code, ended.out) == (4, "")
    assert "127.0.0.1, port 1" in ended.one_sentence()
    assert "secret" not in ended.err
    assert not (tmp_path / "h").exists()


def test_health_without_servers_is_a_report_all_the_same(tmp_path: Path) -> None:
    dora_state = CommandLine(tmp_path / "h", DORA_STATE_DATABASE_URL=DEAD_DATABASE, DORA_STATE_REDIS_URL=DEAD_REDIS)
    ended = dora_state("health", "--json")
    assert (ended.code, ended.err) == (4, "")
    report = ended.json
    assert (report["overall"], report["status"]) == ("degraded", "unhealthy")
    statuses = {name: check["status"] for name, check in report["checks"].items()}
    assert [name for name in statuses if name not in ("memory", "disk")] == [
        "database",
        "cache",
        "transactions",
        "queue",
    ]
    assert {statuses[name] for name in ("database", "cache", "transactions", "queue")} == {"unhealthy"}
    assert "secret" not in ended.out
    assert "unhealthy" in dora_state("health").out


def test_a_home_that_can_be_none_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no directory")
    dora_state = CommandLine(file)
    ended = dora_state("show", "system")
    assert ended.code == 4
    assert str(file) in ended.one_sentence()
    assert dora_state("health", "--json").json["checks"]["database"]["status"] == "unhealthy"
