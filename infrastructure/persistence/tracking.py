"""Recorders of how far another application's notifications have been processed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from eventsourcing.persistence import IntegrityError, ProcessRecorder, StoredEvent, Tracking, TrackingRecorder

from infrastructure import sql
from infrastructure.persistence.appending import append, to_command
from infrastructure.persistence.recorders import LogApplicationRecorder, StoreRecorder
from infrastructure.pools import ThreadConnection


def _track(connection: ThreadConnection, tracking: Tracking) -> None:
    arguments = (tracking.application_name, tracking.notification_id)
    if connection.execute(sql.load("library/insert_tracking"), arguments).fetchone() is None:
        raise IntegrityError(
            f"{tracking.application_name} has been processed up to notification {tracking.notification_id} already."
        )


class LogTrackingRecorder(StoreRecorder, TrackingRecorder):
    """Tracking in the application's schema; it only rises. A view in SQL is a subclass, with tables of its own."""

    def create_tables(self, connection: ThreadConnection) -> None:
        """Make what a subclass needs besides, if it is missing, and grant it to `dora_state_writer`.

        It is called by the factory, in a transaction with the rights of the schema's owner.
        """

    @contextmanager
    def tracked(self, tracking: Tracking) -> Iterator[ThreadConnection]:
        """A transaction that has recorded the tracking: what is written in it is written once or not at all.

        Raises IntegrityError when it was processed before.
        """
        with self.store.connection() as connection, connection.transaction():
            _track(connection, tracking)
            yield connection

    def insert_tracking(self, tracking: Tracking) -> None:
        """Raises IntegrityError when the application has been processed that far already, and OperationalError when
        the connection is lost: it is not repeated, since a repetition could not tell its own tracking from another's.
        """
        with self.tracked(tracking):
            pass

    def max_tracking_id(self, application_name: str) -> int | None:
        query = sql.load("library/max_tracking_id")
        row = self.store.run(lambda connection: connection.execute(query, (application_name,)).fetchone())
        return cast(int, row[0]) if row is not None else None


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events with the tracking of what they come from, in one transaction."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record all events and the `tracking`, or nothing. Raises IntegrityError for either."""
        return self._append(stored_events, kwargs.get("tracking"))

    def _append(self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        if tracking is None:
            return super()._append(stored_events)
        if not stored_events:
            self.insert_tracking(tracking)
            return []
        command, signal = to_command(stored_events), self.store.signal

        def both(connection: ThreadConnection) -> list[int]:
            with connection.transaction():
                positions, anew = append(connection, command)
                if anew:
                    _track(connection, tracking)
                return positions

        positions = self.store.run(both)
        signal.wake()
        return positions
