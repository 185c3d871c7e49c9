"""Locks of a server in a process of its own that ends, in good order or not."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.serving import Serving

WORKFLOW = {"name": "workflow:w"}


@pytest.fixture
def serving(tmp_path: Path, database_url: str, redis_url: str, tenant: str) -> Iterator[Serving]:
    serving = Serving(tmp_path, database_url, redis_url, tenant)
    with serving.tenant():
        yield serving


def take(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/locks", json=WORKFLOW, timeout=60)


def until_somebody_waits(url: str) -> None:
    while not any(held["waiters"] for held in httpx.get(f"{url}/v1/locks").json()["items"]):
        time.sleep(0.02)


def test_a_server_that_is_told_to_end_answers_those_who_wait_and_those_who_hold(serving: Serving) -> None:
    with serving("--port", "0") as server, ThreadPoolExecutor(1) as threads:
        url = server.url
        with httpx.stream("POST", f"{url}/v1/locks", json=WORKFLOW, timeout=60) as held:
            lines = held.iter_lines()
            assert "token" in next(lines)
            waiting = threads.submit(take, url)
            until_somebody_waits(url)
            server.send(signal.SIGTERM)
            refused = waiting.result()
            assert (refused.status_code, refused.json()["code"]) == (503, "closed")
            assert "The server is leaving" in list(lines)[-1]
        assert server.end(None).code == 0


def test_a_server_that_is_killed_holds_up_nobody(serving: Serving) -> None:
    with (
        serving("--port", "0") as one,
        serving("--port", "0") as another,
        ThreadPoolExecutor(1) as threads,
        httpx.stream("POST", f"{one.url}/v1/locks", json=WORKFLOW, timeout=60) as held,
    ):
        lines = held.iter_lines()
        assert "token" in next(lines)
        got = threads.submit(first_line, another.url)
        until_somebody_waits(another.url)
        one.end(signal.SIGKILL)
        assert "token" in got.result()


def first_line(url: str) -> str:
    with httpx.stream("POST", f"{url}/v1/locks", json=WORKFLOW, timeout=60) as taken:
        return next(taken.iter_lines())
