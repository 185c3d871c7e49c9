"""What operators do by the command line: rebuilds, exports, imports. Meanwhile it may fail, and never crash; afterwards
it must be done.
"""

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dora_state.cli.exits import Exit
from tests.support.command_line import Ended
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
NAMES = [*ERRANDS, "import"]
EXPECTED = {Exit.DONE, Exit.REFUSED, Exit.NOT_FOUND, Exit.UNAVAILABLE}
"""Whatever is away meanwhile."""
PATIENCE = 90.0
"""Seconds."""
IN_PEACE_PATIENCE = 300.0
"""All at once take longer than one after the other."""
HEALTH = ["health", "--json"]
OTHERS_DOING = {"clock", "memory", "disk"}
"""Of what health may warn in the end: torture has set the clock, and the machine is as it is."""


@dataclass(slots=True)
class Errands:
    """`done` counts by name and exit code; `in_peace` are those that were done in the end; `crashed` is what those that
    crashed have said.
    """

    stage: Stage
    chance: random.Random
    done: Counter[tuple[str, int]] = field(default_factory=Counter)
    in_peace: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    number: int = 0

    async def run(self) -> None:
        """For ever, one after the other."""
        while True:
            await self.meanwhile(self.chance.choice(NAMES))
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))

    async def meanwhile(self, name: str) -> None:
        ended = await self._one(name, self._words(name), PATIENCE)
        if ended is not None:
            self.done[name, ended.code] += 1
            if "Traceback" in ended.err or ended.code not in EXPECTED:
                self._crash(name, ended)

    async def once_more(self) -> None:
        """Each, all of them at once, as nothing is broken any more: who does not do it has crashed."""
        await asyncio.gather(*map(self._in_peace, NAMES))

    async def _in_peace(self, name: str) -> None:
        words = HEALTH if name == "health" else self._words(name)
        ended = await self._one(name, words, IN_PEACE_PATIENCE)
        if ended is None:
            return
        if ended.code == Exit.DONE or (name == "health" and ended.out and not _unwell(ended)):
            self.in_peace.append(name)
        else:
            self._crash(f"With nothing broken any more, {name}", ended)

    def _words(self, name: str) -> list[str]:
        self.number += 1
        return ERRANDS.get(name) or ["--tenant", f"imported_{self.number}", "import", "xes", str(self.stage.older)]

    async def _one(self, name: str, words: Sequence[str], patience: float) -> Ended | None:
        """None if it comes to no end, which is told as a crash."""
        stdout = subprocess.PIPE if words is HEALTH else subprocess.DEVNULL
        process = self.stage.line.start(*words, stdout=stdout, stderr=subprocess.PIPE)
        try:
            told = asyncio.create_task(asyncio.to_thread(process.communicate))
            ended, _ = await asyncio.wait({told}, timeout=patience)
        finally:
            process.kill()
        out, err = await told
        if not ended:
            self.crashed.append(f"{name} did not come to its end within {patience:g} s: {err.decode()[-2000:]}")
            return None
        return Ended(process.returncode, (out or b"").decode(), err.decode())

    def _crash(self, name: str, ended: Ended) -> None:
        self.crashed.append(f"{name} ended with {ended.code}: {ended.err[-2000:] or ended.out[-2000:]}")


def _unwell(health: Ended) -> list[str]:
    """Which checks are not healthy, and should be."""
    checks = health.json["checks"]
    return [name for name, check in checks.items() if check["status"] != "healthy" and name not in OTHERS_DOING]
