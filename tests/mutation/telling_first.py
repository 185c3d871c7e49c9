"""A plugin of pytest for the run: tests that told the last mutants from the code first, then the fastest, as one that
fails is enough.
"""

import json
from pathlib import Path

import pytest

from tests.mutation.hanging import hung

STATS = Path("mutmut-stats.json")
"""What mutmut writes of the run without mutants, in the folder where pytest is run then."""
TOLD = Path("told.txt")
"""Beside it: the tests that failed, a line for each time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Neither is there yet in that first run.
    took = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}
    told = TOLD.read_text().splitlines() if TOLD.exists() else []
    last = {name: place for place, name in enumerate(told)}
    items.sort(key=lambda item: (-last.get(item.nodeid, -1), took.get(item.nodeid, 0.0)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and not hung(report):
        with TOLD.open("a") as file:
            file.write(f"{report.nodeid}\n")
