"""What the server tells, as the objects of StateManager are used: keys are attributes too, and times are datetimes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

TIMES = frozenset({"recorded_at", "begin", "end", "since", "held_until", "timestamp"})
"""Of answers about what was; documents keep their times as text, as in process."""


class Told(dict[str, Any]):
    """`entry.version` and `entry["version"]` are the same."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"There is no {name}; there are {', '.join(self)}.") from None


def told_of(document: Mapping[str, Any]) -> Told:
    """Times that are the answer's own become datetimes."""
    return Told({key: _time(value) if key in TIMES else value for key, value in document.items()})


def _time(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
