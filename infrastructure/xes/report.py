"""What the sorting of an XES log found, and what it left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

EXAMPLES = 5
_EXAMPLE_LENGTH = 120


class Tally:
    """Counts by reason, each with its first few examples."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: str | None = None, *, count: int = 1) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count
        if example is not None:
            self.name(reason, example)

    def name(self, reason: str, example: str) -> None:
        """Keep an example of what is counted elsewhere, unless there are enough."""
        named = self.examples.setdefault(reason, [])
        if len(named) < EXAMPLES:
            long = len(example) > _EXAMPLE_LENGTH
            named.append(f"{example[: _EXAMPLE_LENGTH - 3]}..." if long else example)


@dataclass(frozen=True, slots=True)
class SortReport:
    """Of a whole log. Times are in UTC, a month is (year, month) in UTC of an event that was sorted.

    `traces` and `events_read` count all within the file's traces; `traces_sorted` are those with an event
    that was sorted. `now` is what counted as the present. `skipped` counts by reason, `examples` names up to
    five of each: `event without time`, `event in future`, `event of skipped trace`, `event outside trace`,
    `trace repeated`, `trace id unusable` (over 255 characters, or with control characters),
    `trace without events` (none left that could be sorted), `attribute without key`.
    """

    sha256: str
    file_name: str
    now: datetime
    traces: int
    traces_sorted: int
    events_read: int
    events_sorted: int
    first_time: datetime | None
    last_time: datetime | None
    months: tuple[tuple[int, int], ...]
    skipped: Mapping[str, int]
    examples: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what orjson made of a report."""
        times = {key: datetime.fromisoformat(data[key]) if data[key] else None for key in ("first_time", "last_time")}
        return cls(
            **{
                **data,
                **times,
                "now": datetime.fromisoformat(data["now"]),
                "months": tuple((year, month) for year, month in data["months"]),
                "examples": {reason: tuple(named) for reason, named in data["examples"].items()},
            }
        )
