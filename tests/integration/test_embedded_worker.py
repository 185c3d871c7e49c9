"""A worker that is alone with its servers brings them back itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from infrastructure.embedded import EmbeddedServers
from tests.integration.test_embedded_homes import REPOSITORY, part, processes_of, wait_until
from tests.integration.test_embedded_homes import made_home as home
from tests.integration.test_embedded_kills import kill

__all__ = ["home"]

pytestmark = pytest.mark.timeout(240)

_WORKER = """
import asyncio, sys
from dora_state.settings import load_settings
from dora_state.worker import run_worker
async def work():
    stop = asyncio.Event()
    settings = load_settings(home=sys.argv[1])
    worker = asyncio.create_task(run_worker(settings, stop, lambda word: print(word, flush=True)))
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await worker
asyncio.run(work())
"""


@contextmanager
def worker(home: Path) -> Iterator[None]:
    """A worker in a process of its own, which runs when the block begins and ends in order with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout is not None
        assert any("is running" in line for line in process.stdout), process.communicate()[1]
        yield
        errors = process.communicate("", timeout=60)[1]
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()


def takes_connections(servers: EmbeddedServers) -> bool:
    """Looks without being a user: a start from here would bring the servers back itself."""
    try:
        psycopg.connect(servers.database_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


async def is_projected(home: Path) -> bool:
    """Whether a command that is given now reaches the read models, by somebody else's hand."""
    async with open_state_manager(load_settings(home=home), default_actor="test") as manager:
        answer = await manager.submit({"type": "CreatePool", "data": {"pool_id": "p", "total": {"cpu": "2"}}})
        assert answer.outcome == "accepted", answer.problem
        head = await manager.platform.log.head()
        for _ in range(450):  # the projector too may be in a wait for a connection, of half a minute
            if (await manager.platform.read_models.checkpoint()).position >= head.position:
                return True
            await asyncio.sleep(0.1)
    return False


def test_a_lone_worker_brings_its_servers_back_when_the_supervisor_is_killed_and_works_on(home: Path) -> None:
    with worker(home):
        supervisor, postmaster = part(home, "supervisor"), part(home, "postmaster")
        kill(supervisor)
        wait_until(lambda: postmaster not in processes_of(home))
        # A round of chores that was under way gives up its wait for a connection first, after half a minute.
        wait_until(lambda: takes_connections(EmbeddedServers(home)), 90)
        assert part(home, "supervisor") != supervisor
        assert asyncio.run(is_projected(home))
    assert processes_of(home) == {}
