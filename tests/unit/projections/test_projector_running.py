"""The running projector: woken, polling, waiting out an outage, one of several."""

import asyncio
from typing import Any

import pytest

from domain.errors import LogUnavailable
from projections.cache_ports import NoHotCopies
from projections.errors import NotProjectedYet
from projections.projector import Projector
from projections.signal import ProcessSignal
from tests.support.memory_read_models import MemoryReadModels
from tests.support.stories import full_agent, full_task
from tests.support.told_log import ToldLog


def projector(log: ToldLog, store: MemoryReadModels, **options: Any) -> Projector:
    return Projector(log, store, NoHotCopies(), **options)  # type: ignore[arg-type]  # writes only


async def test_a_batch_that_another_projector_has_written_is_dropped() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*full_task("t"))
    one, other = projector(log, store, batch_size=3), projector(log, store, batch_size=3)
    assert await one.run_once() == 3
    assert await other.run_once() == 0, "the lock is taken"
    store.led = False  # as when the server lost the first one's connection
    assert await other.run_once() == 3
    stop = asyncio.Event()
    running = asyncio.create_task(one.run(stop))
    store.led = False
    await other.catch_up(len(log.events))
    await one.catch_up(len(log.events))
    stop.set()
    await running
    assert store.documents["task", "t"].position == len(log.events)
    assert store.position == len(log.events)


async def test_a_wake_is_not_waited_for_longer_than_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runner.POLL_SECONDS", 60)
    log, store, signal = ToldLog(), MemoryReadModels(), ProcessSignal()
    runner, stop = projector(log, store, signal=signal), asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    await asyncio.sleep(0.05)
    log.tell_all(*full_agent())
    signal.wake()
    await store.reach(len(log.events))
    stop.set()
    async with asyncio.timeout(5):
        await running


async def test_without_a_wake_the_log_is_polled() -> None:
    log, store = ToldLog(), MemoryReadModels()
    runner, stop = projector(log, store), asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    await asyncio.sleep(0.05)
    log.tell_all(*full_agent())
    await store.reach(len(log.events))
    stop.set()
    await running


async def test_an_outage_of_the_log_is_waited_out() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*full_agent())
    log.outage = LogUnavailable()
    runner, stop = projector(log, store), asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    await asyncio.sleep(0.15)
    log.outage = None
    await store.reach(len(log.events))
    stop.set()
    await running


async def test_who_cannot_catch_up_in_time_is_told_how_far_it_came() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*full_agent())
    with pytest.raises(NotProjectedYet, match="position 11 and 99 was asked"):
        await projector(log, store).catch_up(99, timeout=0.1)


async def test_a_wake_is_heard_by_all_who_listen_also_by_the_busy() -> None:
    signal = ProcessSignal()
    quick, busy = signal.listener(), signal.listener()
    waiting = asyncio.create_task(quick.wait(60))
    await asyncio.sleep(0)
    signal.wake()
    await waiting
    async with asyncio.timeout(5):
        await busy.wait(60)
