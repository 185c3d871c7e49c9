"""What the control groups of this process let it have of memory: a container's limit is one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MOUNTED = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class _Version:
    """Where a version of control groups has what. `reclaimable`: file pages that give way, which count as used."""

    controller: str
    directory: str
    limit: str
    used: str
    reclaimable: str


_SECOND = _Version("", "", "memory.max", "memory.current", "inactive_file")
_FIRST = _Version("memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def memory_limits(proc: Path = PROC, mounted: Path = MOUNTED) -> list[tuple[int, int]]:
    """Limit and bytes that are left of it, for each group that has a limit: its own group and those around it."""
    return [found for version in (_SECOND, _FIRST) for found in _of(version, proc, mounted / version.directory)]


def _of(version: _Version, proc: Path, root: Path) -> Iterator[tuple[int, int]]:
    inside = _path(version, proc)
    if inside is None:
        return
    own = root / inside
    # In a container the path may be that on the host, which is not to be seen there; its own group is the root then.
    for group in (own, *own.parents) if own.is_dir() else (root,):
        if not group.is_relative_to(root):
            return
        try:
            limit = int((group / version.limit).read_text())
            used = int((group / version.used).read_text())
            told = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield limit, max(limit - used + int(told.get(version.reclaimable, 0)), 0)
        except (OSError, ValueError):
            continue  # no limit ("max"), or a group without the controller


def _path(version: _Version, proc: Path) -> str | None:
    """That of this process's group, below the root; None where the version has none."""
    try:
        lines = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text().splitlines()]
        return next((path.lstrip("/") for _, names, path in lines if version.controller in names.split(",")), None)
    except (OSError, ValueError):
        return None
