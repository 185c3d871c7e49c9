"""Leaving: work that is told to end and does not is left."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import asyncio, sys
from dora_state.cli import running

async def work():
    print("at work", flush=True)
    await asyncio.Event().wait()

running.LEAVING_SECONDS = 0.2
sys.exit(running.run(work(), on_signal=lambda: None))
"""


def test_an_end_that_does_not_come_is_not_waited_for() -> None:
    words = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert told == "Left after 0.2 s with work under way: who got no answer asks again with the same ids.\n"
