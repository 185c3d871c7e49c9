"""`make fuzz` counts what it tried, and calls nothing a success that failed, could not go on or tried nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import __main__ as fuzz

PASSES = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=7, database=None)
@given(st.integers())
def test_it(number: int) -> None: ...
"""
FAILS = """
import sys

def test_it() -> None:
    sys.stdout.buffer.write(bytes([0xFF]))
    assert False, "found it"
"""
TRIES_NOTHING = "def test_it(): ..."


@pytest.fixture
def fuzzed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs it over these scripts for a moment; gives its exit code and what it printed."""

    def run(*scripts: str) -> tuple[int, str]:
        lanes = {}
        for number, script in enumerate(scripts):
            path = tmp_path / f"test_lane_{number}.py"
            path.write_text(script)
            lanes[f"lane {number}"] = [str(path), "-c", "/dev/null", "--rootdir", str(tmp_path)]
        monkeypatch.setattr(fuzz, "LANES", lanes)
        monkeypatch.setattr(sys, "argv", ["fuzz", "--duration", "0.05", "--seed", "3"])
        code = fuzz.main()
        return code, capfd.readouterr().out

    return run


def test_what_was_tried_is_counted(fuzzed: Any) -> None:
    code, out = fuzzed(PASSES, PASSES)
    assert (code, out) == (0, "lane 0: 1 rounds, 7 inputs, seed 3.\nlane 1: 1 rounds, 7 inputs, seed 3.\n")


def test_what_fails_is_shown_whatever_it_prints_with_how_to_repeat_it(fuzzed: Any) -> None:
    code, out = fuzzed(PASSES, FAILS)
    assert code == 1
    assert "found it" in out
    assert "Once more: HYPOTHESIS_PROFILE=fuzz DORA_STATE_TEST_FUZZ=20" in out
    assert "--hypothesis-seed=500003000" in out
    assert "\N{REPLACEMENT CHARACTER}" in out


def test_where_nothing_was_tried_it_is_no_success(fuzzed: Any) -> None:
    assert fuzzed(PASSES, TRIES_NOTHING)[0] == 1


def test_who_could_not_go_on_is_no_success(fuzzed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run

    def run_but_for_one(command: list[str], **options: Any) -> Any:
        if "--hypothesis-seed=500003000" in command:
            raise OSError("no more processes")
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", run_but_for_one)
    with pytest.raises(OSError, match="no more processes"):
        fuzzed(PASSES, PASSES)
