"""What all lists have: where they ask, what may be asked, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.errors import InvalidInput
from domain.text import require_text, shown
from projections.ports import Clock, PresenceBoard, ReadModelStore
from projections.questions import Questions

HEARTBEAT_TIMEOUT = timedelta(seconds=60)
MOST = 1_000_000_000
PRIORITIES = ("high", "medium", "low")


class Asking:
    """`silence` is how long an agent may be silent and still be thought to be there."""

    def __init__(
        self,
        store: ReadModelStore,
        presence: PresenceBoard,
        clock: Clock,
        *,
        silence: timedelta = HEARTBEAT_TIMEOUT,
        questions: Questions | None = None,
    ) -> None:
        self.questions = questions or Questions()
        self._store = store
        self._presence = presence
        self._clock = clock
        self._silence = silence

    def now(self) -> datetime:
        return self._clock()


def checked(only: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Filters that are one of those known, without those that are None. Raises InvalidInput."""
    given = {name: value for name, value in only.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise InvalidInput(
                f"There is no filter {shown(name)}; there are {', '.join(sorted(known))}.", filter=shown(name)
            )
        if isinstance(value, str):
            require_text(name, value)
        if isinstance(value, int) and not 0 <= value <= MOST:
            raise InvalidInput(f"{name} is a number from 0 to {MOST:,}, not {value}.", filter=name)
        if isinstance(value, datetime) and value.tzinfo is None:
            raise InvalidInput(f"{name}: the time {value} has no zone; give it one.", filter=name)
    return given


def chosen(what: str, asked: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Those of the known that were asked for, all if none was; in their order. Raises InvalidInput."""
    wanted = [asked] if isinstance(asked, str) else list(asked or known)
    for one in wanted:
        if one not in known:
            raise InvalidInput(
                f"There is no {what} {shown(one)}; there are {', '.join(known)}.",
                **{what.replace(" ", "_"): shown(one)},
            )
    return [one for one in known if one in wanted]
