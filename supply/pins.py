"""What the locks pin."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})+)$")


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package at one version, with the SHA-256 of each file of it that may be installed."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def read_lock(path: Path) -> tuple[Pin, ...]:
    """The pins of a lock, by name. A line that pins nothing by hashes is a ValueError: it may bring anything."""
    lines = path.read_text().replace("\\\n", "").splitlines()
    return tuple(sorted(_pin(path, line) for line in lines if line.strip() and not line.lstrip().startswith("#")))


def read_locks(paths: Iterable[Path] | None = None) -> dict[Pin, list[str]]:
    """Every pin of every lock, with the names of the locks that have it."""
    found: dict[Pin, list[str]] = {}
    for path in sorted(REQUIREMENTS.glob("*.txt") if paths is None else paths):
        for pin in read_lock(path):
            found.setdefault(Pin(pin.name, pin.version), []).append(path.stem)
    return dict(sorted(found.items()))


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pin(path: Path, line: str) -> Pin:
    found = _PIN.match(line.strip())
    if found is None:
        raise ValueError(f"{path}: this pins nothing by hashes: {line.strip()[:80]}")
    hashes = tuple(sorted(re.findall(r"[0-9a-f]{64}", found["hashes"])))
    return Pin(canonical(found["name"]), found["version"], hashes)
