"""Locks of a home: advisory ``flock`` on files, which the kernel frees however their holder ends.

A lock belongs to the open file, not to a process id, so nothing here trusts a pid. A lock is also held by
those that inherited the open file: the servers inherit their own lock on purpose, and no other.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .ownership import open_for_owner


def open_lock(path: Path) -> int:
    """Open the lock file, made if it is missing, as a descriptor that no child inherits."""
    return open_for_owner(path, os.O_RDWR | os.O_CREAT)


def try_exclusive(descriptor: int) -> bool:
    """Take the lock for this holder alone; False, at once, if anybody else has it."""
    return _try(descriptor, fcntl.LOCK_EX)


def try_shared(descriptor: int) -> bool:
    """Take the lock beside other sharers; False, at once, if somebody has it alone."""
    return _try(descriptor, fcntl.LOCK_SH)


def unlock(descriptor: int) -> None:
    """Free the lock, also for those that inherited this open file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock alone at this moment."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        return try_shared(descriptor)
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
