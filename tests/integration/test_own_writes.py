"""Who reads over HTTP what it wrote, in every way there is: the checker finds nothing, and finds what was missed."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from dora_state.client import Client, open_client
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.testing.checker import Checker, Fault
from dora_state.testing.commands import busy_house, submission
from dora_state.testing.history import Read, Record, Recorder, read_history
from dora_state.testing.log import whole_log
from tests.support.serving import served
from tests.torture.own_writes import WRITES, OwnWrites

SYSTEM = ("dora-state", "client")


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="client") as manager:
        for given in map(submission, busy_house()):
            await manager.submit(given)
        yield manager


@pytest.fixture
async def client(manager: StateManager) -> AsyncIterator[Client]:
    async with served(manager) as url, open_client(url, patience=5.0) as client:
        yield client


async def found(manager: StateManager, history: list[Record]) -> tuple[list[Fault], Checker]:
    checker = Checker(others=SYSTEM)
    return await checker.check(whole_log(manager), history), checker


async def test_what_is_shown_includes_what_was_written(manager: StateManager, client: Client, tmp_path: Path) -> None:
    path, stop = tmp_path / "history", asyncio.Event()
    projecting = asyncio.create_task(manager.platform.projector.run(stop))
    with Recorder(path) as record:
        for number in range(4):
            reader = OwnWrites(client, "reader", f"own-{number}", record, random.Random(number))
            for write in range(WRITES):
                await reader.write_and_read(write)
    stop.set()
    await projecting
    history = list(read_history([path]))
    faults, checker = await found(manager, history)
    assert faults == []
    assert checker.counts.own_reads == 4 * WRITES
    reads = [one for one in history if isinstance(one, Read)]
    kinds = Counter(stream_id.partition("-")[0] for one in reads for stream_id in one.versions)
    assert kinds.keys() == {"agent", "workflow", "task"}

    (last,) = [one for one in reads if one.versions == {"agent-own-3": WRITES}]
    missed = replace(last, versions={"agent-own-3": WRITES - 1}, contents={}, as_of=None)
    not_there = replace(last, versions={"agent-own-3": 0}, contents={}, as_of=None)
    for one in (missed, not_there):
        faults, _ = await found(manager, [*history, one])
        assert [fault.promise for fault in faults] == ["own_writes"]
