"""The memory that an import needs does not grow with the log.

Peaks of the importing process and of the one that projects are compared for a log and one of four times its
size. Both logs fill every bounded cache (made small for it) and a run of the sort, so that nothing but growth
can make a difference.
"""

import asyncio
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.migrations import drop_tenant, migrate
from tests.support.importing import Tenant
from tests.support.tenants import new_name
from tests.support.xes_logs import HEAD, TAIL, LoggedEvent, LoggedTrace, at

pytestmark = pytest.mark.timeout(1_200)

ROOT = Path(__file__).parents[2]
TRACES = 3_000
TIMES = 4
MORE = 1.10
CACHE_SIZE = 4_000
"""Far less than the aggregates of the smaller log: it has 24,000 tasks."""

STEPS = ("schedule", "start", "complete")

MEASURE = """
import asyncio, json, resource, sys
from pathlib import Path
from dora_state.importing import import_xes
from dora_state.settings import load_settings
from tests.support.importing import Quiet

report = asyncio.run(import_xes(load_settings(), Path(sys.argv[1]), progress=Quiet()))
peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"events": report.events_imported, "importing": peaks[0], "projecting": peaks[1]}))
"""


def trace(number: int) -> LoggedTrace:
    """Some forty traces are open at a time, however many there are."""
    events = (
        LoggedEvent(f"Activity {n // 3}", STEPS[n % 3], at(60 * number + 100 * n), f"agent-{(number + n // 3) % 60}")
        for n in range(24)
    )
    return LoggedTrace(f"case-{number}", tuple(events), {"AMOUNT_REQ": number, "note": "x" * 100})


def write(path: Path, traces: int) -> Path:
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.write(HEAD)
        for number in range(traces):
            file.write(trace(number).xml())
        file.write(TAIL)
    return path


def peaks(tmp_path: Path, database_url: str, redis_url: str, traces: int) -> dict[str, int]:
    tenant = Tenant(new_name(), tmp_path / "home", database_url, redis_url)
    asyncio.run(migrate(database_url, tenant.name))
    try:
        chosen = {"DORA_STATE_HOME": str(tenant.home), "DORA_STATE_CACHE_SIZE": str(CACHE_SIZE)}
        log = write(tmp_path / "log.xes.gz", traces)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(log)],
            cwd=ROOT,
            env=os.environ | tenant.variables | chosen,
            capture_output=True,
            check=True,
        )
        found: dict[str, int] = json.loads(done.stdout)
        return found
    finally:
        asyncio.run(drop_tenant(database_url, tenant.name))


def test_four_times_the_log_takes_no_more_memory(tmp_path: Path, database_url: str, redis_url: str) -> None:
    small, large = [peaks(tmp_path, database_url, redis_url, traces) for traces in (TRACES, TIMES * TRACES)]
    print(f"peak KiB: {small} and {large}")  # noqa: T201  # the figures are what it is run for
    assert large["events"] == TIMES * small["events"]
    for process in ("importing", "projecting"):
        assert large[process] < small[process] * MORE, process
