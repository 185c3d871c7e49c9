"""What is known against a package, whoever tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from supply.pins import Pin

KNOWN_TO_ALL = Pin("jinja2", "2.4.1")
"""A release of 2010 with vulnerabilities that every source of such knows. Who tells of none has not been asked."""


class NotAsked(Exception):
    """Nobody could be asked, or what they said can't be believed: the reason, in a sentence."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """Of one pin. `names` are all that it is known by, the source's own first; `fixed` the versions without it."""

    pin: Pin
    names: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{self.pin}: {' = '.join(self.names)}"
        told += f": {self.summary}" if self.summary else ""
        return told + (f" (mended in {', '.join(self.fixed)})" if self.fixed else " (not mended yet)")


class Source(Protocol):
    """Knows vulnerabilities."""

    @property
    def name(self) -> str: ...

    def ask(self, pins: Sequence[Pin]) -> list[Vulnerability]:
        """All that is known against these, each once. Raises NotAsked unless it could tell of every one of them."""
        ...


def ask(source: Source, pins: Sequence[Pin]) -> list[Vulnerability]:
    """What a source tells, if it tells what everybody knows as well. Raises NotAsked."""
    found = source.ask([*pins, KNOWN_TO_ALL])
    if not any(one.pin == KNOWN_TO_ALL for one in found):
        raise NotAsked(f"{source.name} knows nothing against {KNOWN_TO_ALL}, so it knows too little to be asked")
    return [one for one in found if one.pin != KNOWN_TO_ALL or KNOWN_TO_ALL in pins]


def merged(found: Sequence[Vulnerability]) -> list[Vulnerability]:
    """One for each vulnerability, where several databases have it under names of their own."""
    kept: list[Vulnerability] = []
    for one in found:
        same = next((old for old in kept if old.pin == one.pin and set(old.names) & set(one.names)), None)
        if same is None:
            kept.append(one)
            continue
        names = tuple(dict.fromkeys([*same.names, *one.names]))
        fixed = tuple(dict.fromkeys([*same.fixed, *one.fixed]))
        kept[kept.index(same)] = Vulnerability(same.pin, names, same.summary or one.summary, fixed)
    return sorted(kept, key=lambda one: (one.pin, one.names))
