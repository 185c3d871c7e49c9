"""A plugin of pytest for the run: the fastest tests first, as one that fails is enough."""

import json
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")
"""What mutmut writes of the run without mutants, in the folder where pytest is run then."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Not there yet in that first run.
    took = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}
    items.sort(key=lambda item: took.get(item.nodeid, 0.0))
