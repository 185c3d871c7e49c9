"""What operators do meanwhile by the command line: rebuilds, exports, imports; it may fail, and never crash."""

import asyncio
import random
import subprocess
from collections import Counter
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
            name = self.chance.choice([*ERRANDS, "import"])
            await self._one(name)
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))

    async def _one(self, name: str) -> None:
        self.number += 1
        words = ERRANDS.get(name) or ["--tenant", f"imported_{self.number}", "import", "xes", str(self.stage.older)]
        process = await asyncio.to_thread(
            self.stage.line.start, *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            async with asyncio.timeout(PATIENCE):
                _, told = await asyncio.to_thread(process.communicate)
        finally:
            process.kill()
        self.done[name, process.returncode] += 1
        if b"Traceback" in told or process.returncode not in EXPECTED:
            self.crashed.append(f"{name} ended with {process.returncode}: {told.decode()[-2000:]}")
