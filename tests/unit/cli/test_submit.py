"""What `submit` says at its end."""

from collections import Counter
from typing import cast

import pytest

from commands.envelope import Problem
from dora_state.cli.output import Output
from dora_state.cli.submit import _Run
from dora_state.state_manager import StateManager


@pytest.mark.parametrize(("as_json", "times"), [(True, 1), (False, 0)])
def test_why_it_stopped_is_told_once(as_json: bool, times: int, capsys: pytest.CaptureFixture[str]) -> None:
    """People have read it with the answer already."""
    run = _Run(cast(StateManager, None), Output(as_json=as_json), 1)
    run._outcomes = Counter(failed=1)
    run._stopped = Problem("importing", "The tenant is importing.")
    run.summarise()
    told = capsys.readouterr().err
    assert "Stopped there" in told
    assert told.count("The tenant is importing.") == times
