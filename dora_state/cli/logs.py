"""What the parts report while they work: one plain sentence each on stderr."""

import logging
import sys
import time
import traceback
from collections.abc import Callable

from dora_state.cli.output import say
from dora_state.watching.redaction import redactor

AGAIN_SECONDS = 60.0
"""Until then the same sentence is not told again: whoever waits for a server tries every second."""
_REMEMBERED = 100


class SpokenWarnings(logging.Handler):
    """Tells records as the command line tells everything, with a traceback only for those who ask for it."""

    def __init__(self, *, debug: bool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.redact = redactor()
        self._debug = debug
        self._clock = clock
        self._told: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        sentence = " ".join(record.getMessage().split())
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            sentence += f": {type(error).__name__}: {' '.join(str(error).split())}"
        sentence = self.redact(sentence)
        now = self._clock()
        if now - self._told.get(sentence, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[sentence] = now
        say(sentence)
        if error is not None and self._debug and sys.stderr is not None:
            sys.stderr.write(self.redact("".join(traceback.format_exception(error))))


def speak_warnings(*, debug: bool) -> None:
    """Let every warning be told, but those of the driver's pool and of dramatiq: what they mean, our own say."""
    logging.basicConfig(level=logging.WARNING, handlers=[SpokenWarnings(debug=debug)])
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    logging.getLogger("dramatiq").setLevel(logging.CRITICAL + 1)
