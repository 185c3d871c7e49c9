"""A plugin of pytest for the run: one script is another one, wherever a tenant is made.

The tests that told the last mutants from the code come first, then the fastest: one that fails is enough.
"""

import json
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from infrastructure import sql

MUTATED = "DORA_STATE_TEST_MUTATED"
"""A file: the script's name is that of the file, without the ending. Without one, nothing is mutated."""
ORDER = Path("order.json")
"""Tests by name, in the folder where pytest is run: those of `first`, then by the seconds that they `took`."""
TOLD = Path("told.json")
"""Beside the mutated file, else where pytest is run: what each test `took`, and which `failed`."""

_scripts = sql.scripts
_took: dict[str, float] = defaultdict(float)
_failed: list[str] = []


def mutated(directory: str) -> tuple[sql.Script, ...]:
    file = Path(os.environ[MUTATED])
    return tuple(
        replace(one, text=file.read_bytes()) if (directory, one.name) == ("functions", file.stem) else one
        for one in _scripts(directory)
    )


if MUTATED in os.environ:
    sql.scripts = mutated  # type: ignore[assignment]  # what keeps it in mind is not needed here


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ORDER.exists():
        order = json.loads(ORDER.read_text())
        first = {name: place for place, name in enumerate(order["first"])}
        items.sort(key=lambda item: (first.get(item.nodeid, len(first)), order["took"].get(item.nodeid, 0.0)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _took[report.nodeid] += report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    place = Path(os.environ[MUTATED]).parent if MUTATED in os.environ else Path()
    (place / TOLD).write_text(json.dumps({"took": _took, "failed": _failed}))
