"""`make versions`: 0 if all that can be run here has passed; what can't be run is named."""

import argparse
import sys
from collections.abc import Callable, Sequence

from tests.versions.combinations import ALL, Combination, NotHere, Programs, find
from tests.versions.running import Counts, run

TESTS = ("tests/integration", "tests/contract")
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-q")
Run = Callable[[Combination, Programs, Sequence[str]], Counts]


def main(arguments: Sequence[str] | None = None, run: Run = run) -> int:
    parser = argparse.ArgumentParser(prog="make versions", description=__doc__)
    parser.add_argument("--only", help="combinations with these words, such as 'PostgreSQL 15'")
    parser.add_argument("--list", action="store_true", help="say what can be run here, and run nothing")
    given, rest = parser.parse_known_args(arguments)
    chosen = [one for one in ALL if given.only is None or given.only in str(one)]
    if not chosen:
        print(f"Error: There is no combination {given.only}; there are {'; '.join(map(str, ALL))}.", file=sys.stderr)
        return 2
    told: list[tuple[Combination, Counts | str]] = []
    for combination in chosen:
        try:
            programs = find(combination)
        except NotHere as missing:
            told.append((combination, f"not run: {missing}"))
            continue
        if given.list:
            told.append((combination, "can be run"))
            continue
        print(f"--- {combination}", flush=True)
        told.append((combination, run(combination, programs, [*SIDE_BY_SIDE, *(rest or TESTS)])))
    for combination, outcome in told:
        print(f"{combination}: {outcome}")
    return 0 if given.list else _code([outcome for _, outcome in told])


def _code(outcomes: Sequence[Counts | str]) -> int:
    ran = [outcome for outcome in outcomes if isinstance(outcome, Counts)]
    if not ran:
        print("Error: Nothing could be run here; install one of the above.", file=sys.stderr)
    return 0 if ran and all(one.is_good for one in ran) else 1


if __name__ == "__main__":
    sys.exit(main())
