"""What `make coverage` demands: of each package, so much of its lines and of its branches has run.

The limits stand in pyproject.toml. 0: all hold; 1: one does not; 2: the report does not say.
"""

import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
FINE, BELOW, UNKNOWN = 0, 1, 2
NAMED = 5
"""How many files with holes a sentence names."""
PLACES = 6
"""How many places of a file."""


@dataclass(frozen=True, slots=True)
class Part:
    """So many of so many have run."""

    covered: int
    of: int

    def __add__(self, other: "Part") -> "Part":
        return Part(self.covered + other.covered, self.of + other.of)

    def __str__(self) -> str:
        """Never rounded up: what is below a limit must not look like it."""
        tenths = self.covered * 1000 // self.of if self.of else 1000
        return f"{tenths // 10}.{tenths % 10} %"

    def reaches(self, limit: int) -> bool:
        return self.covered * 100 >= self.of * limit


@dataclass(frozen=True, slots=True)
class File:
    """`holes` are lines that did not run (12), and branches that were not taken (12->14, 12->exit)."""

    path: str
    branches: Part
    lines: Part
    holes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path} ({', '.join(self.holes[:PLACES])}{', ...' if len(self.holes) > PLACES else ''})"


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    limit: int
    files: Sequence[File]

    @property
    def branches(self) -> Part:
        return sum((file.branches for file in self.files), Part(0, 0))

    @property
    def lines(self) -> Part:
        return sum((file.lines for file in self.files), Part(0, 0))

    def short_of(self) -> list[str]:
        """A sentence for each of its figures that is below the limit."""
        worst = sorted((file for file in self.files if file.holes), key=lambda file: -len(file.holes))[:NAMED]
        return [
            f"{self.name} runs {part} of its {what} under test, and pyproject.toml demands {self.limit} %:"
            f" the largest holes are in {', '.join(map(str, worst))}."
            for what, part in (("branches", self.branches), ("lines", self.lines))
            if not part.reaches(self.limit)
        ]


class NotSaid(Exception):
    """Why the report cannot be held against the limits, in a sentence."""


def read_limits(project: Path = PROJECT) -> dict[str, int]:
    limits: dict[str, int] = tomllib.loads(project.read_text())["tool"]["dora-state"]["coverage"]
    return limits


def read_report(report: Path, limits: Mapping[str, int]) -> list[Package]:
    """Of coverage.py's JSON. Raises NotSaid for one that leaves something open."""
    try:
        said = orjson.loads(report.read_bytes())
        if not said["meta"]["branch_coverage"]:
            raise NotSaid(f"{report} tells nothing of branches.")
        files = [_file(path, entry) for path, entry in said["files"].items()]
    except OSError as error:
        raise NotSaid(f"{report} cannot be read: {error.strerror}.") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise NotSaid(f"{report} is no report of coverage.py: {error!r}.") from error
    of: dict[str, list[File]] = {name: [] for name in limits}
    for file in files:
        name = file.path.partition("/")[0]
        if name not in of:
            raise NotSaid(f"{file.path} was measured, and pyproject.toml has no limit for {name}.")
        of[name].append(file)
    for name, its in of.items():
        if not any(file.lines.covered for file in its):
            raise NotSaid(f"Nothing of {name} has run, so nothing is known about it.")
    return [Package(name, limits[name], its) for name, its in of.items()]


def _file(path: str, entry: Mapping[str, Any]) -> File:
    summary = entry["summary"]
    lines = set(entry["missing_lines"])
    # What a line that did not run leads to needs no telling; a way out has a negative number.
    untaken = [(start, end) for start, end in entry["missing_branches"] if start not in lines]
    places = [(line, str(line)) for line in lines]
    places += [(start, f"{start}->{end if end > 0 else 'exit'}") for start, end in untaken]
    return File(
        path,
        Part(summary["covered_branches"], summary["num_branches"]),
        Part(summary["covered_lines"], summary["num_statements"]),
        tuple(place for _, place in sorted(places)),
    )


def main(arguments: Sequence[str]) -> int:
    [report] = arguments
    try:
        packages = read_report(Path(report), read_limits())
    except NotSaid as reason:
        print(f"Error: {reason}", file=sys.stderr)
        return UNKNOWN
    print(f"{'':16}{'branches':>10}{'lines':>10}{'limit':>8}")
    for one in packages:
        print(f"{one.name:16}{one.branches!s:>10}{one.lines!s:>10}{one.limit:>6} %")
    short = [sentence for one in packages for sentence in one.short_of()]
    for sentence in short:
        print(f"Error: {sentence}", file=sys.stderr)
    return BELOW if short else FINE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
