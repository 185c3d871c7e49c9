"""Following the log through the library: nothing missed, nothing early, woken, stopped."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import InterfaceError, Notification, OperationalError

from infrastructure.persistence import LogApplicationRecorder, LogFactory
from infrastructure.persistence.subscription import PAGE, LogSubscription
from tests.support.library import construct_factory, stored
from tests.support.library_writer import SHARED
from tests.support.postgres import set_clock

ROOT = Path(__file__).parents[2]


@pytest.fixture
def factory(library: str) -> Iterator[LogFactory]:
    factory = construct_factory()
    yield factory
    factory.close()


@pytest.fixture
def recorder(factory: LogFactory) -> LogApplicationRecorder:
    return factory.application_recorder()


def _take(subscription: LogSubscription, count: int) -> list[Notification]:
    return [next(subscription) for _ in range(count)]


def _subscribe(recorder: LogApplicationRecorder, gt: int | None = None, *topics: str) -> LogSubscription:
    subscription = recorder.subscribe(gt, topics)
    assert isinstance(subscription, LogSubscription)
    return subscription


def test_writers_in_processes_conflict_and_a_follower_sees_each_event_once_in_order(
    recorder: LogApplicationRecorder,
) -> None:
    writers, count = 3, 25
    with _subscribe(recorder) as subscription, ThreadPoolExecutor() as threads:
        run = (sys.executable, "-m", "tests.support.library_writer", str(count))
        processes = [subprocess.Popen(run, cwd=ROOT) for _ in range(writers)]
        seen = threads.submit(_take, subscription, 2 * writers * count).result(timeout=60)
        assert [process.wait(timeout=30) for process in processes] == [0] * writers

    assert [n.id for n in seen] == list(range(1, 2 * writers * count + 1))
    shared = [n.originator_version for n in seen if n.originator_id == SHARED]
    assert shared == list(range(1, writers * count + 1))
    assert seen == recorder.select_notifications(None, 1000)


def test_a_subscription_is_woken_by_an_append_through_any_recorder_of_the_process(
    recorder: LogApplicationRecorder, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogSubscription, "poll_seconds", 60.0)
    other = construct_factory()
    others = [other.process_recorder(), other.aggregate_recorder(), other.application_recorder()]
    with _subscribe(recorder) as subscription:
        for position, one in enumerate(others, start=1):
            began = time.monotonic()
            Timer(0.2, one.insert_events, ([stored(uuid4(), 1)],)).start()
            assert next(subscription).id == position
            assert time.monotonic() - began < 10
    other.close()


def test_a_subscription_that_nobody_wakes_looks_by_itself(recorder: LogApplicationRecorder, library: str) -> None:
    writer = subprocess.Popen((sys.executable, "-m", "tests.support.library_writer", "1"), cwd=ROOT)
    with _subscribe(recorder) as subscription:
        assert [n.id for n in _take(subscription, 2)] == [1, 2]
    assert writer.wait(timeout=30) == 0


def test_a_waiting_subscription_is_stopped_from_another_thread_at_once(
    recorder: LogApplicationRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogSubscription, "poll_seconds", 60.0)
    subscription = _subscribe(recorder)
    began = time.monotonic()
    Timer(0.3, subscription.stop).start()

    assert list(subscription) == []
    assert time.monotonic() - began < 10


def test_an_error_comes_out_of_the_iteration(factory: LogFactory, recorder: LogApplicationRecorder) -> None:
    subscription = _subscribe(recorder)
    Timer(0.3, factory.close).start()

    with pytest.raises(InterfaceError, match="The store is closed"):
        next(subscription)


def test_topics_choose_and_what_was_looked_through_is_not_read_again(
    recorder: LogApplicationRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = uuid4()
    recorder.insert_events([stored(one, version, "common") for version in range(1, 1200)])
    recorder.insert_events([stored(one, 1200, "rare")])
    with _subscribe(recorder, None, "rare", "rarer") as subscription:
        assert next(subscription).id == 1200
        starts: list[int | None] = []
        select = recorder.select_notifications

        def selecting(start: int | None, *rest: Any, **more: Any) -> object:
            starts.append(start)
            return select(start, *rest, **more)

        monkeypatch.setattr(recorder, "select_notifications", selecting)
        recorder.insert_events([stored(one, 1201, "common")])
        Timer(0.5, recorder.insert_events, ([stored(one, 1202, "rarer")],)).start()
        assert next(subscription).id == 1202
    assert starts == [1200, 1201]


def test_a_long_log_is_followed_page_by_page(recorder: LogApplicationRecorder) -> None:
    one = uuid4()
    recorder.insert_events([stored(one, version) for version in range(1, 3 * PAGE)])

    with _subscribe(recorder, 10) as subscription:
        assert [n.id for n in _take(subscription, 3 * PAGE - 11)] == list(range(11, 3 * PAGE))


@pytest.mark.parametrize("limit", [0, -1])
def test_nothing_is_selected_where_nothing_is_asked_for(recorder: LogApplicationRecorder, limit: int) -> None:
    recorder.insert_events([stored(uuid4(), 1)])

    assert recorder.select_notifications(1, limit) == []
    assert recorder.select_notifications(2, 10) == []
    assert recorder.select_notifications(1, 10, 0) == []
    assert len(recorder.select_notifications(-5, 2**40, 2**40)) == 1


async def test_the_log_is_read_across_months_and_archived_ones_are_refused(
    recorder: LogApplicationRecorder, library: str, database_url: str
) -> None:
    tenant, one = f"{library}_case", uuid4()
    for month, version in ((1, 1), (2, 3), (3, 5)):
        await set_clock(database_url, tenant, f"make_timestamptz(2031, {month}, 5, 0, 0, 0)")
        recorder.insert_events([stored(one, version, "odd"), stored(one, version + 1, "even")])

    assert [n.id for n in recorder.select_notifications(2, 3)] == [2, 3, 4]
    assert [n.id for n in recorder.select_notifications(1, 2, 5, ["even"], inclusive_of_start=False)] == [2, 4]
    assert [e.originator_version for e in recorder.select_events(one, gt=1)] == [2, 3, 4, 5, 6]
    with recorder.store.owned() as connection:
        connection.execute("SELECT archive_month(partition) FROM months WHERE first_position = 1")
    with pytest.raises(OperationalError, match="archived"):
        recorder.select_notifications(None, 10)
    with pytest.raises(OperationalError, match="archived"):
        recorder.select_events(one, desc=True)
    assert [n.id for n in recorder.select_notifications(3, 10)] == [3, 4, 5, 6]
    assert recorder.select_events(one, gt=2, desc=True, limit=1) == [stored(one, 6, "even")]
    assert recorder.max_notification_id() == 6
