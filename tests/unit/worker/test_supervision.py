"""Parts that fail are begun again, after pauses that grow."""

import asyncio
import logging

import pytest

from domain.errors import LogUnavailable
from dora_state.worker import supervision
from dora_state.worker.roles import EVERY_ROLE, WorkerRole, roles_of
from dora_state.worker.supervision import LONGEST, SHORTEST, WELL, Pauses, keep_going


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_the_longest_and_are_short_again_after_it_went_well() -> None:
    clock = Clock()
    pauses = Pauses(clock=clock)
    told = []
    for _ in range(11):
        told.append(pauses.after_failure())
        assert not pauses.are_over()
        clock.now += told[-1] + 0.5  # it runs for half a second and fails again
        assert pauses.are_over()
    assert told[:3] == [SHORTEST, 2 * SHORTEST, 4 * SHORTEST]
    assert told[-2:] == [LONGEST, LONGEST]
    clock.now += WELL
    assert pauses.after_failure() == SHORTEST


async def test_a_part_that_fails_is_begun_again_and_the_log_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "SHORTEST", 0.001)
    faults: list[Exception] = [ZeroDivisionError("of ours"), LogUnavailable("The log can't be reached.")]
    stop = asyncio.Event()

    async def part(stop: asyncio.Event) -> None:
        if faults:
            raise faults.pop(0)
        stop.set()

    await keep_going("scheduler", part, stop)
    unexpected, expected = caplog.records
    assert (unexpected.levelno, expected.levelno) == (logging.ERROR, logging.WARNING)
    assert unexpected.exc_info is not None
    assert "The scheduler failed, and begins again" in unexpected.message
    assert "The log can't be reached." in expected.message


async def test_who_rests_after_a_failure_leaves_when_told_to() -> None:
    stop = asyncio.Event()

    async def part(_: asyncio.Event) -> None:
        asyncio.get_running_loop().call_soon(stop.set)
        raise ZeroDivisionError

    async with asyncio.timeout(20):
        await keep_going("part", part, stop)


def test_roles_come_once_and_in_their_order_and_all_if_none_is_named() -> None:
    assert roles_of(["chores", "projector", "chores"]) == (WorkerRole.PROJECTOR, WorkerRole.CHORES)
    assert roles_of([]) == EVERY_ROLE
