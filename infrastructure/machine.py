"""The figures of this machine that health is judged by: memory and disk."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from infrastructure.control_groups import MOUNTED, PROC, memory_limits


@dataclass(frozen=True, slots=True)
class MemoryVitals:
    """Of the machine, None where it does not tell; `own_bytes` are those of this process.

    `limited`: of the control group of this process, such as a container, which has less of its limit left.
    """

    total_bytes: int | None
    available_bytes: int | None
    own_bytes: int | None
    limited: bool = False


@dataclass(frozen=True, slots=True)
class DiskVitals:
    path: Path
    total_bytes: int
    free_bytes: int


def memory_vitals(proc: Path = PROC, groups: Path = MOUNTED) -> MemoryVitals:
    """What Linux tells, of the machine or of the control group that has less left; elsewhere nothing is known."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        told = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        own = int((proc / "self" / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return MemoryVitals(None, None, None)
    total, available = told.get("MemTotal"), told.get("MemAvailable")
    if not total or available is None:
        return MemoryVitals(total, available, own)
    # The first version says that there is no limit by one that no machine has.
    limits = [(limit, left) for limit, left in memory_limits(proc, groups) if 0 < limit < total]
    limit, left = min(limits, key=lambda one: one[1] / one[0], default=(total, available))
    if left / limit < available / total:
        return MemoryVitals(limit, left, own, limited=True)
    return MemoryVitals(total, available, own)


def disk_vitals(path: Path) -> DiskVitals:
    """Of the file system that holds a path, or will when it is made. Raises OSError."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    usage = shutil.disk_usage(existing)
    return DiskVitals(path, usage.total, usage.free)
