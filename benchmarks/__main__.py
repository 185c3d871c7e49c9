"""`python -m benchmarks [NAME ...] [--quick]`: the benchmarks named, or all of them; `--quick` for a look."""

import asyncio
import sys

from benchmarks import append, boards, growth, http, limits, projections, queue, reads, time_travel, tracing
from benchmarks.rows import report

MODULES = (append, boards, growth, http, limits, projections, queue, reads, time_travel, tracing)
BENCHMARKS = {module.NAME: module.run for module in MODULES}


def main() -> None:
    arguments = sys.argv[1:]
    names = [name for name in arguments if not name.startswith("-")] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"There is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.")
    for name in names:
        report(name, asyncio.run(BENCHMARKS[name]("--quick" in arguments)))


if __name__ == "__main__":
    main()
