"""Events of the library in the log: exact, all or none, in order, once."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import DataError, IntegrityError, OperationalError, StoredEvent, Tracking

from infrastructure.persistence import LogProcessRecorder
from infrastructure.persistence.store import Store
from infrastructure.pools import ThreadConnection
from tests.support.library import construct_factory, stored

EVERY_BYTE = bytes(range(256))


@pytest.fixture
def recorder(library: str) -> Iterator[LogProcessRecorder]:
    factory = construct_factory()
    yield factory.process_recorder()
    factory.close()


def test_bytes_are_read_as_they_were_written(recorder: LogProcessRecorder) -> None:
    one = uuid4()
    events = [StoredEvent(one, 1, "every byte", EVERY_BYTE), StoredEvent(one, 2, "nothing, \u00e9\U0001f408", b"")]
    recorder.insert_events(events)

    assert recorder.select_events(one) == events
    read = recorder.select_notifications(None, 10)
    assert [(n.id, n.originator_id, n.topic, n.state) for n in read] == [
        (1, one, "every byte", EVERY_BYTE),
        (2, one, "nothing, \u00e9\U0001f408", b""),
    ]
    assert all(type(n.state) is bytes and type(n.originator_id) is UUID for n in read)


@pytest.mark.parametrize("one", ["a", "a-b-c", " ", "uuid-1", "%s {} '\"\\", "\u00e9\U0001f408", "x" * 507])
def test_an_originator_id_may_be_text(recorder: LogProcessRecorder, one: str) -> None:
    recorder.insert_events([stored(one, 1)])

    assert recorder.select_events(one) == [stored(one, 1)]
    assert [n.originator_id for n in recorder.select_notifications(1, 1)] == [one]


def test_a_uuid_and_its_text_are_two_originators(recorder: LogProcessRecorder) -> None:
    one = uuid4()
    recorder.insert_events([stored(one, 1), stored(str(one), 1), stored(one, 2)])

    assert recorder.select_events(str(one)) == [stored(str(one), 1)]
    assert [e.originator_version for e in recorder.select_events(one)] == [1, 2]


@pytest.mark.parametrize("one", ["", "a\nb", "\x00", "\x7f", "\ud800", "x" * 508, 1, None])
def test_an_id_that_no_stream_can_have_is_refused(recorder: LogProcessRecorder, one: str) -> None:
    with pytest.raises(DataError, match="is no"):
        recorder.insert_events([stored(uuid4(), 1), stored(one, 1)])
    assert recorder.max_notification_id() is None


@pytest.mark.parametrize("topic", ["", "a\x00b", "\ud800"])
def test_a_topic_that_no_event_can_have_is_refused(recorder: LogProcessRecorder, topic: str) -> None:
    with pytest.raises(DataError, match="is no type of an event"):
        recorder.insert_events([StoredEvent(uuid4(), 1, topic, b"")])


def test_versions_too_large_for_the_log_are_refused(recorder: LogProcessRecorder) -> None:
    with pytest.raises(DataError):
        recorder.insert_events([stored(uuid4(), 2**64)])
    with pytest.raises(DataError):
        recorder.select_events(uuid4(), gt=2**64)
    with pytest.raises(DataError):
        recorder.select_notifications(2**64, 10)


@pytest.mark.parametrize("first", [0, 1])
def test_a_streams_first_version_is_what_its_first_event_says(recorder: LogProcessRecorder, first: int) -> None:
    one = uuid4()
    recorder.insert_events([stored(one, first), stored(one, first + 1)])
    recorder.insert_events([stored(one, first + 2)])

    assert [e.originator_version for e in recorder.select_events(one)] == [first, first + 1, first + 2]
    assert [e.originator_version for e in recorder.select_events(one, gt=first, lte=first + 1)] == [first + 1]
    assert [e.originator_version for e in recorder.select_events(one, desc=True, limit=2)] == [first + 2, first + 1]
    assert [e.originator_version for e in recorder.select_events(one, lte=first, desc=True)] == [first]


@pytest.mark.parametrize("versions", [[2], [-1], [1, 3], [1, 1], [2, 1]])
def test_versions_with_a_hole_or_out_of_order_are_a_conflict(recorder: LogProcessRecorder, versions: list[int]) -> None:
    one = uuid4()
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored(one, version) for version in versions])
    assert recorder.max_notification_id() is None


def test_a_call_is_all_or_none_and_its_events_keep_their_order(recorder: LogProcessRecorder) -> None:
    one, other = uuid4(), uuid4()
    assert recorder.insert_events([stored(one, 1), stored(other, 0), stored(one, 2)]) == [1, 2, 3]

    with pytest.raises(IntegrityError, match=f"uuid-{one} is at version 2, and version 2 can't come next"):
        recorder.insert_events([stored(other, 1), stored(one, 2)])

    read = recorder.select_notifications(1, 10)
    assert [(n.originator_id, n.originator_version) for n in read] == [(one, 1), (other, 0), (one, 2)]
    with recorder.store.connection() as connection:
        rows = connection.execute("SELECT following FROM events ORDER BY position").fetchall()
        commands = connection.execute("SELECT first_position, last_position FROM commands").fetchall()
    assert rows == [(2,), (1,), (0,)]
    assert commands == [(1, 3)]


def test_events_and_tracking_are_recorded_together_or_not_at_all(recorder: LogProcessRecorder) -> None:
    one, other = uuid4(), uuid4()
    recorder.insert_events([stored(one, 1)], tracking=Tracking("upstream", 5))

    with pytest.raises(IntegrityError, match="upstream has been processed up to notification 5 already"):
        recorder.insert_events([stored(other, 1)], tracking=Tracking("upstream", 5))
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored(one, 1)], tracking=Tracking("upstream", 6))

    assert recorder.select_events(other) == []
    assert recorder.max_notification_id() == 1
    assert recorder.max_tracking_id("upstream") == 5
    assert recorder.insert_events([stored(other, 1)], tracking=Tracking("upstream", 6)) == [2]


@pytest.mark.parametrize("tracked", [None, Tracking("upstream", 1)])
def test_a_lost_answer_is_asked_for_again_and_nothing_is_recorded_twice(
    recorder: LogProcessRecorder, monkeypatch: pytest.MonkeyPatch, tracked: Tracking | None
) -> None:
    """The connection breaks after the commit, before the answer came."""
    lost: list[int] = []
    run = Store.run

    def losing(store: Store, work: Callable[[ThreadConnection], object]) -> object:
        def work_and_lose(connection: ThreadConnection) -> object:
            done = work(connection)
            if not lost:
                lost.append(1)
                connection.close()
                raise psycopg.OperationalError("the connection is lost")
            return done

        return run(store, work_and_lose)

    monkeypatch.setattr(Store, "run", losing)
    one = uuid4()

    assert recorder.insert_events([stored(one, 1), stored(one, 2)], tracking=tracked) == [1, 2]

    assert lost
    assert recorder.max_notification_id() == 2
    assert recorder.max_tracking_id("upstream") == (1 if tracked else None)


def test_connections_that_the_server_ended_are_replaced(recorder: LogProcessRecorder, database_url: str) -> None:
    recorder.insert_events([stored(uuid4(), 1)])
    with recorder.store.connection() as connection:
        pid = connection.info.backend_pid
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))

    assert recorder.insert_events([stored(uuid4(), 1)]) == [2]
    assert len(recorder.select_notifications(1, 10)) == 2


def test_after_a_restart_of_the_server_tracking_fails_once_at_most(
    recorder: LogProcessRecorder, database_url: str
) -> None:
    """It is not repeated by itself: it would not be known whose tracking it was that is there."""
    with recorder.store.connection() as one, recorder.store.connection() as other:
        pids = [one.info.backend_pid, other.info.backend_pid]
    with psycopg.connect(database_url, autocommit=True) as killer:
        for pid in pids:
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with pytest.raises(OperationalError, match="The connection to PostgreSQL was lost"):
        recorder.insert_tracking(Tracking("upstream", 1))
    recorder.insert_tracking(Tracking("upstream", 1))
    assert recorder.max_tracking_id("upstream") == 1


@pytest.mark.parametrize("tracked", [None, Tracking("upstream", 1)])
def test_what_is_recorded_while_the_store_is_closed_is_answered(
    recorder: LogProcessRecorder, monkeypatch: pytest.MonkeyPatch, tracked: Tracking | None
) -> None:
    run = Store.run

    def run_and_close(store: Store, work: Callable[[ThreadConnection], object]) -> object:
        try:
            return run(store, work)
        finally:
            store.close()

    monkeypatch.setattr(Store, "run", run_and_close)

    assert recorder.insert_events([stored(uuid4(), 1)], tracking=tracked) == [1]
