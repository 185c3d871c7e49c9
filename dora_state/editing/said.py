"""All that a caller says by handing back a state: each of it must be so once its commands were decided.

So nothing that was changed is left out silently, and what follows from events may be said, if it is what will follow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.errors import InvalidInput
from domain.values import iso
from projections.documents.values import Document

NEARLY = timedelta(minutes=1)
"""The log says when something happened; a caller's own clock may be as far off as that."""
PART = 1e-6


@dataclass(frozen=True, slots=True)
class Said:
    """The caller says that this will stand there. `place` are the keys to it."""

    place: tuple[str, ...]
    value: Any

    @property
    def name(self) -> str:
        return ".".join(self.place)


def said_by(changes: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[Said]:
    """What a merge patch says, by its innermost keys."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            yield from said_by(value, (*place, key))
        else:
            yield Said((*place, key), value)


def check_said(kind: str, said: Sequence[Said], follows: Document) -> None:
    """`follows` is the document as the commands leave it. Raises InvalidInput where it says something else."""
    for one in said:
        found: Any = follows
        for key in one.place:
            found = found.get(key) if isinstance(found, dict) else None
        if not _agrees(one.value, found):
            raise InvalidInput(
                f"{one.name} of the {kind} follows from what happens, and will be {_told(found)}, not"
                f" {_told(one.value)}; leave it as it was, or submit the command that changes what it follows from.",
                field=one.name,
                follows=_plain(found),
                given=_plain(one.value),
            )


def _agrees(said: Any, found: Any) -> bool:
    times = _moment(said), _moment(found)
    if times[0] is not None and times[1] is not None:
        return abs(times[0] - times[1]) <= NEARLY
    if _is_number(said) and _is_number(found):
        return bool(abs(said - found) <= PART * max(1.0, abs(found)))
    if isinstance(said, bool) or isinstance(found, bool):
        return said is found
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        return all(_agrees(value, found.get(key)) for key, value in said.items())
    if isinstance(said, list | tuple) and isinstance(found, list | tuple):
        return len(said) == len(found) and all(map(_agrees, _in_order(said), _in_order(found)))
    return bool(said == found)


def _in_order(values: Sequence[Any]) -> Sequence[Any]:
    """Names stand for themselves, in whichever order."""
    return sorted(values) if all(isinstance(one, str) for one in values) else values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(value: Any) -> datetime | None:
    """Without a zone it is UTC, as `utcnow` gives it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _told(value: Any) -> str:
    return "nothing" if value is None else str(_plain(value))[:100]
