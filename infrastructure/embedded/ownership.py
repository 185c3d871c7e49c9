"""Who owns what is made in a home: the owner of its directory, also when root makes it."""

from __future__ import annotations

import os
from pathlib import Path


def open_for_owner(path: Path, flags: int) -> int:
    """Open a file, made with mode 0600 if ``flags`` say so, as a descriptor that no child inherits.

    What root makes in somebody's home stays usable for that somebody.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor
