"""Processes whose files may not grow, as where a quota or a disk is full."""

import contextlib
import os
import subprocess
from collections.abc import Sequence

import psutil

GONE = (psutil.NoSuchProcess, FileNotFoundError, ValueError, ProcessLookupError)


def limit_files(processes: Sequence[psutil.Process], size: int | None) -> None:
    """How long their files may become, in bytes; as their own user, who alone may say so."""
    limit = "unlimited" if size is None else str(size)
    for process in processes:
        with contextlib.suppress(*GONE):
            owner, group = process.uids().real, process.gids().real
            words = ["prlimit", f"--pid={process.pid}", f"--fsize={limit}:unlimited"]
            own = os.geteuid() == owner
            subprocess.run(
                words, capture_output=True, check=False, user=None if own else owner, group=None if own else group
            )
