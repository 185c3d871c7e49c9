"""`make fuzz DURATION=3600 SEED=1`: rounds of everything that is fuzzed, until the time is over.

0 if something was tried and nothing failed. Each round has a seed of its own and takes a few minutes; the last ones are
finished. What fails is printed with how to repeat it.
"""

import argparse
import os
import random
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.support.durations import seconds

LANES = {
    "words, files, settings, the command line": ["tests/fuzz"],
    "HTTP": [f"tests/integration/test_http_{name}.py" for name in ("fuzz", "hostile", "wire")],
}
EACH_OPERATION, EACH_PROPERTY = "20", "fuzz"
_TRIED = re.compile(r"(\d+) passing, (\d+) failing, and (\d+) invalid")


@dataclass(slots=True)
class Lane:
    """What was tried in one of them; `failed` is what pytest printed."""

    name: str
    paths: list[str]
    rounds: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    failed: str = ""

    def run(self, until: float, seeds: Iterator[int]) -> None:
        while time.monotonic() < until and not self.failed:
            self._round(next(seeds))

    def _round(self, seed: int) -> None:
        options = ["-q", "-x", "-n", "0", "--hypothesis-show-statistics", f"--hypothesis-seed={seed}", "--timeout=3600"]
        command = [sys.executable, "-m", "pytest", *options, *self.paths]
        tried = {"HYPOTHESIS_PROFILE": EACH_PROPERTY, "DORA_STATE_TEST_FUZZ": EACH_OPERATION}
        # What fails may print anything.
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", env=os.environ | tried, check=False
        )
        self.rounds += 1
        for passing, _, invalid in _TRIED.findall(done.stdout):
            self.tried.update(passing=int(passing), invalid=int(invalid))
        if done.returncode:
            again = f"{' '.join(f'{name}={value}' for name, value in tried.items())} {shlex.join(command)}"
            self.failed = f"Once more: {again}\n{done.stdout[-20_000:]}{done.stderr[-2_000:]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Give what nobody means to every way in.")
    parser.add_argument("--duration", type=seconds, default=3600.0, help="seconds, at least (3600)")
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    lanes = [Lane(name, paths) for name, paths in LANES.items()]
    until = time.monotonic() + asked.duration
    with ThreadPoolExecutor() as threads:
        running = [
            threads.submit(lane.run, until, iter(range(1_000 * seed + 500_000_000 * number, 10**12)))
            for number, lane in enumerate(lanes)
        ]
    for lane in lanes:
        sys.stdout.write(f"{lane.name}: {lane.rounds} rounds, {lane.tried['passing']:,} inputs, seed {seed}.\n")
        sys.stdout.write(lane.failed)
    for done in running:
        done.result()  # a lane that could not go on is no success
    return 0 if all(lane.tried["passing"] and not lane.failed for lane in lanes) else 1


if __name__ == "__main__":
    sys.exit(main())
