"""Short ways to make what the log is given in tests."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from domain.all_events import CATALOGUE
from domain.log import Appended, AppendOutcome, CommandAppend, NewEvent, RecordedEvent


def event(stream_id: str, type: str = "thing_happened", data: bytes = b'{"a":1}') -> NewEvent:
    return NewEvent(uuid4(), stream_id, type, 1, data, b'{"actor":"test"}')


def command(
    expected: Mapping[str, int],
    writes: Mapping[str, int] | None = None,
    *,
    command_id: UUID | None = None,
    answer: bytes = b"done",
    at: datetime | None = None,
    type: str = "thing_happened",
) -> CommandAppend:
    """A command that expects these versions and writes so many events to each stream (default: one to each)."""
    counts = writes if writes is not None else dict.fromkeys(expected, 1)
    events = tuple(event(stream_id, type) for stream_id, count in counts.items() for _ in range(count))
    return CommandAppend(command_id or uuid4(), expected, events, answer, at)


def appended(outcome: AppendOutcome) -> Appended:
    assert isinstance(outcome, Appended), outcome
    return outcome


def decode(event: RecordedEvent) -> Any:
    """A recorded event of the service as what it was when it was decided."""
    return CATALOGUE.decode(event.type, event.schema_version, event.data)
