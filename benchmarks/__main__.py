"""`make bench`: all benchmarks; `--quick` for a look."""

import asyncio
import sys

from benchmarks.append import bench_append
from benchmarks.rows import report


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    rows = asyncio.run(bench_append(rounds=1, seconds=2.0) if quick else bench_append())
    report("append", rows)


if __name__ == "__main__":
    main()
