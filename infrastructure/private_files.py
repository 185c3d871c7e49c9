"""Files and directories for their owner alone, whatever the umask is: they hold what was recorded."""

import os
from pathlib import Path
from typing import BinaryIO


def make_private(directory: Path) -> None:
    """Make a directory, and the one that it is in, where they are missing; what is there keeps its mode."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def create(path: Path, *, buffering: int = -1) -> BinaryIO:
    """Open a file to write it anew. Raises OSError."""
    return open(path, "wb", buffering=buffering, opener=_open)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
