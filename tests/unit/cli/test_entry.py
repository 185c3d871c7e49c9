"""Usage, errors and exit codes, as far as no server is needed."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dora_state.cli import app, main
from dora_state.cli.exits import Exit

ROOT = Path(__file__).parents[3]


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == Exit.DONE
    told = capsys.readouterr().out
    for command in ("init", "submit", "show", "history", "rollback", "import", "worker", "health", "demo"):
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
        (["show", "workflow", "w", "--version", "0"], "counts from 1"),
        (["show", "workflow", "w", "--version", "-3"], "counts from 1"),
        (["show", "workflow", "w", "--version", "1", "--position", "2"], "at once"),
        (["show", "workflow", "w", "--at", "2024-01-17T10:00:00"], "has no zone"),
        (["show", "workflows", "w"], "There is no kind"),
        (["history", "system", "x"], "only one system"),
        (["rollback", "workflow", "w", "--reason", "r", "--operator", "o"], "Back to where?"),
        (["rollback", "workflow", "w", "--to-version", "0", "--dry-run"], "counts from 1"),
        (["import", "xes", "f", "--continue", "--start-anew"], "exclude each other"),
        (["import", "xes", "no-such-file.xes"], "There is no file"),
        (["submit", "no-such-file.jsonl"], "can't be read"),
        (["submit", "."], "can't be read"),
        (["--tenant", "Not a tenant", "health"], "DORA_STATE_TENANT"),
    ],
)
def test_bad_usage_is_told_in_one_sentence(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == Exit.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert len(err.splitlines()) == 1
    assert err.startswith("Error: ")


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
