"""Reads a file, a pipe or a terminal in a thread of its own, so that nothing else waits for it."""

import asyncio
import concurrent.futures
import errno
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from domain.errors import InvalidInput

CHUNK = 65_536
_CHUNKS_AHEAD = 4


class Source:
    """An open input. `size` is known of a regular file only."""

    def __init__(self, file: str) -> None:
        """`-` is stdin. Raises InvalidInput when it can't be opened."""
        self.name = "stdin" if file == "-" else file
        if file == "-" and sys.stdin is None:
            raise InvalidInput("stdin can't be read (it is closed); give it something, or name a file.", file="stdin")
        try:
            self._fd = os.dup(sys.stdin.fileno()) if file == "-" else os.open(Path(file), os.O_RDONLY)
            found = os.fstat(self._fd)
            if stat.S_ISDIR(found.st_mode):
                os.close(self._fd)
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None
        self.size = found.st_size if stat.S_ISREG(found.st_mode) else None

    def _unreadable(self, error: Exception) -> InvalidInput:
        reason = getattr(error, "strerror", None) or str(error)
        return InvalidInput(f"{self.name} can't be read ({reason}); check the path.", file=self.name)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come. Raises InvalidInput when reading fails midway.

        The thread is a daemon and reads without a lock of the interpreter: one that waits for a terminal
        keeps nobody from leaving.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[bytes | OSError] = asyncio.Queue(_CHUNKS_AHEAD)

        def hand_over(chunk: bytes | OSError) -> bool:
            """False once the loop has gone, and whoever asked with it."""
            putting = waiting.put(chunk)
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except (RuntimeError, concurrent.futures.CancelledError):
                putting.close()
                return False
            return True

        def read() -> None:
            chunk: bytes | OSError = b" "
            while chunk and not isinstance(chunk, OSError):
                try:
                    chunk = os.read(self._fd, CHUNK)
                except OSError as error:
                    chunk = error
                if not hand_over(chunk):
                    return

        threading.Thread(target=read, name="submissions", daemon=True).start()
        while chunk := await waiting.get():
            if isinstance(chunk, OSError):
                raise self._unreadable(chunk)
            yield chunk
