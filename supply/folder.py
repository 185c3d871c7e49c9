"""Advisories in files, for who may not ask anybody: an export of OSV, unpacked, or a copy of another such database."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from supply.known import NotAsked, Vulnerability, merged
from supply.osv import concerns, vulnerability
from supply.pins import Pin

OLDEST = timedelta(days=14)


class Folder:
    """What the files below a folder tell. It is not asked where its newest is older than `oldest`: it was forgotten."""

    def __init__(self, path: Path, now: datetime, oldest: timedelta = OLDEST) -> None:
        self._path = path
        self._since = now - oldest
        self.name = str(path)

    def ask(self, pins: Sequence[Pin]) -> list[Vulnerability]:
        """See Source."""
        if not self._path.is_dir():
            raise NotAsked(f"there is no folder {self.name}")
        newest = datetime.min.replace(tzinfo=UTC)
        found = []
        for advisory in self._advisories():
            newest = max(newest, _changed(advisory))
            if not advisory.get("withdrawn"):
                found += [vulnerability(pin, advisory) for pin in pins if concerns(advisory, pin)]
        if newest < self._since:
            told = f"its newest is of {newest:%Y-%m-%d}" if newest.year > 1 else "it has none"
            raise NotAsked(f"{self.name} has no advisories of late ({told}): fetch them anew")
        return merged(found)

    def _advisories(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self._path.rglob("*")):
            if (
                path.suffix in (".json", ".yaml", ".yml")
                and isinstance(advisory := _read(path), dict)
                and "id" in advisory
            ):
                yield advisory


def _read(path: Path) -> Any:
    try:
        text = path.read_text()
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise NotAsked(f"{path} can't be read ({type(error).__name__})") from None


def _changed(advisory: dict[str, Any]) -> datetime:
    told = advisory.get("modified")
    try:
        moment = told if isinstance(told, datetime) else datetime.fromisoformat(str(told))
    except ValueError:
        raise NotAsked(f"The advisory {advisory['id']} does not say when it was changed") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
