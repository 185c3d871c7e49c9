"""What the projector hands to the store: one batch, written as a whole or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.pool import Reservation


@dataclass(frozen=True, slots=True)
class RenderedDocument:
    """A document as JSON bytes, with what it is found by. `position` is that of its last event."""

    kind: str
    id: str
    position: int
    state: str
    columns: tuple[Any, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """A task's attempt that ended. `position` is that of the event that ended it.

    `duration` and `response_time` are in seconds, None where they were not measured.
    """

    position: int
    at: datetime
    task_id: str
    workflow_id: str
    agent_id: str | None
    outcome: str
    duration: float | None
    response_time: float | None


@dataclass(frozen=True, slots=True)
class Completion:
    """A workflow that was completed, by the event at `position`."""

    position: int
    at: datetime
    workflow_id: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that its document could not take, or that follows such a one."""

    position: int
    stream_id: str
    version: int
    type: str
    error: str


@dataclass(slots=True)
class Batch:
    """The events after position `start` up to `end`, as what they change.

    `reservations` are all that are active of each pool that has a document here.
    `ended_at` is when the last event was recorded. `behind` says that more events are waiting.
    """

    start: int
    end: int
    ended_at: datetime
    behind: bool
    documents: list[RenderedDocument] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    reservations: dict[str, Mapping[str, Reservation]] = field(default_factory=dict)
