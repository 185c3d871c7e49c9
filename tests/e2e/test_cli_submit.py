"""`submit` as its users run it: whatever comes in, each piece is answered and the rest goes on."""

import json
import os
import pty
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.embedded import EmbeddedServers
from tests.support.command_line import CommandLine, finish, lines
from tests.support.homes import furnish


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh home whose servers stay up from test to test, as they would beside a worker."""
    path = furnish(tmp_path_factory.mktemp("cli") / "h")
    with EmbeddedServers(path):
        yield path


@pytest.fixture(scope="module")
def dora_state(home: Path) -> CommandLine:
    return CommandLine(home)


def test_bad_lines_are_told_and_the_rest_goes_on(dora_state: CommandLine) -> None:
    good = {"type": "CreateWorkflow", "data": {"workflow_id": "wf-good", "definition_id": "d"}}
    data: dict[str, Any] = {"workflow_id": "wf-bad", "definition_id": "d"}
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    add = {"workflow_id": "wf-good", "task_id": "t-bad", "definition_id": "d"}
    bad = [
        '{"type": "CreateWorkflow", "data": {"workflow_id": "wf-',
        "nonsense",
        "[1, 2]",
        '{"type": "Heartbeat", "data": {"agent_id": "a-1", "usage": {"cpu_percent": NaN}}}',
        "[" * 2_000,
        "x" * 1_100_000,
        json.dumps({"type": "Explode", "data": {}}),
        json.dumps({"type": "CreateWorkflow", "data": data | {"colour": "red"}}),
        json.dumps({"type": "CreateWorkflow", "data": data | {"workflow_id": ""}}),
        json.dumps({"type": "CreateWorkflow", "data": data | {"workflow_id": "x" * 256}}),
        json.dumps({"type": "CreateWorkflow", "data": data | {"workflow_id": "a\nb"}}),
        json.dumps({"type": "CreateWorkflow", "data": data | {"scheduled_completion": "2024-01-17T10:00:00"}}),
        json.dumps({"type": "CreateWorkflow", "data": data | {"context": {"deep": deep}}}),
        json.dumps({"type": "AddTask", "data": add | {"resource_requirements": {"memory": "4Gx"}}}),
        json.dumps({"type": "AddTask", "data": add | {"max_attempts": -1}}),
        json.dumps({"type": "AddTask", "data": add | {"phases": "one"}}),
    ]
    ended = dora_state("submit", "-", "--json", given="\n".join([*bad, "", json.dumps(good)]))
    *refused, accepted = ended.json_lines
    assert [answer["line"] for answer in refused] == list(range(1, len(bad) + 1))
    assert {answer["outcome"] for answer in refused} == {"invalid"}
    assert all(answer["problem"]["message"] for answer in refused)
    assert (accepted["line"], accepted["outcome"]) == (len(bad) + 2, "accepted")
    assert ended.code == 2
    assert f"{len(bad) + 1} commands: {len(bad)} invalid, 1 accepted." in ended.err


def test_refusals_conflicts_and_repetitions_are_told_apart(dora_state: CommandLine, tmp_path: Path) -> None:
    create = {
        "type": "CreateWorkflow",
        "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
        "data": {"workflow_id": "wf-once", "definition_id": "d"},
    }
    file = tmp_path / "once.json"
    file.write_text(json.dumps(create, indent=2))
    first, second = dora_state("submit", str(file), "--json"), dora_state("submit", str(file), "--json")
    assert (first.code, first.json["repeated"]) == (0, False)
    assert (second.code, second.json["repeated"]) == (0, True)
    assert first.json["position"] == second.json["position"]

    refused = dora_state("submit", "-", given=json.dumps([{"type": "StartTask", "data": {"task_id": "t-none"}}]))
    assert refused.code == 1
    assert "line 1: StartTask refused\n" in refused.out
    conflict = {"type": "CancelWorkflow", "data": {"workflow_id": "wf-once", "reason": "r"}, "expected_version": 7}
    assert dora_state("submit", "-", given=json.dumps(conflict)).code == 5


def test_commands_are_submitted_even_if_nobody_reads_the_answers(dora_state: CommandLine) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as nobody:
        process = dora_state.start("submit", "-", stdout=nobody)
        assert process.stdin is not None
        for number in range(3):
            create = {"type": "CreateWorkflow", "data": {"workflow_id": f"wf-unread-{number}", "definition_id": "d"}}
            process.stdin.write(lines(create).encode())
        assert finish(process).code == 0
    assert dora_state("show", "workflow", "wf-unread-2").code == 0


def test_commands_are_submitted_even_if_their_answers_find_no_room(dora_state: CommandLine) -> None:
    create = {"type": "CreateWorkflow", "data": {"workflow_id": "wf-full", "definition_id": "d"}}
    for code in (0, 1):  # made, and then refused as it is there
        with open("/dev/full", "wb") as full:
            process = dora_state.start("submit", "-", stdout=full)
            assert process.stdin is not None
            process.stdin.write(lines(create).encode())
            ended = finish(process)
        assert ended.code == code
        assert ended.err.count("The answers can't be written to stdout (No space left on device)") == 1
    assert dora_state("show", "workflow", "wf-full").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_submission_that_waits_for_more(
    dora_state: CommandLine, number: signal.Signals, code: int
) -> None:
    process = dora_state.start("submit", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    create = {"type": "CreateWorkflow", "data": {"workflow_id": f"wf-{number.name}", "definition_id": "d"}}
    process.stdin.write(lines(create).encode())
    process.stdin.flush()
    assert b"accepted" in process.stdout.readline()
    ended = finish(process, number)
    assert ended.code == code
    assert ended.err.splitlines() == [
        "Stopped after the answer to line 1; what follows it may have been recorded.",
        "Interrupted.",
    ]


def test_after_a_submission_the_read_models_know_of_it(dora_state: CommandLine) -> None:
    create = {"type": "CreateWorkflow", "data": {"workflow_id": "wf", "definition_id": "d"}}
    assert dora_state("--tenant", "caught_up", "submit", "-", given=lines(create)).code == 0
    projection = dora_state("--tenant", "caught_up", "health", "--json").json["checks"]["projection"]["figures"]
    assert (projection["position"], projection["checkpoint"]) == (1, 1)


def test_a_progress_bar_is_seen_on_a_terminal_and_the_answers_go_where_they_were_going(
    dora_state: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "many.jsonl"
    names = [f"wf-bar-{number}" for number in range(5)]
    file.write_text(
        lines(*({"type": "CreateWorkflow", "data": {"workflow_id": name, "definition_id": "d"}} for name in names))
    )
    ours, theirs = pty.openpty()
    process = dora_state.start("submit", str(file), "--json", stderr=theirs)
    os.close(theirs)
    assert process.stdout is not None
    answers = [json.loads(line) for line in process.stdout]
    assert process.wait() == 0
    seen = os.read(ours, 65_536).decode()
    os.close(ours)
    assert [next(iter(answer["versions"])) for answer in answers] == [f"workflow-{name}" for name in names]
    assert "submitting" in seen
    assert "\x1b[" in seen
    finish(process)
