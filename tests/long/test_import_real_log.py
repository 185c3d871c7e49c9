"""The whole of the bank's log, imported and held against the raw file."""

from pathlib import Path

import pytest

from tests.e2e.test_import_real_log import (
    LOG,
    imported,
    pytestmark,
    raw,
    test_200_random_workflows_and_moments_agree_with_the_raw_log,
    test_the_command_line_shows_the_same,
    test_the_report_counts_what_is_in_the_raw_log,
)

__all__ = [
    "imported",
    "pytestmark",
    "raw",
    "test_200_random_workflows_and_moments_agree_with_the_raw_log",
    "test_the_command_line_shows_the_same",
    "test_the_report_counts_what_is_in_the_raw_log",
]


@pytest.fixture(scope="module")
def log() -> Path:
    return LOG
