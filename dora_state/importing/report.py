"""What an import tells: while it runs, and when it is done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Resume = Literal["new", "continue", "anew"]
"""What to do about an import that was cut short: refuse and say so, go on, or drop it and start anew."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was in the file and what became of it.

    Counts are numbers of things; `seconds` are by phase; `rates` are events of the file, or of ours, a second.
    `skipped` counts by reason what of the file is not in the log, `examples` names up to five of each.
    """

    file_name: str
    sha256: str
    traces: int
    events_read: int
    events_imported: int
    events_recorded: int
    workflows: Mapping[str, int]
    tasks: Mapping[str, int]
    agents: int
    inferred: int
    skipped: Mapping[str, int]
    examples: Mapping[str, tuple[str, ...]]
    other_transitions: Mapping[str, int]
    first_time: datetime | None
    last_time: datetime | None
    months: tuple[str, ...]
    seconds: Mapping[str, float]
    rates: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
