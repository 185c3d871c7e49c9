"""Recorders of events: by stream (aggregates), by position too (applications), and of snapshots."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    Notification,
    StoredEvent,
    Subscription,
    Tracking,
)

from infrastructure import sql
from infrastructure.persistence.appending import append, to_command
from infrastructure.persistence.ids import originator_id, stream_id
from infrastructure.persistence.store import Store
from infrastructure.persistence.subscription import LogSubscription

_FIRST, _LAST = -(2**63), 2**63 - 1
_ALL = 2**31 - 1

_Row = tuple[int, str, bytes]


class StoreRecorder:
    """A recorder on a store that it shares with others."""

    def __init__(self, store: Store) -> None:
        self.store = store


class LogAggregateRecorder(StoreRecorder, AggregateRecorder):
    """Events in streams of the log. Versions of a stream are contiguous, from 0 or 1 as its first event says."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append all or none. Raises IntegrityError when a version is not the next one of its stream."""
        self._append(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        after = -1 if gt is None else gt
        bounds = (stream_id(originator_id), after, lte, desc, _ALL if limit is None else limit)
        return _select(self.store, originator_id, sql.load("library/select_events"), bounds)

    def _append(self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        if not stored_events:
            return []
        command, signal = to_command(stored_events), self.store.signal
        positions, _ = self.store.run(lambda connection: append(connection, command))
        signal.wake()
        return positions


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Events by position too. Positions are contiguous and are the order of commits, so a reader that asks for
    what comes after the last one it saw misses nothing and sees nothing early."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append all or none; returns their positions. Raises IntegrityError as LogAggregateRecorder does."""
        return self._append(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else start - 1 if inclusive_of_start else start
        arguments = (after, stop, limit, list(topics) or None)
        query = sql.load("library/select_notifications")
        rows = self.store.run(lambda connection: connection.execute(query, arguments, binary=True).fetchall())
        return [
            Notification(originator_id(stream), version, topic, state, position)
            for position, stream, version, topic, state in cast(list[tuple[int, str, int, str, bytes]], rows)
        ]

    def max_notification_id(self) -> int | None:
        rows = self.store.run(lambda connection: connection.execute(sql.load("log_head")).fetchall())
        ((position, _),) = cast(list[tuple[int, object]], rows)
        return position or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return LogSubscription(self, self.store.signal, gt, topics)


class SnapshotRecorder(StoreRecorder, AggregateRecorder):
    """What is kept beside the events for a purpose, such as snapshots: any version, once each."""

    def __init__(self, store: Store, purpose: str) -> None:
        super().__init__(store)
        self.purpose = purpose

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Keep all or none. Raises IntegrityError when one of them is kept already."""
        if stored_events:
            arguments = (
                self.purpose,
                [stream_id(stored.originator_id) for stored in stored_events],
                [stored.originator_version for stored in stored_events],
                [stored.topic for stored in stored_events],
                [stored.state for stored in stored_events],
            )
            with self.store.connection() as connection:
                connection.execute(sql.load("library/insert_snapshots"), arguments)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        after, until = _FIRST if gt is None else gt, _LAST if lte is None else lte
        bounds = (self.purpose, stream_id(originator_id), after, until, _LAST if limit is None else limit)
        query = sql.load("library/select_snapshots_backwards" if desc else "library/select_snapshots")
        return _select(self.store, originator_id, query, bounds)


def _select(store: Store, originator_id: UUID | str, query: bytes, bounds: tuple[object, ...]) -> Sequence[StoredEvent]:
    rows = store.run(lambda connection: connection.execute(query, bounds, binary=True).fetchall())
    return [StoredEvent(originator_id, *row) for row in cast(list[_Row], rows)]
