"""A plugin of pytest: where a test was ended as it took too long, the run ends as mutmut ends one that did so itself.

Whether the mutant hangs or the machine was busy, no test has told it from the code.
"""

import pytest

TOOK_TOO_LONG = 36
"""mutmut's own code."""
_HUNG: list[str] = []


def hung(report: pytest.TestReport) -> bool:
    return report.failed and "from pytest-timeout" in report.longreprtext


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if hung(report):
        _HUNG.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # mutmut runs the first round of all in the process that the others are forked from.
    if _HUNG and session.testsfailed <= len(_HUNG):
        session.exitstatus = TOOK_TOO_LONG
    _HUNG.clear()
