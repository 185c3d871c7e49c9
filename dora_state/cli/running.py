"""Running the asynchronous part of a command, so that a signal ends it quickly and cleanly."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from dora_state.cli.output import say

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAVING_SECONDS = 45.0
"""How long work that ends by itself may take for that; longer than any part of it allows itself."""


def run(
    work: Coroutine[Any, Any, int],
    *,
    on_signal: Callable[[], None] | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Run to the end and give the exit code.

    SIGINT or SIGTERM cancels the work, or calls `on_signal` if it is given and lets the work end by itself;
    a second signal leaves at once, and so does an end that takes longer than LEAVING_SECONDS. The servers are told by
    the kernel, so they stop in every case.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(_watched(work, on_signal))
        except _Interrupted as interrupted:
            # Not by the interpreter's way out: it would wait for threads that wait for a server.
            say("Interrupted.")
            leave_at_once(128 + interrupted.signal)


def leave_at_once(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        # A stream that was closed before we began is None.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


class _Interrupted(Exception):
    def __init__(self, number: int) -> None:
        self.signal = number
        super().__init__(number)


async def _watched(work: Coroutine[Any, Any, int], on_signal: Callable[[], None] | None) -> int:
    task = asyncio.ensure_future(work)
    received: list[int] = []

    def receive(number: int) -> None:
        received.append(number)
        if len(received) > 1:
            leave_at_once(128 + number)
        elif on_signal is not None:
            on_signal()
            loop.call_later(LEAVING_SECONDS, give_up, number)
        else:
            # The driver tells of each query that is broken off half way; whoever breaks off knows.
            logging.getLogger("psycopg").setLevel(logging.ERROR)
            task.cancel()

    def give_up(number: int) -> None:
        say(f"Left after {LEAVING_SECONDS:g} s with work under way: who got no answer asks again with the same ids.")
        leave_at_once(128 + number)

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, receive, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise _Interrupted(received[0]) from None
