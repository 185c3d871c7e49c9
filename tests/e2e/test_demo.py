"""The demo as people run it, in a home of its own; and the turns that its story must not take."""

import asyncio
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from dora_state.demo.assessment import Assessment
from dora_state.demo.cast import ANALYZER_1, ICT_RISK, SCHEDULER
from dora_state.demo.scenario import Step, story
from dora_state.demo.stage import DemoStopped, Nobody, clear_stage, play
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager

PROGRAM = (sys.executable, "-m", "dora_state")
ROOT = Path(__file__).parents[2]


def demo_environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DORA_STATE_")}
    return kept | {"DORA_STATE_HOME": str(home)} | more


def processes_of(home: Path) -> list[str]:
    """The command lines of all processes that were started for a home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + b"\0" + (process / "environ").read_bytes()
            alive = (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
        if alive and str(home).encode() in told:
            found.append(told.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


def assert_no_process_left(home: Path) -> None:
    deadline = time.monotonic() + 10
    while (left := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    # Short, as sockets lie in it.
    home = Path(tempfile.mkdtemp(prefix="dora-demo-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


def run_for_json(home: Path, *options: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [*PROGRAM, *options, "demo", "--json"],
        cwd=ROOT,
        env=demo_environment(home),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return orjson.loads(done.stdout), done.stderr.decode()


def test_the_demo_tells_its_whole_story_twice_in_a_fresh_home_and_leaves_nothing_running(fresh_home: Path) -> None:
    told, errors = run_for_json(fresh_home)
    assert_no_process_left(fresh_home)
    # On a slow machine it says what it waits for, and nothing else.
    assert "Error" not in errors

    assert told["outcome"] == "completed"
    assert {task["state"] for task in told["tasks"]} == {"completed"}
    assert len(told["tasks"]) == 8
    retried = [task for task in told["tasks"] if task["retry_info"]["attempt"] == 2]
    assert [task["definition_id"] for task in retried] == ["incident-reporting"]
    assert told["pool"]["reservations"] == []
    assert all(agent["state"] == "healthy" and not agent["current_tasks"] for agent in told["agents"])

    assert [entry["version"] for entry in told["history"]] == list(range(1, told["workflow"]["stream_version"] + 1))
    (rolled_back,) = [entry for entry in told["history"] if entry["type"] == "WorkflowRolledBack"]
    assert rolled_back["reason"] == told["rollback"]["reason"]
    assert rolled_back["actor"] == told["rollback"]["operator"] == "risk.officer@example.com"
    assert any(line.endswith("outputs.risk_score: 0.12 -> nothing") for line in told["rollback"]["difference"])

    then = {task["definition_id"]: task["state"] for task in told["as_of"]["workflow"]["tasks"].values()}
    assert then["incident-reporting"] == "failed"
    assert then["final-report"] == "scheduled"
    assert len(told["expected_refusals"]) == 2
    assert all(" --tenant demo " in command for command in told["next"])
    assert told["system"]["overall_health"] == "healthy"
    assert told["system"]["running_tasks"] == told["system"]["active_workflows"] == 0

    again, _ = run_for_json(fresh_home, "--tenant", "stage")
    assert again["outcome"] == "completed"
    assert all(" --tenant stage " in command for command in again["next"])
    assert again["workflow_id"] != told["workflow_id"]
    assert_no_process_left(fresh_home)


def test_an_interrupted_board_leaves_quickly_with_130_and_leaves_nothing_running(fresh_home: Path) -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    demo = subprocess.Popen(
        [*PROGRAM, "demo"],
        cwd=ROOT,
        env=demo_environment(fresh_home, TERM="xterm-256color"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        shown = read_until(controller, b"Heartbeats and progress", seconds=60)
        assert b"ICT risk framework" in shown
        assert b"compute-pool-primary" in shown
        demo.send_signal(signal.SIGINT)
        rest = read_until(controller, None, seconds=20)
        assert demo.wait(timeout=20) == 130
        assert b"Traceback" not in shown + rest
    finally:
        demo.kill()
        demo.wait()
        os.close(controller)
    assert_no_process_left(fresh_home)


def read_until(controller: int, wanted: bytes | None, *, seconds: float) -> bytes:
    """What a terminal shows until it shows that, or until nobody writes to it any more."""
    shown = b""
    os.set_blocking(controller, False)
    deadline = time.monotonic() + seconds
    while wanted is None or wanted not in shown:
        assert time.monotonic() < deadline, shown[-2000:].decode(errors="replace")
        try:
            shown += os.read(controller, 65_536)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            assert wanted is None, shown[-2000:].decode(errors="replace")
            break
    return shown


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = Settings(database_url=SecretStr(database_url), redis_url=SecretStr(redis_url), tenant=tenant)
    async with open_state_manager(settings) as manager:
        yield manager


async def test_a_refusal_that_the_story_does_not_expect_stops_the_demo(manager: StateManager) -> None:
    run = Assessment(datetime.now(UTC))
    unknown = (Step("Nothing is there yet.", (run.on_workflow("StartWorkflow", SCHEDULER),)),)
    with pytest.raises(DemoStopped, match=f"StartWorkflow was refused: There is no workflow {run.workflow_id}"):
        await play(manager, run, unknown, Nobody())


async def test_a_refusal_that_the_story_expects_and_does_not_get_stops_the_demo(manager: StateManager) -> None:
    run = Assessment(datetime.now(UTC))
    expecting = (Step("It is created.", run.workflow()[:1], refused="workflow_exists"),)
    with pytest.raises(DemoStopped, match="should have been refused: workflow_exists"):
        await play(manager, run, expecting, Nobody())


class Leaver(Nobody):
    """Interrupts the demo as soon as the analyzers are at work."""

    def tell(self, step: object, says: str) -> None:
        if says.startswith("Heartbeats"):
            raise asyncio.CancelledError


async def test_an_interrupted_demo_leaves_no_agent_busy(manager: StateManager) -> None:
    run = Assessment(datetime.now(UTC))
    with pytest.raises(asyncio.CancelledError):
        await play(manager, run, story(run), Leaver())
    await manager.catch_up()
    assert (await manager.get_workflow_state(run.workflow_id))["state"] == "cancelled"
    assert (await manager.get_agent_state(ANALYZER_1))["current_tasks"] == []


async def test_what_a_killed_demo_has_left_is_cancelled_unless_somebody_may_still_be_watching(
    manager: StateManager,
) -> None:
    killed = Assessment(datetime.now(UTC))
    for step in story(killed)[:3]:
        assert isinstance(step, Step)
        for submission in step.submissions:
            assert (await manager.submit(submission)).ok
    following = Assessment(datetime.now(UTC))
    with pytest.raises(DemoStopped, match="Another demo is running"):
        await clear_stage(manager, following)

    await clear_stage(manager, following, still_playing=timedelta(0))
    await manager.catch_up()
    assert (await manager.get_agent_state(ANALYZER_1))["current_tasks"] == []
    assert (await manager.get_task_state(killed.task_id(ICT_RISK)))["state"] == "cancelled"
