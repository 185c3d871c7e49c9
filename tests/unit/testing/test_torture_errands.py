"""What torture makes of errands: while things break, and when nothing does any more."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from dora_state.cli.exits import Exit
from tests.torture.errands import ERRANDS, Errands
from tests.torture.stage import Stage


def _errands(programs: Mapping[str, str]) -> Errands:
    """Each errand is a program by its name, and one that does it at once if there is none."""

    def start(*words: str, **how: Any) -> subprocess.Popen[bytes]:
        name = words[words.index("import")] if "import" in words else words[0]
        return subprocess.Popen([sys.executable, "-S", "-c", programs.get(name, "")], **how)

    stage = SimpleNamespace(line=SimpleNamespace(start=start), older=Path("older.xes"))
    return Errands(cast(Stage, stage), random.Random(1))


def _ends(code: int, says: str = "") -> str:
    return f"import os, sys; os.write(2, {says.encode()!r}); os._exit({code})"


async def test_in_the_end_each_must_be_done_but_health_may_warn() -> None:
    good = _errands({"health": _ends(Exit.REFUSED)})
    await good.in_peace()
    assert good.crashed == []
    assert good.done == Counter(dict.fromkeys([(name, 0) for name in [*ERRANDS, "import"] if name != "health"], 1)) + (
        Counter({("health", Exit.REFUSED): 1})
    )
    bad = _errands({"health": _ends(Exit.UNAVAILABLE, "A check says no."), "import": _ends(Exit.REFUSED, "No file.")})
    await bad.in_peace()
    assert sorted(bad.crashed) == ["health ended with 4: A check says no.", "import ended with 1: No file."]


async def test_meanwhile_anything_may_be_away_but_nothing_crash() -> None:
    errands = _errands(
        {"audit": _ends(Exit.UNAVAILABLE), "export": _ends(0, "Traceback of nobody"), "board": _ends(-9 & 0xFF)}
    )
    for name in ("audit", "diff", "export", "board"):
        await errands._one(name)
    assert errands.crashed == ["export ended with 0: Traceback of nobody", "board ended with 247: "]


async def test_one_that_comes_to_no_end_is_told_and_ended() -> None:
    errands = _errands({"rebuild": "import time; time.sleep(60)"})
    await errands._one("rebuild", patience=0.2)
    assert errands.crashed == ["rebuild did not come to its end within 0.2 s."]
    assert not errands.done
