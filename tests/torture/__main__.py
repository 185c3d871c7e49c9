"""`python -m tests.torture --seconds 600 --seed 1`: prints a report; 0 if all is as promised."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.torture.rig import torture


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description="Break everything, and see that nothing is lost.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--report", type=Path, default=None, help="also write the report into this file")
    parser.add_argument("--only", action="append", default=None, help="only faults of this kind; may be repeated")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    report = asyncio.run(torture(asked.seconds, seed, only=asked.only))
    text = "\n".join(report.lines())
    sys.stdout.write(f"{text}\n")
    if asked.report is not None:
        asked.report.write_text(text + "\n")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
