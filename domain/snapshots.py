"""Snapshots: states of aggregates at versions of their streams, kept so that a fold need not begin at the first event.

They are disposable. One is gone on from only by a fold that would have come to the same state: its stamp says what
the state looked like and how it was folded, and where either is different today, it is left alone.
"""

from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Generic, TypeVar

import orjson
from pydantic import TypeAdapter

from domain.aggregate import Aggregate, AggregateState
from domain.record import record

S = TypeVar("S", bound=AggregateState)
SPACING = 500
"""A snapshot is due at each version that this divides, so any version is at most so many events from one."""


@record
class Stamp:
    """What a snapshot was made by: the shape of its state, and the version of the fold."""

    schema: str
    fold_version: int


@record
class Place:
    """Where an event is: in its stream, in the log, in time; `following` events of its command come after it."""

    version: int
    position: int
    following: int
    recorded_at: datetime

    @property
    def whole_position(self) -> int:
        """Where its command ends."""
        return self.position + self.following


@record
class Snapshot:
    """A state as bytes, after the event at `place`."""

    place: Place
    state: bytes


@record
class TakenSnapshot:
    """A snapshot to keep: whose it is, and what made it."""

    stream_id: str
    stamp: Stamp
    snapshot: Snapshot


class StateCodec(Generic[S]):
    """The states of one aggregate as bytes (JSON) and back, exactly.

    What it takes is made when it is first asked for: many a process never folds.
    """

    def __init__(self, aggregate: Aggregate[S]) -> None:
        self._aggregate = aggregate

    @cached_property
    def _adapter(self) -> TypeAdapter[S]:
        return TypeAdapter(self._aggregate.state)

    @cached_property
    def stamp(self) -> Stamp:
        shape = orjson.dumps(self._adapter.json_schema(mode="serialization"), option=orjson.OPT_SORT_KEYS)
        return Stamp(sha256(shape).hexdigest()[:16], self._aggregate.fold_version)

    def to_bytes(self, state: S) -> bytes:
        return self._adapter.dump_json(state)

    def from_bytes(self, state: bytes) -> S:
        """Raises ValueError for bytes that are no such state."""
        return self._adapter.validate_json(state)
