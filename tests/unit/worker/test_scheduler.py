"""What is due is handed to the broker, and is done in place where the broker fails."""

import asyncio
from collections.abc import Mapping

import pytest

from dora_state.worker import scheduler as module
from dora_state.worker.jobs import Job
from dora_state.worker.roles import WorkerRole
from dora_state.worker.scheduler import BrokerStopped, Scheduler
from dora_state.worker.workplace import Workplace
from infrastructure.broker import BrokerUnavailable
from infrastructure.schedules import Claim
from projections.errors import ReadModelsUnavailable


async def nothing(_: Workplace) -> None: ...


JOBS = (Job("chore", WorkerRole.CHORES, 1.0, nothing), Job("month", WorkerRole.MONTHS, 3600.0, nothing))


class Around:
    """Schedules, broker and runner in one: what they are asked, and how they answer."""

    def __init__(self, *claims: Claim) -> None:
        self.claims = list(claims)
        self.outages: list[ReadModelsUnavailable] = []
        self.asked: list[Mapping[str, float]] = []
        self.sent: list[tuple[str, str]] = []
        self.started: list[str] = []
        self.is_there = self.lives = True

    async def claim(self, intervals: Mapping[str, float]) -> list[Claim]:
        self.asked.append(intervals)
        if self.outages:
            raise self.outages.pop()
        return self.claims

    def send(self, queue: str, job: str) -> None:
        if not self.is_there:
            raise BrokerUnavailable("The broker can't be reached (x).")
        self.sent.append((queue, job))

    def is_alive(self) -> bool:
        return self.lives

    def start(self, name: str) -> None:
        self.started.append(name)


def scheduler(around: Around) -> Scheduler:
    return Scheduler(JOBS, around, around, around)


async def test_what_was_claimed_goes_to_the_queue_of_its_role_and_the_next_round_comes_when_something_is_due() -> None:
    around = Around(Claim("chore", 1, 1.0), Claim("month", 0, 7.5))
    assert await scheduler(around).round() == 1.0
    assert around.asked == [{"chore": 1.0, "month": 3600.0}]
    assert (around.sent, around.started) == ([("chores", "chore")], [])


async def test_what_is_far_off_is_asked_for_now_and_then_and_what_is_over_not_at_once() -> None:
    assert await scheduler(Around(Claim("month", 0, 3000.0))).round() == module.LONGEST_WAIT
    assert await scheduler(Around(Claim("chore", 0, 0.0))).round() == module.SHORTEST_WAIT


async def test_what_the_broker_can_not_take_is_done_in_place_and_its_outage_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "BROKER_QUIET_SECONDS", 0.0)
    around = Around(Claim("chore", 1, 1.0))
    one = scheduler(around)
    around.is_there = False
    await one.round()
    await one.round()
    assert (around.sent, around.started) == ([], ["chore", "chore"])
    around.is_there = True
    await one.round()
    assert (around.sent, around.started) == ([("chores", "chore")], ["chore", "chore"])
    outage, back = [record.message for record in caplog.records]
    assert "does by itself what it finds due: The broker can't be reached (x)." in outage
    assert back == "The broker is back."


async def test_a_broker_that_has_just_failed_is_left_alone() -> None:
    around = Around(Claim("chore", 1, 1.0))
    one = scheduler(around)
    around.is_there = False
    await one.round()
    around.is_there = True
    await one.round()
    assert (around.sent, around.started) == ([], ["chore", "chore"])


async def test_a_slot_is_done_in_place_where_nobody_has_begun_the_one_before() -> None:
    around = Around(Claim("chore", 2, 1.0))
    await scheduler(around).round()
    assert (around.sent, around.started) == ([], ["chore"])


async def test_an_outage_of_the_database_is_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    around, stop = Around(Claim("chore", 1, 60.0)), asyncio.Event()
    around.outages = [ReadModelsUnavailable("The read models can't be reached.")]
    running = asyncio.create_task(scheduler(around).run(stop))
    async with asyncio.timeout(20):
        while not around.sent:  # noqa: ASYNC110  # it has no event for this
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert "asked for again in 0.1 s: The read models can't be reached." in caplog.text


async def test_a_broker_of_which_a_thread_has_ended_is_begun_anew() -> None:
    around = Around(Claim("chore", 1, 60.0))
    around.lives = False
    with pytest.raises(BrokerStopped):
        await scheduler(around).run(asyncio.Event())
