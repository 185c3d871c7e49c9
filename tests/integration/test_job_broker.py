"""Jobs on their way through the broker: spread over those who listen, and nothing told of a password."""

import queue
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from infrastructure.broker import BrokerUnavailable, JobBroker
from tests.integration.test_embedded_homes import wait_until

Carry = Callable[[str], None]


@contextmanager
def broker(url: str | None, tenant: str, carry: Carry, queues: tuple[str, ...] = ("chores",)) -> Iterator[JobBroker]:
    opened = JobBroker(url, tenant, queues, carry, threads=2)
    opened.start()
    try:
        yield opened
    finally:
        opened.stop(10)


@pytest.mark.parametrize("on_redis", [True, False])
def test_a_job_is_carried_out_by_name_with_and_without_redis(tenant: str, redis_url: str, on_redis: bool) -> None:
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    with broker(redis_url if on_redis else None, tenant, done.put, ("chores", "months")) as one:
        one.send("chores", "a")
        one.send("months", "b")
        assert {done.get(timeout=30), done.get(timeout=30)} == {"a", "b"}
        assert one.is_alive()
    assert not one.is_alive()


def test_a_job_goes_only_to_those_who_have_its_role_and_to_one_of_them(tenant: str, redis_url: str) -> None:
    done: list[tuple[str, str]] = []
    first: Carry = lambda job: done.append(("first", job))  # noqa: E731
    second: Carry = lambda job: done.append(("second", job))  # noqa: E731
    with broker(redis_url, tenant, first, ("chores",)), broker(redis_url, tenant, second, ("chores", "months")) as one:
        for number in range(20):
            one.send("chores", f"c{number}")
            one.send("months", f"m{number}")
        wait_until(lambda: len(done) >= 40, 30)
    assert sorted(job for _, job in done) == sorted(f"{kind}{number}" for kind in "cm" for number in range(20))
    assert {who for who, job in done if job.startswith("m")} == {"second"}


def test_what_waits_in_the_queue_is_there_for_who_comes_later_and_lies_beside_the_copies(
    tenant: str, redis_url: str
) -> None:
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    JobBroker(redis_url, tenant, ("chores",), done.put, threads=1).send("chores", "a")
    with Redis.from_url(redis_url) as redis:
        assert redis.keys(f"dora-state-jobs:{{{tenant}}}:chores*")
        assert not redis.keys(f"dora-state:{{{tenant}}}:*")
    with broker(redis_url, tenant, done.put):
        assert done.get(timeout=30) == "a"


def test_a_broker_that_refuses_or_never_answers_is_told_without_its_password(tenant: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        one = JobBroker(f"redis://u:secret@127.0.0.1:{port}/0", tenant, ("chores",), print, threads=1)
        with pytest.raises(BrokerUnavailable) as refused:
            one.send("chores", "a")
        silent.listen()
        with pytest.raises(BrokerUnavailable) as unanswered:
            one.send("chores", "a")
    for told in (refused, unanswered):
        assert told.value.message.startswith("The broker can't be reached (")
        assert "secret" not in told.value.message
