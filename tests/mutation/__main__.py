"""`make mutate`: 0 if every mutant is killed by a test, or explained in `survivors.toml`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.mutation.mutants import read_mutants
from tests.mutation.parts import PARTS, Part
from tests.mutation.running import ROOT, NotRun, run
from tests.mutation.survivors import FILE, Verdict, judge, read_known

Run = Callable[[Part, Path, Iterable[str], Sequence[str], int, bool], list[Path]]


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
                places = run(part, folder, known.left_out, given.names, given.at_once, given.go_on)
            except NotRun:
                print(f"Error: mutmut could not try the mutants of {part.name}; see above.", file=sys.stderr)
                return 2
            told[part.name] = judge(read_mutants(places), known.explained, whole=not given.names)
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
    sys.exit(main())
