"""What is left for the process that has the turn: asked for, asked for again, answered, taken back."""

from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from commands import asking, transfer
from commands.asking import Asking, NoTurns
from commands.envelope import Answer
from commands.groups import Pending
from commands.messages.agent import Heartbeat
from tests.support.command_world import at_once, create_workflow, envelope
from tests.support.turns import GatedTurns, MonotonicClock, packed

# Such as binary fractions hold, so that a moment can be met exactly.
LOOK, AGAIN, PATIENCE, LONGEST = 1 / 32, 1 / 8, 1 / 2, 4.0
MOMENT = 1 / 64


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> MonotonicClock:
    clock = MonotonicClock()
    monkeypatch.setattr(asking, "time", clock)
    for name, seconds in (("LOOK", LOOK), ("AGAIN", AGAIN), ("PATIENCE", PATIENCE), ("LONGEST", LONGEST)):
        monkeypatch.setattr(asking, f"{name}_SECONDS", seconds)
    return clock


class Waiting:
    """Commands that wait, and what they were answered."""

    def __init__(self, count: int) -> None:
        self.answers: list[Answer] = []
        self.pending = [Pending(envelope(create_workflow(f"w{n}")), self._settled) for n in range(count)]
        self.queue = deque(self.pending)

    def _settled(self, result: Any) -> None:
        self.answers.append(result)


def test_what_is_left_is_answered_from_the_log_as_it_was_the_first_time(clock: MonotonicClock) -> None:
    turns, waiting = GatedTurns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    assert not waiting.queue
    assert len(one) == 2
    assert turns.packed == [packed(pending.envelope) for pending in waiting.pending]
    assert not at_once(one.look())
    turns.record(waiting.pending[1])
    clock.now += LOOK
    assert at_once(one.look())
    assert len(one) == 1
    (answer,) = waiting.answers
    assert (answer.command_id, answer.repeated) == (waiting.pending[1].envelope.command_id, False)


def test_it_is_looked_for_answers_once_in_a_while_and_where_any_are_to_come(clock: MonotonicClock) -> None:
    turns, waiting = GatedTurns(), Waiting(1)
    one = Asking(turns)
    assert not at_once(one.look())
    at_once(one.leave(waiting.queue))
    looks = []
    for moment in (0.0, LOOK / 2, LOOK / 2, LOOK):
        clock.now += moment
        at_once(one.look())
        looks.append(turns.looks)
    assert looks == [1, 1, 2, 3]


def test_what_was_known_before_it_was_asked_for_is_a_repetition() -> None:
    turns, waiting = GatedTurns(), Waiting(1)
    turns.record(waiting.pending[0])
    at_once(Asking(turns).leave(waiting.queue))
    assert [answer.repeated for answer in waiting.answers] == [True]


def test_what_can_not_be_answered_by_others_stays_in_the_queue_in_its_order() -> None:
    waiting = Waiting(4)
    waiting.pending[0].ours = True
    waiting.pending[2].single = True
    beat = Pending(envelope(Heartbeat(agent_id="a")), waiting._settled)
    named = Pending(envelope(create_workflow("named"), expected=0), waiting._settled)
    queue = deque([*waiting.pending, beat, named])
    turns = GatedTurns()
    at_once(Asking(turns).leave(queue))
    assert list(queue) == [waiting.pending[0], waiting.pending[2], beat, named]
    assert turns.left == [waiting.pending[n].envelope.command_id for n in (1, 3)]


def test_the_same_id_is_left_once_and_each_who_asked_is_answered(clock: MonotonicClock) -> None:
    turns, waiting = GatedTurns(), Waiting(2)
    one = Asking(turns)
    first, other = waiting.pending
    first.repeats.append(Pending(first.envelope, waiting._settled))
    at_once(one.leave(deque([first])))
    queue = deque([Pending(first.envelope, waiting._settled), other])
    at_once(one.leave(queue))
    assert (turns.left, list(queue)) == ([first.envelope.command_id, other.envelope.command_id], [])
    turns.record(first)
    clock.now += LOOK
    assert at_once(one.look())
    assert [answer.repeated for answer in waiting.answers] == [False, True, True]


def test_what_can_not_be_written_down_stays() -> None:
    turns, waiting = GatedTurns(), Waiting(0)
    broken = Pending(replace(envelope(create_workflow()), actor="\ud800"), waiting._settled)
    queue = deque([broken])
    at_once(Asking(turns).leave(queue))
    assert (list(queue), turns.left) == ([broken], [])


def test_what_is_not_answered_is_left_again_as_it_was_and_ever_more_seldom(clock: MonotonicClock) -> None:
    turns, waiting = GatedTurns(), Waiting(1)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    began, times = clock.now, []
    while clock.now < began + 12 * AGAIN:
        clock.now += AGAIN / 2
        before = len(turns.left)
        at_once(one.leave(waiting.queue))
        if len(turns.left) > before:
            times.append((clock.now - began) / AGAIN)
    assert times == [1.5, 5.0]  # after 1, and after 3 x 1.5 = 4.5; the next is after 15
    assert turns.packed == [packed(waiting.pending[0].envelope)] * 3


def test_where_nobody_answers_all_is_decided_here_and_not_left_again(clock: MonotonicClock) -> None:
    turns, waiting = GatedTurns(), Waiting(3)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    clock.now += PATIENCE
    assert one.overdue() == []
    clock.now += MOMENT
    back = one.overdue()
    assert back == waiting.pending
    assert len(one) == 0
    queue = deque(back)
    at_once(one.leave(queue))
    assert list(queue) == waiting.pending


@pytest.mark.parametrize(("since", "back"), [(PATIENCE, 0), (PATIENCE + MOMENT, 1)])
def test_one_waits_longer_while_others_are_answered(clock: MonotonicClock, since: float, back: int) -> None:
    turns, waiting = GatedTurns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    clock.now += PATIENCE
    turns.record(waiting.pending[0])
    assert at_once(one.look())
    clock.now += since
    assert len(one.overdue()) == back


@pytest.mark.parametrize(("since", "back"), [(LONGEST, 0), (LONGEST + MOMENT, 1)])
def test_one_does_not_wait_for_ever_while_others_are_answered(clock: MonotonicClock, since: float, back: int) -> None:
    turns, waiting = GatedTurns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    clock.now += since
    turns.record(waiting.pending[0])
    assert at_once(one.look())
    assert len(one.overdue()) == back


def test_a_turn_that_begins_takes_all_back() -> None:
    turns, waiting = GatedTurns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    assert one.take_back() == waiting.pending
    assert [pending.ours for pending in waiting.pending] == [True, True]
    assert transfer.to_bytes(waiting.pending[0].envelope) is not None


def test_where_there_is_nobody_else_the_turn_is_there_and_what_was_left_comes_back(clock: MonotonicClock) -> None:
    turns, waiting = NoTurns(), Waiting(2)
    assert (turns.is_held, at_once(turns.take()), at_once(turns.asked())) == (True, True, [])
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    clock.now += PATIENCE + MOMENT
    assert not at_once(one.look())
    assert one.overdue() == waiting.pending
