"""What a consumer does with what it takes, beside a queue in memory."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import pytest

from commands.envelope import Answer, Problem
from dora_state.queue import consumer
from dora_state.queue.consumer import QueueConsumer, Submit
from dora_state.queue.settling import Settling
from infrastructure.broker import BrokerUnavailable
from infrastructure.command_queue import Taken, TakenCommands
from infrastructure.queue_figures import QueueFigures
from tests.support.queueing import IMPATIENT, SOON


def message(number: int) -> Taken:
    return Taken(str(number).encode(), {"type": "T", "number": number}, UUID(int=number))


class Queue:
    """The port of a consumer. `away` calls fail, of each sort of call that is named."""

    def __init__(self, *taken: Taken) -> None:
        self.waiting = list(taken)
        self.in_hand: dict[bytes, Taken] = {}
        self.answers: list[tuple[str, str]] = []
        self.dead: list[tuple[str, str, int]] = []
        self.back: list[str] = []
        self.away: dict[str, int] = {}
        self.done = asyncio.Event()

    def _call(self, name: str) -> None:
        if self.away.get(name, 0) > 0:
            self.away[name] -= 1
            raise BrokerUnavailable("It is away.")

    def _left(self, id: bytes) -> None:
        self.in_hand.pop(id, None)
        if not self.in_hand and not self.waiting:
            self.done.set()

    async def take(self, at_most: int) -> list[Taken]:
        taken, self.waiting = self.waiting[:at_most], self.waiting[at_most:]
        self.in_hand |= {one.id: one for one in taken}
        self._call("take")  # its answer may be what is lost
        return taken

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(0.005)

    async def ids(self) -> set[bytes]:
        return set(self.in_hand)

    async def settle(self, answered: Sequence[tuple[Taken, Answer]]) -> None:
        await asyncio.sleep(0)
        self._call("settle")
        for taken, answer in answered:
            self.answers.append((taken.id.decode(), answer.outcome))
            self._left(taken.id)

    async def bury(self, taken: Taken, answer: Answer, attempts: int) -> None:
        await asyncio.sleep(0)  # others come meanwhile, as with a real one
        self._call("bury")
        assert answer.problem is not None
        self.dead.append((taken.id.decode(), answer.problem.code, attempts))
        self._left(taken.id)

    async def give_back(self, ids: Collection[bytes]) -> None:
        self._call("give_back")
        self.back.extend(id.decode() for id in sorted(ids))
        # As the broker does: of what is not in hand any more, nothing comes back.
        self.waiting.extend(self.in_hand.pop(id) for id in sorted(ids) if id in self.in_hand)

    async def beat(self) -> None: ...

    async def figures(self) -> QueueFigures:
        return QueueFigures(len(self.waiting), len(self.in_hand), len(self.dead), 0, None)


def answering(*codes: Mapping[int, Sequence[str]]) -> Submit:
    """Numbers that fail with these codes, one after the other, and are accepted then."""
    left = {number: list(failures) for one in codes for number, failures in one.items()}

    async def submit(submission: Mapping[str, Any]) -> Answer:
        failures = left.get(submission["number"], [])
        if not failures:
            return Answer(None, "T", "accepted")
        return Answer(None, "T", "failed", problem=Problem(failures.pop(0), "No."))

    return submit


async def run(queue: Queue, submit: Submit) -> QueueConsumer:
    """Until all has left the queue."""
    stop = asyncio.Event()
    one = QueueConsumer(cast(TakenCommands, queue), submit, IMPATIENT)
    running = asyncio.create_task(one.run(stop))
    try:
        async with asyncio.timeout(SOON):
            await queue.done.wait()
    finally:
        stop.set()
        await running
    return one


async def test_what_is_locked_is_tried_beside_the_others_and_they_do_not_wait_for_it() -> None:
    queue = Queue(message(1), message(2))
    await run(queue, answering({1: ["locked", "locked"]}))
    assert queue.answers == [("2", "accepted"), ("1", "accepted")]
    assert queue.dead == []


async def test_what_stays_locked_is_a_dead_letter_after_so_many_tries() -> None:
    queue = Queue(message(1))
    one = await run(queue, answering({1: ["locked"] * 9}))
    assert (queue.dead, queue.answers) == ([("1", "locked", IMPATIENT.most_attempts)], [])
    assert (one.figures.buried, one.figures.retries) == (1, 2)


async def test_dead_letters_that_fall_together_are_each_buried_once_and_nothing_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = Queue(*map(message, range(80)))
    one = await run(queue, answering({number: ["locked"] * 9 for number in range(80)}))
    assert sorted(id for id, _, _ in queue.dead) == sorted(map(str, range(80)))
    assert one.figures.buried == 80
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_what_falls_together_while_the_broker_is_away_is_told_later_and_each_once() -> None:
    queue = Queue(*map(message, range(80)))
    queue.away |= {"bury": 3, "settle": 3}
    await run(queue, answering({number: ["locked"] * (9 if number % 2 else 1) for number in range(80)}))
    assert sorted(int(id) for id, _, _ in queue.dead) == list(range(1, 80, 2))
    assert sorted(int(id) for id, _ in queue.answers) == list(range(0, 80, 2))


async def test_a_broker_that_says_nothing_is_waited_for_once_by_all_that_have_something_to_tell() -> None:
    queue, calls = Queue(), 0

    async def hang(answered: Sequence[tuple[Taken, Answer]]) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        raise BrokerUnavailable("It is away.")

    queue.settle = hang  # type: ignore[method-assign]
    settling = Settling(cast(TakenCommands, queue))
    await asyncio.gather(*(settling.settle([(message(number), Answer(None, "T", "accepted"))]) for number in range(20)))
    assert calls == 1


async def test_what_meets_a_fault_when_it_is_told_goes_back_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = Queue(message(1), message(2))
    bury, faults = queue.bury, 1

    async def fail_once(taken: Taken, answer: Answer, attempts: int) -> None:
        nonlocal faults
        if faults:
            faults -= 1
            raise ZeroDivisionError
        await bury(taken, answer, attempts)

    queue.bury = fail_once  # type: ignore[method-assign]
    await run(queue, answering({1: ["locked"] * 9, 2: ["locked"] * 9}))
    assert {id for id, _, _ in queue.dead} == {"1", "2"}
    assert "A command of the queue met a fault, and comes again" in caplog.text


async def test_what_a_consumer_left_in_hand_is_taken_by_the_next_of_the_same_process() -> None:
    queue = Queue()
    queue.in_hand[b"1"] = message(1)
    await run(queue, answering())
    assert (queue.back, queue.answers) == (["1"], [("1", "accepted")])


async def test_a_lost_lock_is_an_answer_as_no_try_would_be_better() -> None:
    queue = Queue(message(1))
    await run(queue, answering({1: ["lock_lost"]}))
    assert (queue.answers, queue.dead) == ([("1", "failed")], [])


async def test_what_alone_meets_an_outage_again_and_again_is_a_dead_letter_though_outages_make_none() -> None:
    queue = Queue(*map(message, range(1, 40)))
    original = answering({1: ["log_unavailable"] * 99})

    async def submit(submission: Mapping[str, Any]) -> Answer:
        answer = await original(submission)
        if submission["number"] == 1 and not queue.dead:
            queue.waiting.append(message(100 + len(queue.answers)))  # others come all the time
        return answer

    await run(queue, submit)
    assert queue.dead == [("1", "log_unavailable", IMPATIENT.most_attempts)]


async def test_a_broker_that_is_away_when_answers_are_told_hears_them_later() -> None:
    queue = Queue(message(1), message(2))
    queue.away["settle"] = 3
    await run(queue, answering())
    assert sorted(queue.answers) == [("1", "accepted"), ("2", "accepted")]


async def test_what_was_taken_by_a_call_whose_answer_was_lost_goes_back_and_is_taken_again() -> None:
    queue = Queue(message(1), message(2))
    queue.away["take"] = 1
    await run(queue, answering())
    assert queue.back == ["1", "2"]
    assert sorted(queue.answers) == [("1", "accepted"), ("2", "accepted")]


async def test_no_more_is_taken_than_may_be_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PREFETCH", 5)
    queue, most = Queue(*map(message, range(20))), 0

    async def submit(submission: Mapping[str, Any]) -> Answer:
        nonlocal most
        most = max(most, len(queue.in_hand))
        code = "locked" if submission["number"] % 2 else None
        if code is not None:
            return Answer(None, "T", "failed", problem=Problem(code, "No."))
        return Answer(None, "T", "accepted")

    await run(queue, submit)
    assert most == 5
    assert len(queue.dead) == len(queue.answers) == 10
