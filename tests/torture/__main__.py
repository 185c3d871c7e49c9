"""`make torture DURATION=600 SEED=1`: prints a report; 0 if all is as promised."""

import argparse
import asyncio
import random
import signal
import sys
from pathlib import Path

from tests.support.durations import seconds
from tests.torture.faults import KINDS
from tests.torture.rig import torture


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description="Break everything, and see that nothing is lost.")
    parser.add_argument("--duration", type=seconds, default=600.0, help="seconds in which things break (600)")
    parser.add_argument("--seed", type=int, default=None, help="what breaks, and when; by chance unless told")
    parser.add_argument("--report", type=Path, default=None, help="also write the report into this file")
    kinds = f"only faults of this kind, of {', '.join(KINDS)}; may be repeated"
    parser.add_argument("--only", action="append", default=None, choices=KINDS, metavar="KIND", help=kinds)
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it clears up, as at Ctrl-C
    try:
        report = asyncio.run(torture(asked.duration, seed, only=asked.only))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 128 + signal.SIGINT
    text = "\n".join(report.lines())
    sys.stdout.write(f"{text}\n")
    if asked.report is not None:
        asked.report.write_text(text + "\n")
    return 0 if report.is_good and not report.late else 1


if __name__ == "__main__":
    sys.exit(main())
