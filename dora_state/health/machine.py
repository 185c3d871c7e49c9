"""How the machine is: its memory, what processes of ours take of it, and its disk."""

from collections.abc import Sequence
from datetime import timedelta

from domain.values import iso
from dora_state.health.judging import GIGA, MEGA, Check, Figure, Figures, Status, graded
from infrastructure.machine import DiskVitals, MemoryVitals
from infrastructure.vitals import ProcessMemory

MEMORY_LEFT = 0.10
MEMORY_NEARLY_GONE = 0.03
GROWN_BY_PART = 0.5
GROWN_BY_BYTES = 200_000_000
DISK_LEFT = 0.10
DISK_NEARLY_FULL = 0.02


def judge_memory(found: MemoryVitals, processes: Sequence[ProcessMemory] = ()) -> Check:
    figures: Figures = {
        "total_bytes": found.total_bytes,
        "available_bytes": found.available_bytes,
        "own_bytes": found.own_bytes,
        "limited": found.limited,
        "processes": [
            {
                "process": one.process,
                "since": iso(one.since),
                "first_bytes": one.first_bytes,
                "most_bytes": one.most_bytes,
                "last_bytes": one.last_bytes,
            }
            for one in processes
        ],
    }
    if not found.total_bytes or found.available_bytes is None:
        status: Status = "healthy"
        message = "This machine does not tell how much memory it has."
    else:
        left = found.available_bytes / found.total_bytes
        status = graded(-left, -MEMORY_LEFT, -MEMORY_NEARLY_GONE)
        message = f"{_of(found.available_bytes, found.total_bytes)} of memory are {_available(found)}."
    # Who is warned of is named, also where another grew by more that is little for its size.
    growing = max(processes, key=lambda one: (_grows_fast(one), _growth(one)), default=None)
    if growing is not None and _growth(growing) >= MEGA:  # less does not show in MB
        message = f"{message} {_grown(growing)}"
        if _grows_fast(growing) and status == "healthy":
            status = "warning"
    return Check(status, message, figures)


def _of(part: int, whole: int) -> str:
    """In MB where a tenth of a GB is too coarse."""
    if whole < 4 * GIGA:
        return f"{part / MEGA:.0f} of {whole / MEGA:.0f} MB"
    return f"{part / GIGA:.1f} of {whole / GIGA:.1f} GB"


def _available(found: MemoryVitals) -> str:
    return "left to this process's container or control group" if found.limited else "available"


def _growth(process: ProcessMemory) -> int:
    return process.last_bytes - process.first_bytes


def _grows_fast(process: ProcessMemory) -> bool:
    grown = _growth(process)
    return grown > GROWN_BY_BYTES and grown > GROWN_BY_PART * process.first_bytes


def _grown(process: ProcessMemory) -> str:
    minutes = round((process.until - process.since) / timedelta(minutes=1))
    first, last = process.first_bytes / MEGA, process.last_bytes / MEGA
    unit = "minute" if minutes == 1 else "minutes"
    return f"Process {process.process} has grown from {first:.0f} to {last:.0f} MB within {minutes} {unit}."


def judge_disk(found: DiskVitals) -> Check:
    figures: dict[str, Figure] = {
        "path": str(found.path),
        "total_bytes": found.total_bytes,
        "free_bytes": found.free_bytes,
    }
    left = found.free_bytes / found.total_bytes if found.total_bytes else 1.0
    message = f"{found.free_bytes / GIGA:.1f} of {found.total_bytes / GIGA:.1f} GB are free where the home is."
    return Check(graded(-left, -DISK_LEFT, -DISK_NEARLY_FULL), message, figures)
