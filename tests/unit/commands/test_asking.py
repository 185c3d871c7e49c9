"""What is left for the process that has the turn: asked for, asked for again, answered, taken back."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from commands import answers, asking, transfer
from commands.asking import Asking, NoTurns
from commands.envelope import Answer
from commands.groups import Pending
from commands.messages.agent import Heartbeat
from domain.log import AlreadyRecorded
from tests.support.command_world import at_once, create_workflow, envelope


class Turns(NoTurns):
    """Keeps what was left, and answers what a test says is recorded."""

    def __init__(self) -> None:
        self.left: list[UUID] = []
        self.recorded: dict[UUID, AlreadyRecorded] = {}

    async def ask(self, submissions: Mapping[UUID, bytes]) -> Mapping[UUID, AlreadyRecorded]:
        self.left += submissions
        return {one: self.recorded[one] for one in submissions if one in self.recorded}

    async def answered(self, command_ids: Sequence[UUID]) -> Mapping[UUID, AlreadyRecorded]:
        return {one: self.recorded[one] for one in command_ids if one in self.recorded}

    def record(self, pending: Pending) -> None:
        answer = answers.to_bytes(pending.envelope, {"workflow-wf": 1}, None)
        self.recorded[pending.envelope.command_id] = AlreadyRecorded(answer, datetime(2026, 3, 1, tzinfo=UTC), 1, 1)


class Waiting:
    """Commands that wait, and what they were answered."""

    def __init__(self, count: int) -> None:
        self.answers: list[Answer] = []
        self.pending = [Pending(envelope(create_workflow(f"w{n}")), self._settled) for n in range(count)]
        self.queue = deque(self.pending)

    def _settled(self, result: Any) -> None:
        self.answers.append(result)


def after(one: Asking, seconds: float, *, silent: bool = False) -> None:
    """As if that time had passed since everything was left, and, where nobody answers, since the last answer."""
    for left in one._left.values():
        left.since -= seconds
        left.again -= seconds
    one._looked_at = 0.0
    if silent:
        one._answered_at = 0.0


def test_what_is_left_is_answered_from_the_log_as_it_was_the_first_time() -> None:
    turns, waiting = Turns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    assert not waiting.queue
    assert len(one) == 2
    assert not at_once(one.look())
    turns.record(waiting.pending[1])
    after(one, asking.LOOK_SECONDS)
    assert at_once(one.look())
    assert len(one) == 1
    (answer,) = waiting.answers
    assert (answer.command_id, answer.repeated) == (waiting.pending[1].envelope.command_id, False)


def test_what_was_known_before_it_was_asked_for_is_a_repetition() -> None:
    turns, waiting = Turns(), Waiting(1)
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
    turns = Turns()
    at_once(Asking(turns).leave(queue))
    assert list(queue) == [waiting.pending[0], waiting.pending[2], beat, named]
    assert turns.left == [waiting.pending[n].envelope.command_id for n in (1, 3)]


def test_the_same_id_is_left_once_and_each_who_asked_is_answered() -> None:
    turns, waiting = Turns(), Waiting(1)
    one = Asking(turns)
    waiting.pending[0].repeats.append(Pending(waiting.pending[0].envelope, waiting._settled))
    at_once(one.leave(waiting.queue))
    queue = deque([Pending(waiting.pending[0].envelope, waiting._settled)])
    at_once(one.leave(queue))
    assert (len(turns.left), list(queue)) == (1, [])
    turns.record(waiting.pending[0])
    after(one, asking.LOOK_SECONDS)
    assert at_once(one.look())
    assert [answer.repeated for answer in waiting.answers] == [False, True, True]


def test_what_can_not_be_written_down_stays() -> None:
    turns, waiting = Turns(), Waiting(0)
    broken = Pending(replace(envelope(create_workflow()), actor="\ud800"), waiting._settled)
    queue = deque([broken])
    at_once(Asking(turns).leave(queue))
    assert (list(queue), turns.left) == ([broken], [])


def test_what_is_not_answered_is_left_again_ever_more_seldom() -> None:
    turns, waiting = Turns(), Waiting(1)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    times = []
    for tenth in range(1, 31):
        after(one, 0.1)
        before = len(turns.left)
        at_once(one.leave(waiting.queue))
        if len(turns.left) > before:
            times.append(tenth)
    assert 3 <= len(times) <= 4
    assert times == sorted(times)


def test_where_nobody_answers_all_is_decided_here_and_not_left_again() -> None:
    turns, waiting = Turns(), Waiting(3)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    assert one.overdue() == []
    after(one, asking.PATIENCE_SECONDS, silent=True)
    back = one.overdue()
    assert back == waiting.pending
    assert len(one) == 0
    queue = deque(back)
    at_once(one.leave(queue))
    assert list(queue) == waiting.pending


@pytest.mark.parametrize(("seconds", "back"), [(asking.PATIENCE_SECONDS, 0), (asking.LONGEST_SECONDS, 1)])
def test_while_others_are_answered_one_waits_longer_and_not_for_ever(seconds: float, back: int) -> None:
    turns, waiting = Turns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    after(one, seconds, silent=True)
    turns.record(waiting.pending[0])
    began = time.monotonic()
    assert at_once(one.look())
    assert one._answered_at >= began
    assert len(one.overdue()) == back


def test_a_turn_that_begins_takes_all_back() -> None:
    turns, waiting = Turns(), Waiting(2)
    one = Asking(turns)
    at_once(one.leave(waiting.queue))
    assert one.take_back() == waiting.pending
    assert [pending.ours for pending in waiting.pending] == [True, True]
    assert transfer.to_bytes(waiting.pending[0].envelope) is not None


def test_where_there_is_nobody_else_what_was_left_comes_back() -> None:
    waiting = Waiting(2)
    one = Asking(NoTurns())
    at_once(one.leave(waiting.queue))
    after(one, asking.PATIENCE_SECONDS, silent=True)
    assert not at_once(one.look())
    assert not at_once(one.look())  # it was looked a moment ago
    assert one.overdue() == waiting.pending
