"""`worker`: its words, for people on stderr, for programs as JSON lines on stdout."""

import asyncio
import contextlib
from collections.abc import Sequence

from dora_state.cli.exits import Exit
from dora_state.cli.output import Output, OutputClosed, OutputFailed
from dora_state.cli.service_log import begin_log
from dora_state.memory import spare_the_collector
from dora_state.platform import now
from dora_state.servers import Say
from dora_state.settings import Settings
from dora_state.worker import WorkerRole, run_worker


async def work(settings: Settings, stop: asyncio.Event, roles: Sequence[WorkerRole], output: Output) -> int:
    """Work until told to stop. Raises LogUnavailable."""
    spare_the_collector()
    tell = begin_log(settings)
    await run_worker(settings, stop, _words(output) if output.as_json else tell, roles)
    return Exit.DONE


def _words(output: Output) -> Say:
    def tell(text: str) -> None:
        # Nobody who listens is no reason to stop working.
        with contextlib.suppress(OutputClosed, OutputFailed):
            output.json_line({"at": now(), "says": text})

    return tell
