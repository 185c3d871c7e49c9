"""What torture makes of errands: while things break, and when nothing does any more."""

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dora_state.cli.exits import Exit
from tests.torture import errands as module
from tests.torture.errands import NAMES, Errands
from tests.torture.stage import Stage


def _errands(programs: Mapping[str, str]) -> Errands:
    """Each errand is a program by its name, and one that does it at once if there is none."""

    def start(*words: str, **how: Any) -> subprocess.Popen[bytes]:
        name = "import" if "import" in words else words[0]
        return subprocess.Popen([sys.executable, "-S", "-c", programs.get(name, "")], **how)

    stage = SimpleNamespace(line=SimpleNamespace(start=start), older=Path("older.xes"))
    return Errands(cast(Stage, stage), random.Random(1))


def _ends(code: int, says: str = "", out: str = "") -> str:
    return f"import os, sys; os.write(1, {out.encode()!r}); os.write(2, {says.encode()!r}); os._exit({code})"


def _health(**statuses: str) -> str:
    checks = {name: {"status": status} for name, status in statuses.items()}
    return _ends(Exit.REFUSED, out=json.dumps({"checks": checks}))


async def test_in_the_end_each_must_be_done_and_health_may_warn_of_the_clock() -> None:
    good = _errands({"health": _health(clock="warning", queue="healthy")})
    await good.once_more()
    assert good.crashed == []
    assert sorted(good.in_peace) == sorted(NAMES)
    bad = _errands({"health": _health(dead_letters="warning"), "import": _ends(Exit.UNAVAILABLE, "No answer.")})
    await bad.once_more()
    assert sorted(bad.in_peace) == sorted(set(NAMES) - {"health", "import"})
    assert sorted(bad.crashed) == [
        'With nothing broken any more, health ended with 1: {"checks": {"dead_letters": {"status": "warning"}}}',
        "With nothing broken any more, import ended with 4: No answer.",
    ]


async def test_meanwhile_anything_may_be_away_but_nothing_crash() -> None:
    errands = _errands({"audit": _ends(Exit.UNAVAILABLE), "export": _ends(0, "Traceback of nobody"), "board": _ends(9)})
    for name in ("audit", "diff", "export", "board"):
        await errands.meanwhile(name)
    assert errands.done == {("audit", 4): 1, ("diff", 0): 1, ("export", 0): 1, ("board", 9): 1}
    assert errands.crashed == ["export ended with 0: Traceback of nobody", "board ended with 9: "]


async def test_one_that_comes_to_no_end_is_told_with_what_it_said_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    errands = _errands({"rebuild": "import os, time; os.write(2, b'Waiting.'); time.sleep(60)"})
    await errands.meanwhile("rebuild")
    assert errands.crashed == ["rebuild did not come to its end within 1 s: Waiting."]
    assert not errands.done
