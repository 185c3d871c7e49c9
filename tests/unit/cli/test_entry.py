"""Usage, errors and exit codes, as far as no server is needed."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import IO

import pytest

from dora_state.cli import app, main
from dora_state.cli.exits import Exit

ROOT = Path(__file__).parents[3]


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == Exit.DONE
    told = capsys.readouterr().out
    for command in (
        "init",
        "submit",
        "show",
        "history",
        "diff",
        "trace",
        "replay",
        "rollback",
        "import",
        "worker",
        "health",
        "demo",
    ):
        assert command in told


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert main(["--version"]) == Exit.DONE
    assert capsys.readouterr().out in (f"dora-state {project['version']}\n", "dora-state, not installed\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["shwo"], "Did you mean 'show'?"),
        (["rollback"], "Missing command"),
        (["show"], "Missing argument"),
        (["show", "workflow"], "Which workflow?"),
        (["show", "workflow", "w", "--version", "x"], "--version"),
        (["show", "workflow", "w", "--version", "1", "--position", "2"], "at once"),
        (["show", "workflow", "w", "--at", "2024-01-17T10:00:00"], "has no zone"),
        (["show", "workflows", "w"], "There is no kind"),
        (["history", "system", "x"], "only one system"),
        (
            ["history", "task", "t", "--type", "TaskStartet"],
            "There is no event 'TaskStartet': the closest is TaskStarted",
        ),
        (["history", "task", "t", "--limit", "0"], "--limit counts from 1"),
        (["history", "task", "t", "--after", "-1"], "--after counts from 0"),
        (["history", "task", "t", "--since", "yesterday"], "--since: 'yesterday' is no ISO 8601 time"),
        (["history", "task", "t", "--version", "1", "--at", "2024-01-17T10:00:00Z"], "can't be asked for at once"),
        (["diff", "workflow", "w", "1"], "Write diff workflow ID FROM TO"),
        (["diff", "system", "1"], "Write diff system FROM TO"),
        (
            ["diff", "system", "v1", "now"],
            "FROM: v1 is a version of a single stream; give a time, or a position like p1",
        ),
        (["diff", "workflow", "w", "1", "then"], "TO: 'then' is no ISO 8601 time"),
        (["trace", "c", "--since", "3"], "--since: 3 is a version of a single stream"),
        (["history", "workflow", "w", "--timeline", "--limit", "3"], "leave out --limit"),
        (["history", "agent", "a", "--html", "x", "--newest-first", "--since", "x"], "leave out --since and --newest"),
        (["trace", " "], "Which conversation?"),
        (["replay"], "Into which schema?"),
        (["replay", "--check", "--into", "x"], "--check makes nothing"),
        (["replay", "--until", "v3", "--into", "x"], "--until: v3 is a version of a single stream"),
        (["rollback", "workflow", "w", "--reason", "r", "--operator", "o"], "Back to where?"),
        (["import", "xes", "f", "--continue", "--start-anew"], "exclude each other"),
        (["import", "xes", "no-such-file.xes"], "There is no file"),
        (["submit", "no-such-file.jsonl"], "can't be read"),
        (["submit", "."], "can't be read"),
        (["--tenant", "Not a tenant", "health"], "'Not a tenant' is no name for a tenant: use a lower-case letter"),
        (["rollback", "workflow", "w", "--to-version", "1", "--reason", "", "--operator", ""], "give both, not blank"),
        (
            ["rollback", "workflow", "w", "--to-version", "1", "--reason", "r", "--operator", " "],
            "give both, not blank",
        ),
        (["submit", "no\x1b[31m\n\u202efile"], "no\\x1b[31m\\n\\u202efile can't be read"),
    ],
)
def test_bad_usage_is_told_in_one_sentence(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == Exit.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert len(err.splitlines()) == 1
    assert err.startswith("Error: ")


def test_a_tenant_of_the_environment_is_refused_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DORA_STATE_TENANT", "Bank")
    assert main(["health"]) == Exit.BAD_INPUT
    assert "'Bank' is no name for a tenant" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["health"], ["init"], ["show", "system"]])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:secretpw@h:port/db"),
        ("REDIS_URL", "redis://u:secretpw@h:port/0"),
        ("REDIS_URL", "http://secretpw"),
    ],
)
def test_a_url_that_is_none_is_bad_input_whichever_it_is(
    command: list[str], name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", "postgresql://127.0.0.1:1/db")
    monkeypatch.setenv(f"DORA_STATE_{name}", value)
    assert main(command) == Exit.BAD_INPUT
    told = capsys.readouterr().err
    assert f"DORA_STATE_{name}" in told
    assert "secretpw" not in told


@pytest.mark.parametrize("asked", [[], ["--help"], ["--version"], ["show", "--help"]])
def test_a_full_stdout_is_one_sentence(asked: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        ended = _run(asked, stdout=full)
    assert ended.returncode == Exit.OUTPUT_FAILED
    assert ended.stderr.startswith("Error: the answer can't be written to stdout (No space left")
    assert len(ended.stderr.splitlines()) == 1


def test_a_closed_stdout_is_one_sentence() -> None:
    ended = _run(["--version"], closed=">&-")
    assert ended.returncode == Exit.OUTPUT_FAILED
    assert ended.stderr.startswith("Error: the answer can't be written to stdout (it is closed)")


def test_a_closed_stdin_is_bad_input() -> None:
    ended = _run(["submit", "-"], closed="<&-")
    assert (ended.returncode, ended.stdout) == (Exit.BAD_INPUT, "")
    assert ended.stderr.startswith("Error: stdin can't be read (it is closed)")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_words_that_find_no_room_change_nothing(closed: str) -> None:
    ended = _run(["shwo"], closed=closed)
    assert (ended.returncode, ended.stdout, ended.stderr) == (Exit.BAD_INPUT, "", "")


def _run(
    arguments: list[str], *, stdout: int | IO[bytes] = subprocess.PIPE, closed: str = ""
) -> subprocess.CompletedProcess[str]:
    """A process of its own, by a shell that closes one of its streams."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "dora_state", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)


def _broken() -> object:
    def run(**_: object) -> int:
        raise ZeroDivisionError("by\nnothing")

    return run


def test_a_fault_of_ours_is_one_sentence_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "command", _broken)
    assert main(["health"]) == Exit.BUG
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "ZeroDivisionError: by nothing" in err
    assert "--debug" in err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "command", _broken)
    assert main(["--debug", "health"]) == Exit.BUG
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_nothing_of_a_setting_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DORA_STATE_REDIS_URL", "redis://:12/hunter2hunter2hunter2hunter2@redis.internal.bank.example/0")
    assert main(["--debug", "health"]) == Exit.BAD_INPUT
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "names a database that is no number" in err
    assert "hunter2" not in err
    assert "bank.example" not in err


def test_ctrl_c_before_anything_runs_leaves_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "command", interrupted)
    assert main(["health"]) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "Interrupted.\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from dora_state.cli import main; main(['--help']);"
        "print([name for name in ('psycopg', 'redis', 'pydantic', 'asyncio', 'eventsourcing') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_showing_a_state_does_not_import_what_only_workers_and_servers_need() -> None:
    code = (
        "import sys; import dora_state.cli.show, dora_state.state_manager;"
        # The client of Redis imports opentelemetry where it is installed, but not what sends anything.
        "names = ('dramatiq', 'fastapi', 'uvicorn', 'jwt', 'opentelemetry.exporter');"
        "print([name for name in names if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout.splitlines()[-1] == "[]"
