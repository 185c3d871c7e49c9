"""What the test cases of the library eventsourcing need to run on our store."""

import os
from typing import cast
from unittest import TestCase
from uuid import UUID

from eventsourcing.persistence import InfrastructureFactory, StoredEvent, Tracking
from eventsourcing.tests.projection import EventCountersView
from eventsourcing.utils import Environment

from infrastructure.persistence import LogFactory, LogTrackingRecorder
from infrastructure.pools import ThreadConnection


def construct_factory(name: str = "Case", **more: str) -> LogFactory:
    """The factory of an application of that name, in the environment of this process."""
    env = Environment(name, {**os.environ, **more})
    return cast(LogFactory, InfrastructureFactory[LogTrackingRecorder].construct(env))


def stored(originator_id: UUID | str, version: int, topic: str = "topic", state: bytes = b"{}") -> StoredEvent:
    """An event of which little matters."""
    return StoredEvent(originator_id, version, topic, state)


class OnOurStore(TestCase):
    """A test case whose factory is closed at its end."""

    def factory(self) -> LogFactory:
        factory = construct_factory()
        self.addCleanup(factory.close)
        return factory


class SqlEventCounters(LogTrackingRecorder, EventCountersView):
    """A view in SQL: two counters."""

    def create_tables(self, connection: ThreadConnection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS counters (name text PRIMARY KEY, count bigint NOT NULL)")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON counters TO dora_state_writer")

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increase("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increase("subsequent", tracking)

    def _count(self, name: str) -> int:
        with self.store.connection() as connection:
            row = connection.execute("SELECT count FROM counters WHERE name = %s", (name,)).fetchone()
        return cast(int, row[0]) if row is not None else 0

    def _increase(self, name: str, tracking: Tracking) -> None:
        with self.tracked(tracking) as connection:
            connection.execute(
                "INSERT INTO counters AS c VALUES (%s, 1) ON CONFLICT (name) DO UPDATE SET count = c.count + 1", (name,)
            )
