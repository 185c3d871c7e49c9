"""What operators do by the command line: rebuilds, exports, imports. Meanwhile it may fail, and never crash; afterwards
it must be done.
"""

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

from dora_state.cli.exits import Exit
from tests.torture.stage import Stage

ERRANDS: dict[str, list[str]] = {
    "rebuild": ["rebuild", "all"],
    "export": ["export", "jsonl"],
    "health": ["health"],
    "board": ["board", "--by", "agent"],
    "audit": ["audit"],
    "maintain": ["maintain"],
    "diff": ["diff", "agent", "agent-1", "1", "now"],
}
EXPECTED = {Exit.DONE, Exit.REFUSED, Exit.NOT_FOUND, Exit.UNAVAILABLE}
"""Whatever is away meanwhile."""
PATIENCE = 90.0
"""Seconds."""
IN_PEACE = {Exit.DONE}
CLOCK_SET = {Exit.DONE, Exit.REFUSED}
"""Of which health warns in the end."""
IN_PEACE_PATIENCE = 300.0
"""All at once take longer than one after the other."""


@dataclass(slots=True)
class Errands:
    """`done` counts by name and exit code; `crashed` is what stderr said of those that crashed."""

    stage: Stage
    chance: random.Random
    done: Counter[tuple[str, int]] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    number: int = 0

    async def run(self) -> None:
        """For ever, one after the other."""
        while True:
            await self._one(self.chance.choice([*ERRANDS, "import"]))
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))

    async def in_peace(self) -> None:
        """Each once more, all of them at once, as nothing is broken any more: who does not do it has crashed."""
        expected = {**dict.fromkeys([*ERRANDS, "import"], IN_PEACE), "health": CLOCK_SET}
        await asyncio.gather(*(self._one(name, codes, IN_PEACE_PATIENCE) for name, codes in expected.items()))

    async def _one(self, name: str, expected: Set[int] = EXPECTED, patience: float = PATIENCE) -> None:
        self.number += 1
        words = ERRANDS.get(name) or ["--tenant", f"imported_{self.number}", "import", "xes", str(self.stage.older)]
        process = await asyncio.to_thread(
            self.stage.line.start, *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            async with asyncio.timeout(patience):
                _, told = await asyncio.to_thread(process.communicate)
        except TimeoutError:
            self.crashed.append(f"{name} did not come to its end within {patience:g} s.")
            return
        finally:
            process.kill()
        self.done[name, process.returncode] += 1
        if b"Traceback" in told or process.returncode not in expected:
            self.crashed.append(f"{name} ended with {process.returncode}: {told.decode()[-2000:]}")
