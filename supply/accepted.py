"""Vulnerabilities that we live with: which, of what, why, and until when somebody must look again."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from supply.known import Vulnerability
from supply.pins import REQUIREMENTS, canonical

ACCEPTED = REQUIREMENTS / "accepted.toml"
LONGEST = timedelta(days=180)
_FIELDS = {"id": str, "package": str, "until": date, "reason": str}


@dataclass(frozen=True, slots=True)
class Accepted:
    id: str
    package: str
    until: date
    reason: str

    def covers(self, one: Vulnerability, today: date) -> bool:
        return self.id in one.names and self.package == one.pin.name and today <= self.until


def read_accepted(path: Path, today: date) -> list[Accepted]:
    """A ValueError names the entry that is not as it must be; none may be for longer than half a year from today."""
    try:
        told = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML ({error}); mend it.") from None
    if told.keys() - {"accepted"} or not isinstance(told.get("accepted", []), list):
        raise ValueError(f"{path} may have [[accepted]] only; take the rest out.")
    return [_checked(path, number, one, today) for number, one in enumerate(told.get("accepted", []), 1)]


def _checked(path: Path, number: int, entry: object, today: date) -> Accepted:
    where = f"{path}: entry {number}"
    if not isinstance(entry, dict) or entry.keys() != _FIELDS.keys():
        raise ValueError(f"{where} must have {', '.join(_FIELDS)}, and nothing else.")
    for name, kind in _FIELDS.items():
        value = entry[name]
        if not isinstance(value, kind) or isinstance(value, datetime) or not str(value).strip():
            raise ValueError(f"{where}: {name} must be a {'day, like 2027-01-31' if kind is date else 'text'}.")
    if entry["until"] > today + LONGEST:
        raise ValueError(f"{where}: until may be {today + LONGEST} at the latest; somebody must look again by then.")
    return Accepted(entry["id"], canonical(entry["package"]), entry["until"], entry["reason"])


def still_open(found: Sequence[Vulnerability], accepted: Sequence[Accepted], today: date) -> list[Vulnerability]:
    """What nobody has accepted, or for longer than until today."""
    return [one for one in found if not any(each.covers(one, today) for each in accepted)]
