"""`make versions` finds what is here, says what is not, and is content only where something ran and all passed."""

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded.wheels import find_programs
from tests.versions import __main__ as versions
from tests.versions import found
from tests.versions.combinations import ALL, Combination, NotHere, Programs, find
from tests.versions.found import release_in
from tests.versions.running import Counts, counted
from tests.versions.servers import postgres_server


@pytest.mark.parametrize(
    ("said", "release"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15"),
        ("postgres (PostgreSQL) 18beta1\n", "18"),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64\n", "7"),
        ("Python 3.13.0\n", "3.13"),
        ("pyenv: python3.14: command not found\n", ""),
        ("", ""),
    ],
)
def test_a_release_is_read_off_what_a_program_says(said: str, release: str) -> None:
    assert release_in(said) == release


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(found, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv(found.POSTGRES_BIN, raising=False)
    monkeypatch.delenv(found.REDIS_SERVER, raising=False)


def program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_what_is_missing_is_named(nothing_here: None) -> None:
    with pytest.raises(NotHere, match=r"no PostgreSQL 15 \(DORA_STATE_TEST_POSTGRES_BIN .* and no Redis 7 "):
        find(Combination(postgres="15", redis="7"))
    with pytest.raises(NotHere, match=r"^there is no python3\.13$"):
        find(Combination(python="3.13"))


def test_programs_are_where_the_environment_says(
    nothing_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(found.POSTGRES_BIN, str(program(tmp_path / "postgres", "postgres (PostgreSQL) 15.1").parent))
    monkeypatch.setenv(found.REDIS_SERVER, str(program(tmp_path / "r", "Redis server v=7.2.4 sha=0")))
    program(tmp_path / "python3.13", "Python 3.13.9")
    assert find(Combination("15", "7", "3.13")) == Programs(
        found.Program(tmp_path, "15"),
        found.Program(tmp_path / "r", "7"),
        found.Program(tmp_path / "python3.13", "3.13"),
    )
    with pytest.raises(NotHere):
        find(Combination(postgres="16"))
    (tmp_path / "versions" / "3.14.1" / "bin").mkdir(parents=True)
    of_pyenv = program(tmp_path / "versions" / "3.14.1" / "bin" / "python3.14", "Python 3.14.1")
    assert find(Combination(python="3.14")).python == found.Program(of_pyenv, "3.14")


GOOD, BAD = Counts(3, 0, 1), Counts(3, 1, 0)


def outcome(*counts: Counts) -> int:
    left = list(counts)

    def run(combination: Combination, programs: Programs, arguments: Sequence[str]) -> Counts:
        return left.pop(0)

    return versions.main([], run)


def test_it_is_content_where_all_that_ran_has_passed(nothing_here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(GOOD) == 0
    told = capsys.readouterr().out.splitlines()
    assert f"{Combination()}: 3 passed, 0 failed, 1 skipped" in told
    assert sum("not run: there is no " in line for line in told) == len(ALL) - 1
    assert outcome(BAD) == 1
    assert outcome(Counts(0, 0, 7)) == 1


def test_it_fails_where_nothing_could_be_run(nothing_here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.main(["--only", "PostgreSQL 15"]) == 1
    assert "Nothing could be run here" in capsys.readouterr().err


def test_a_report_is_counted_and_a_run_without_one_has_failed(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert counted(report) == Counts(0, 1, 0)
    report.write_text('<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>')
    assert counted(report) == Counts(3, 3, 3)


def test_a_postgresql_of_any_directory_runs_for_a_while_and_leaves_nothing() -> None:
    with postgres_server(find_programs().postgres_bin) as url:
        with psycopg.connect(url) as connection:
            assert connection.info.server_version >= 150_000
        directory = Path(url.rpartition("=")[2])
        assert directory.exists()
    assert not directory.exists()


def test_a_combination_that_there_is_not_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--only", "nosuch"], ["--only", "nosuch", "--list"]):
        assert versions.main(arguments) == 2
        assert capsys.readouterr().err.startswith("Error: There is no combination nosuch; there are PostgreSQL")
