"""The logs of a home: appended to, bounded, and read for the last words of a server that ended."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from .ownership import open_for_owner

LIMIT_BYTES = 4 * 1024 * 1024
_TAIL_BYTES = 4096


def open_log(path: Path) -> BinaryIO:
    """Open a log to append to. Appending is what lets `trim` cut it under a process that has it open."""
    return os.fdopen(open_for_owner(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "wb", buffering=0)


def trim(path: Path, limit: int = LIMIT_BYTES) -> None:
    """Move what a log holds to ``*.1`` when it is over the limit; twice the limit is the most there is."""
    try:
        if path.stat().st_size <= limit:
            return
    except FileNotFoundError:
        return
    older = path.with_suffix(path.suffix + ".1")
    # A full disk is no reason to keep the log: the copy is worth less than the room.
    with contextlib.suppress(OSError):
        older.unlink(missing_ok=True)
        with path.open("rb") as log, open_log(older) as copy:
            shutil.copyfileobj(log, copy)
    os.truncate(path, 0)


def last_lines(path: Path, count: int = 8) -> list[str]:
    """The last lines of a log; none if it cannot be read."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
