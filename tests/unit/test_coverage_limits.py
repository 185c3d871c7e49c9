"""`make coverage` fails where a package runs less under test than pyproject.toml demands, and says where to look."""

import tomllib
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests import coverage_limits
from tests.coverage_limits import PROJECT, NotSaid, Part, main, read_limits, read_report

LIMITS = {"inner": 95, "outer": 85}


def entry(
    branches: tuple[int, int], lines: tuple[int, int], missing: list[int], untaken: list[tuple[int, int]]
) -> dict[str, Any]:
    return {
        "summary": {
            "covered_branches": branches[0],
            "num_branches": branches[1],
            "covered_lines": lines[0],
            "num_statements": lines[1],
        },
        "missing_lines": missing,
        "missing_branches": untaken,
    }


WHOLE = entry((40, 40), (100, 100), [], [])
HOLED = entry((34, 40), (99, 100), [9], [(3, -1), (7, 9), (9, 10), (9, 12), (20, 22), (20, 24)])


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage_limits, "read_limits", lambda: LIMITS)


def report(directory: Path, *, branch_coverage: bool = True, **files: dict[str, Any]) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / "coverage.json"
    named = {f"{name.replace('__', '/')}.py": file for name, file in files.items()}
    path.write_bytes(orjson.dumps({"meta": {"branch_coverage": branch_coverage}, "files": named}))
    return path


@pytest.mark.usefixtures("limits")
class TestVerdict:
    def test_what_holds_is_shown_and_fails_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        # 34 and 40 of 80 together are 92.5 %: enough outside, and too little inside.
        assert main([str(report(tmp_path, inner__a=WHOLE, outer__a=WHOLE, outer__deep__b=HOLED))]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert [line.split() for line in said.out.splitlines()[1:]] == [
            ["inner", "100.0", "%", "100.0", "%", "95", "%"],
            ["outer", "92.5", "%", "99.5", "%", "85", "%"],
        ]

    def test_one_sentence_names_package_figure_limit_and_holes(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([str(report(tmp_path, inner__a=WHOLE, inner__b=HOLED, outer__a=WHOLE))]) == 1
        assert capsys.readouterr().err == (
            "Error: inner runs 92.5 % of its branches under test, and pyproject.toml demands 95 %: "
            "the largest holes are in inner/b.py (3->exit, 7->9, 9, 20->22, 20->24).\n"
        )

    def test_lines_are_demanded_too(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        straight = entry((40, 40), (80, 100), list(range(11, 31)), [])
        assert main([str(report(tmp_path, inner__a=WHOLE, outer__a=straight))]) == 1
        assert capsys.readouterr().err == (
            "Error: outer runs 80.0 % of its lines under test, and pyproject.toml demands 85 %: "
            "the largest holes are in outer/a.py (11, 12, 13, 14, 15, 16, ...).\n"
        )

    def test_the_file_with_the_most_holes_comes_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        small = entry((30, 40), (100, 100), [], [(5, 6)])
        main([str(report(tmp_path, inner__a=WHOLE, outer__small=small, outer__large=HOLED))])
        assert "are in outer/large.py (3->exit, 7->9, 9, 20->22, 20->24), outer/small.py (5->6)." in (
            capsys.readouterr().err
        )

    def test_a_report_that_is_not_there_is_no_success(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([str(tmp_path / "none.json")]) == 2
        assert capsys.readouterr().err.endswith("none.json cannot be read: No such file or directory.\n")


class TestReport:
    def test_it_must_tell_of_branches(self, tmp_path: Path) -> None:
        with pytest.raises(NotSaid, match="tells nothing of branches"):
            read_report(report(tmp_path, branch_coverage=False, inner__a=WHOLE, outer__a=WHOLE), LIMITS)

    @pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"meta": {"branch_coverage": true}, "files": {"a": {}}}'])
    def test_what_is_none_is_told(self, tmp_path: Path, text: bytes) -> None:
        (tmp_path / "report.json").write_bytes(text)
        with pytest.raises(NotSaid, match=r"report\.json is no report of coverage\.py"):
            read_report(tmp_path / "report.json", LIMITS)

    def test_a_package_of_which_nothing_ran_is_not_taken_for_whole(self, tmp_path: Path) -> None:
        idle = entry((0, 0), (0, 3), [1, 2, 3], [])
        for written in (report(tmp_path / "without", inner__a=WHOLE), report(tmp_path, inner__a=WHOLE, outer__a=idle)):
            with pytest.raises(NotSaid, match="Nothing of outer has run"):
                read_report(written, LIMITS)

    def test_every_package_has_a_limit(self, tmp_path: Path) -> None:
        with pytest.raises(NotSaid, match=r"new/a\.py was measured, and .* has no limit for new"):
            read_report(report(tmp_path, inner__a=WHOLE, outer__a=WHOLE, new__a=WHOLE), LIMITS)


class TestFigures:
    def test_a_figure_is_never_rounded_up(self) -> None:
        part = Part(9499, 10_000)
        assert (str(part), part.reaches(95)) == ("94.9 %", False)
        assert (str(Part(95, 100)), Part(95, 100).reaches(95)) == ("95.0 %", True)

    def test_nothing_to_run_is_all_of_it(self) -> None:
        assert (str(Part(0, 0)), Part(0, 0).reaches(95)) == ("100.0 %", True)


def test_what_is_measured_is_what_has_limits() -> None:
    measured = tomllib.loads(PROJECT.read_text())["tool"]["coverage"]["run"]["source"]
    assert list(read_limits()) == measured
