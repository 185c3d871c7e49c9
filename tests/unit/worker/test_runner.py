"""Carrying out jobs: each once, none beside itself, and none that fails takes another with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.errors import LogUnavailable
from dora_state.worker.jobs import Job
from dora_state.worker.roles import WorkerRole
from dora_state.worker.runner import JobRunner
from dora_state.worker.workplace import Workplace


class Slots:
    """So many slots that nobody has begun."""

    def __init__(self, open: int = 1) -> None:
        self.open = open

    async def begin(self, job: str) -> bool:
        self.open -= 1
        return self.open >= 0


def place() -> Workplace:
    parts: Any = None
    return Workplace(platform=parts, manager=parts, lists=parts, stop=asyncio.Event(), say=print)


def runner(run: Callable[[Workplace], Awaitable[object]], slots: Slots, where: Workplace | None = None) -> JobRunner:
    return JobRunner([Job("job", WorkerRole.CHORES, 1.0, run)], where or place(), slots)


async def test_a_slot_is_done_once_however_many_messages_tell_of_it() -> None:
    done: list[Workplace] = []

    async def run(place: Workplace) -> None:
        done.append(place)

    jobs = runner(run, Slots(1))
    for _ in range(3):
        await asyncio.to_thread(jobs.carry_out, "job")
    assert len(done) == 1


async def test_whoever_hands_a_job_over_waits_for_its_end() -> None:
    ended = False

    async def run(_: Workplace) -> None:
        nonlocal ended
        await asyncio.sleep(0.05)
        ended = True

    await asyncio.to_thread(runner(run, Slots()).carry_out, "job")
    assert ended


async def test_a_job_does_not_run_beside_itself_and_is_waited_for() -> None:
    go, begun = asyncio.Event(), 0

    async def run(_: Workplace) -> None:
        nonlocal begun
        begun += 1
        await go.wait()

    jobs = runner(run, Slots(5))
    assert jobs.start("job") is not None
    await asyncio.sleep(0)
    assert jobs.start("job") is None
    await asyncio.to_thread(jobs.carry_out, "job")
    finishing = asyncio.create_task(jobs.finish())
    await asyncio.sleep(0.02)
    assert not finishing.done()
    go.set()
    await finishing
    assert begun == 1
    assert jobs.start("job") is not None
    await jobs.finish()


async def test_who_is_leaving_begins_nothing_more() -> None:
    where = place()

    async def run(_: Workplace) -> None:
        raise AssertionError

    jobs = runner(run, Slots(), where)
    where.stop.set()
    await asyncio.to_thread(jobs.carry_out, "job")
    assert jobs.start("job") is None


async def test_a_job_that_fails_is_told_with_its_error_and_rests(caplog: pytest.LogCaptureFixture) -> None:
    async def run(_: Workplace) -> None:
        raise ZeroDivisionError

    jobs = runner(run, Slots(5))
    await asyncio.to_thread(jobs.carry_out, "job")
    assert jobs.start("job") is None
    (record,) = caplog.records
    assert (record.levelno, record.message.startswith("The job job failed, and rests")) == (logging.ERROR, True)
    assert record.exc_info is not None


async def test_a_job_that_meets_an_outage_waits_for_its_next_turn(caplog: pytest.LogCaptureFixture) -> None:
    async def run(_: Workplace) -> None:
        raise LogUnavailable("The log can't be reached.")

    jobs = runner(run, Slots(5))
    await asyncio.to_thread(jobs.carry_out, "job")
    assert [record.message for record in caplog.records] == [
        "The job job waits for its next turn: The log can't be reached."
    ]
    assert jobs.start("job") is not None
    await jobs.finish()


async def test_a_job_of_another_release_is_left_to_it(caplog: pytest.LogCaptureFixture) -> None:
    async def run(_: Workplace) -> None:
        raise AssertionError

    await asyncio.to_thread(runner(run, Slots()).carry_out, "a-later-job")
    assert not caplog.records


async def test_what_is_broken_off_lets_go_of_whoever_waits_for_it() -> None:
    async def run(_: Workplace) -> None:
        await asyncio.Event().wait()

    jobs = runner(run, Slots())
    waiting = asyncio.create_task(asyncio.to_thread(jobs.carry_out, "job"))
    await asyncio.sleep(0.05)
    finishing = asyncio.create_task(jobs.finish())
    await asyncio.sleep(0)
    finishing.cancel()
    async with asyncio.timeout(20):
        await asyncio.gather(finishing, return_exceptions=True)
        await waiting
