"""`make mutate`: 0 if every mutant is killed by a test, or explained in `survivors.toml`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.mutation import on_python, on_sql
from tests.mutation.laying_out import ROOT, NotRun
from tests.mutation.mutants import Mutant
from tests.mutation.parts import PARTS, Part
from tests.mutation.survivors import FILE, Verdict, judge, read_known

Run = Callable[[Part, Path, Iterable[str], Sequence[str], int, bool], list[Mutant]]


def run(
    part: Part, place: Path, left_out: Iterable[str], names: Sequence[str], at_once: int, goes_on: bool
) -> list[Mutant]:
    if part.sql:
        return on_sql.run(part, place, names, at_once, goes_on)
    return on_python.run(part, place, left_out, names, at_once, goes_on)


def main(arguments: Sequence[str] | None = None, run: Run = run) -> int:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--only", choices=[part.name for part in PARTS], help="one part")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="how many mutants are tried at once")
    parser.add_argument("--go-on", action="store_true", help="go on with a run that was cut short")
    parser.add_argument("names", nargs="*", help="mutants by name, such as 'domain.task.x_start__mutmut_*'")
    given = parser.parse_args(arguments)
    known = read_known(FILE.read_text())
    told = {}
    for part in PARTS:
        if given.only in (None, part.name):
            try:
                folder = ROOT / "build" / "mutation" / part.name
                mutants = run(part, folder, known.left_out, given.names, given.at_once, given.go_on)
            except NotRun:
                print(f"Error: the mutants of {part.name} could not be tried; see above.", file=sys.stderr)
                return 2
            told[part.name] = judge(mutants, known.explained, whole=not given.names)
    for name, verdict in told.items():
        print(_told(name, verdict))
    return 0 if all(verdict.is_good for verdict in told.values()) else 1


def _told(name: str, verdict: Verdict) -> str:
    lines = [f"\n{mutant.name} survived: {mutant.change}" for mutant in verdict.unexplained]
    lines += [f"\nwas not tried, or its tests could not be run: {mutant.name}" for mutant in verdict.untried]
    lines += [f"\nis explained, and there is no such mutant any more: {change}" for change in verdict.gone]
    lines += [f"\nis explained, and did not survive this time: {change}" for change in verdict.killed_now]
    return "\n".join([*lines, f"{name}: {verdict}."])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing that it has begun outlives it
    sys.exit(main())
