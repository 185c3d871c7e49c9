"""Which process decides what is in its queue, and when: it is asked for the turn, asks, hears others, and gives it."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from commands import asking, sharing, transfer
from commands.envelope import Envelope
from commands.groups import Pending
from commands.sharing import Sharing
from tests.support.command_world import World, create_workflow, envelope
from tests.support.turns import GatedTurns, MonotonicClock, packed

# Such as binary fractions hold, so that a moment can be met exactly.
GRACE, HEAR, IDLE, CONTENDED, LOOK, PATIENCE = 1 / 8, 1 / 16, 1 / 4, 8.0, 1 / 32, 4.0


class Process:
    """What shares a log with others, a queue, and how often it was woken."""

    def __init__(self, clock: MonotonicClock) -> None:
        self.clock = clock
        self.turns = GatedTurns()
        self.world = World()
        self.committer = self.world.committer
        self.wakes = 0
        self.sharing = Sharing(self.turns, self.committer, self._wake)
        self.queue: deque[Pending] = deque()
        self.answers: list[Any] = []

    def _wake(self) -> None:
        self.wakes += 1

    def submit(self, name: str = "wf") -> Pending:
        pending = self.pending(name)
        self.queue.append(pending)
        return pending

    def pending(self, name: str) -> Pending:
        return Pending(envelope(create_workflow(name)), self.answers.append)

    async def may_decide(self, room: int = 10, after: float = 0.0) -> bool:
        self.clock.now += after
        may = await self.sharing.may_decide(self.queue, room)
        await settled()
        return may

    async def waits_for_its_turn(self) -> None:
        self.sharing.contended()
        self.submit()
        assert not await self.may_decide()

    async def has_its_turn(self) -> None:
        await self.waits_for_its_turn()
        self.turns.turn.put_nowait(True)
        await settled()
        assert await self.may_decide()
        self.queue.clear()  # which the bus decides

    async def hears(self, *envelopes: Envelope, room: int = 10) -> list[UUID]:
        """The ids of what it takes in of what others ask."""
        self.turns.others = [packed(one) for one in envelopes]
        assert await self.may_decide(after=2 * HEAR)
        before = len(self.queue)
        assert await self.may_decide(room)
        return [pending.envelope.command_id for pending in list(self.queue)[before:]]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MonotonicClock:
    clock = MonotonicClock()
    monkeypatch.setattr(sharing, "time", clock)
    monkeypatch.setattr(asking, "time", clock)
    for name, seconds in (("GRACE", GRACE), ("HEAR", HEAR), ("IDLE", IDLE), ("CONTENDED", CONTENDED), ("LOOK", LOOK)):
        monkeypatch.setattr(sharing, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(asking, "LOOK_SECONDS", LOOK)
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", PATIENCE)
    monkeypatch.setattr(asking, "AGAIN_SECONDS", 2 * CONTENDED)
    return clock


@pytest.fixture
async def process(clock: MonotonicClock) -> Process:
    return Process(clock)


@pytest.fixture(autouse=True)
def _no_callback_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a callback of the loop raises is only logged."""
    yield
    assert [record.message for record in caplog.get_records("call") if record.name == "asyncio"] == []


class TestWhoeverIsAlone:
    async def test_decides_at_once_and_rests_for_ever(self, process: Process) -> None:
        process.submit()
        assert await process.may_decide()
        assert process.turns.takes == 0
        assert (process.sharing.has_turn, process.sharing.is_held_up(has_work=True)) == (False, False)
        assert process.sharing.rest_seconds(True) is None
        assert len(process.sharing) == 0

    async def test_is_held_up_by_others_for_a_while_if_there_is_work(self, process: Process) -> None:
        process.sharing.contended()
        assert (process.sharing.is_held_up(has_work=True), process.sharing.rest_seconds(True)) == (True, LOOK)
        assert (process.sharing.is_held_up(has_work=False), process.sharing.rest_seconds(False)) == (False, None)
        process.clock.now += CONTENDED
        assert (process.sharing.is_held_up(has_work=True), process.sharing.rest_seconds(True)) == (False, None)

    async def test_learns_of_others_by_what_it_loses(self, process: Process) -> None:
        process.sharing.group_concluded()
        assert not process.sharing.is_held_up(has_work=True)
        process.committer._landing.lost = 1
        process.sharing.group_concluded()
        assert process.sharing.is_held_up(has_work=True)
        process.clock.now += 2 * CONTENDED
        process.sharing.group_concluded()
        assert not process.sharing.is_held_up(has_work=True), "it has lost nothing since"

    async def test_what_is_to_be_decided_again_is_work_too(self, process: Process) -> None:
        process.sharing.contended()
        assert await process.may_decide()
        process.committer.again.append(process.pending("again"))
        assert not await process.may_decide()


class TestWithoutTheTurn:
    async def test_it_is_asked_for_and_waited_for_a_little_while(self, process: Process) -> None:
        await process.waits_for_its_turn()
        assert process.turns.takes == 1
        assert (process.sharing.is_held_up(has_work=False), process.sharing.rest_seconds(False)) == (True, LOOK)
        assert not await process.may_decide(after=GRACE / 2)
        assert (process.turns.left, len(process.queue), process.turns.takes) == ([], 1, 1)

    async def test_then_others_are_asked(self, process: Process) -> None:
        await process.waits_for_its_turn()
        again = process.pending("again")
        process.committer.again.append(again)
        waiting = process.queue[0]
        assert await process.may_decide(after=GRACE), "what nobody else can decide would be left"
        assert process.turns.left == [again.envelope.command_id, waiting.envelope.command_id]
        assert (list(process.queue), list(process.committer.again), len(process.sharing)) == ([], [], 2)
        assert process.sharing.is_held_up(has_work=False), "they are to be answered"

    async def test_what_they_answer_shows_that_they_are_there(self, process: Process) -> None:
        await process.waits_for_its_turn()
        waiting = process.queue[0]
        await process.may_decide(after=GRACE)
        process.turns.record(waiting)
        assert await process.may_decide(after=CONTENDED - GRACE - LOOK)
        assert ([answer.outcome for answer in process.answers], len(process.sharing)) == (["accepted"], 0)
        process.turns.turn.put_nowait(False)
        await settled()
        await process.may_decide(after=2 * LOOK)
        assert process.sharing.is_held_up(has_work=True)

    async def test_what_nobody_answers_is_decided_here(self, process: Process) -> None:
        await process.waits_for_its_turn()
        waiting = process.queue[0]
        await process.may_decide(after=GRACE)
        assert await process.may_decide(after=PATIENCE / 2)
        assert list(process.committer.again) == []
        assert await process.may_decide(after=PATIENCE)
        assert list(process.committer.again) == [waiting]
        assert waiting.ours

    async def test_whoever_does_not_get_it_goes_on_asking(self, process: Process) -> None:
        await process.waits_for_its_turn()
        process.turns.turn.put_nowait(False)
        await settled()
        assert process.wakes == 1
        assert await process.may_decide(after=GRACE)
        assert (process.sharing.has_turn, len(process.turns.left)) == (False, 1)
        assert not await process.may_decide()
        assert process.turns.takes == 2

    @pytest.mark.parametrize("granted", [True, False])
    async def test_it_begins_when_all_that_was_decided_is_concluded(self, process: Process, granted: bool) -> None:
        """What others wrote meanwhile is seen then, and nothing stands on what was there before."""
        process.queue.append(process.pending("decided"))
        await process.committer.decide_all(process.queue)
        await process.waits_for_its_turn()
        process.turns.turn.put_nowait(granted)
        await settled()
        assert not await process.may_decide(after=2 * GRACE)
        assert (process.sharing.has_turn, process.turns.left) == (False, [])
        group = process.committer.close()
        await process.committer.conclude(group, await process.committer.land(group, process.committer.send(group)))
        assert await process.may_decide()
        assert process.sharing.has_turn is granted

    async def test_whoever_gets_it_takes_back_what_others_were_asked(self, process: Process) -> None:
        await process.waits_for_its_turn()
        waiting = process.queue[0]
        await process.may_decide(after=GRACE)
        process.turns.turn.put_nowait(True)
        await settled()
        assert process.wakes == 1
        assert await process.may_decide()
        assert process.sharing.has_turn is True
        assert (list(process.committer.again), waiting.ours, len(process.sharing)) == ([waiting], True, 0)
        assert (process.sharing.is_held_up(has_work=True), process.sharing.rest_seconds(False)) == (False, HEAR)


class TestWithTheTurn:
    async def test_what_others_ask_is_taken_in_to_be_decided_here(self, process: Process) -> None:
        await process.has_its_turn()
        theirs = envelope(create_workflow("theirs"))
        wakes = process.wakes
        assert await process.hears(theirs) == [theirs.command_id]
        assert process.wakes == wakes + 1
        (pending,) = process.queue
        assert (pending.envelope.command, pending.ours) == (theirs.command, True)
        await process.committer.decide_all(process.queue)
        group = process.committer.close()
        await process.committer.conclude(group, await process.committer.land(group, process.committer.send(group)))
        assert process.world.types("workflow-theirs") == ["WorkflowCreated"]

    async def test_it_listens_again_after_a_while(self, process: Process) -> None:
        await process.has_its_turn()
        process.submit()
        assert await process.may_decide()
        assert process.turns.asks == 1
        assert await process.may_decide(after=HEAR)
        assert process.turns.asks == 1
        assert await process.may_decide(after=HEAR / 2)
        assert process.turns.asks == 2

    async def test_it_listens_to_one_at_a_time(self, process: Process) -> None:
        await process.has_its_turn()
        process.submit()
        process.turns.may_ask.clear()
        assert await process.may_decide()
        assert await process.may_decide(after=2 * HEAR)
        assert process.turns.asks == 1

    @pytest.mark.parametrize("room", [0, 1, 2])
    async def test_no_more_is_taken_in_than_there_is_room_for(self, process: Process, room: int) -> None:
        await process.has_its_turn()
        theirs = [envelope(create_workflow(f"theirs-{n}")) for n in range(3)]
        assert await process.hears(*theirs, room=room) == [one.command_id for one in theirs[:room]]

    async def test_what_is_asked_for_again_is_not_taken_in_twice(self, process: Process) -> None:
        await process.has_its_turn()
        theirs = envelope(create_workflow("theirs"))
        assert len(await process.hears(theirs)) == 1
        assert await process.hears(theirs) == []

    async def test_no_more_ids_are_remembered_than_are_worth_it(
        self, process: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sharing, "MOST_REMEMBERED", 2)
        await process.has_its_turn()
        theirs = [envelope(create_workflow(f"theirs-{n}")) for n in range(3)]
        assert len(await process.hears(*theirs[:2])) == 2
        assert await process.hears(theirs[0]) == []
        assert len(await process.hears(theirs[2])) == 1
        assert len(await process.hears(theirs[0])) == 1

    async def test_what_is_not_understood_is_told_and_left(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Another release may know other commands: it decides them itself in the end."""
        caplog.set_level(logging.DEBUG, "commands.sharing")
        await process.has_its_turn()
        theirs = envelope(create_workflow("theirs"))
        process.turns.others = [b"nonsense", packed(theirs)]
        await process.may_decide(after=2 * HEAR)
        await process.may_decide()
        assert [pending.envelope.command_id for pending in process.queue] == [theirs.command_id]
        with pytest.raises(ValueError) as refused:  # noqa: PT011  # whatever it says
            transfer.from_bytes(b"nonsense")
        assert caplog.messages == [f"Another process asked for something unknown here: {refused.value}"]

    async def test_it_is_given_away_when_there_was_nothing_to_do_for_a_while(self, process: Process) -> None:
        await process.has_its_turn()
        assert await process.may_decide(after=IDLE)
        assert (process.sharing.has_turn, process.turns.given) == (True, 0)
        assert await process.may_decide(after=HEAR / 2)
        assert process.sharing.has_turn is False
        assert process.turns.given == 1

    async def test_one_that_began_with_a_fault_is_given_away_as_any_other(
        self, process: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def catch_up() -> None:
            raise ZeroDivisionError

        await process.waits_for_its_turn()
        monkeypatch.setattr(process.committer, "catch_up", catch_up)
        process.turns.turn.put_nowait(True)
        await settled()
        with pytest.raises(ZeroDivisionError):
            await process.may_decide()
        process.queue.clear()  # which the bus gives up
        assert await process.may_decide(after=IDLE)
        assert (process.sharing.has_turn, process.turns.given) == (True, 0)
        assert await process.may_decide(after=HEAR / 2)
        assert (process.sharing.has_turn, process.turns.given) == (False, 1)

    @pytest.mark.parametrize("what", ["queue", "again", "open"])
    async def test_it_is_kept_while_there_is_something_to_do(self, process: Process, what: str) -> None:
        await process.has_its_turn()
        if what == "queue":
            process.submit()
        else:
            process.committer.again.append(process.pending("again"))
        if what == "open":
            await process.committer.decide_all(process.committer.again)
            assert not process.committer.is_quiet
        assert await process.may_decide(after=2 * IDLE)
        assert (process.sharing.has_turn, process.turns.given) == (True, 0)
        assert await process.may_decide(after=IDLE), "from when there was last something to do"
        assert process.sharing.has_turn

    async def test_it_ends_when_nobody_else_has_asked_for_long(self, process: Process) -> None:
        await process.has_its_turn()
        began = process.clock.now
        process.submit()
        assert await process.may_decide(after=CONTENDED)
        assert process.sharing.has_turn
        assert await process.may_decide(after=HEAR / 2)
        assert (process.sharing.has_turn, process.turns.given) == (False, 1)
        assert process.clock.now - began < CONTENDED + HEAR

    async def test_whoever_asks_is_a_reason_to_keep_it(self, process: Process) -> None:
        await process.has_its_turn()
        process.submit()
        process.clock.now += CONTENDED - 2 * HEAR
        await process.hears(envelope(create_workflow("theirs")))
        assert await process.may_decide(after=CONTENDED)
        assert process.sharing.has_turn

    async def test_it_is_not_given_away_while_others_are_heard(self, process: Process) -> None:
        """Whoever has it next would not know what was taken out of what they ask."""
        await process.has_its_turn()
        process.turns.may_ask.clear()
        assert await process.may_decide(after=2 * HEAR)
        assert await process.may_decide(after=2 * IDLE)
        assert (process.sharing.has_turn, process.turns.given) == (True, 0)
        process.turns.may_ask.set()
        await settled()
        assert await process.may_decide()
        assert (process.sharing.has_turn, process.turns.given) == (False, 1)

    async def test_whoever_lost_it_decides_no_more_as_if_it_were_there(self, process: Process) -> None:
        await process.has_its_turn()
        theirs = envelope(create_workflow("theirs"))
        await process.hears(theirs)
        process.turns.is_held = False
        assert await process.may_decide()
        assert process.sharing.has_turn is False
        assert process.turns.given == 0
        process.queue.clear()
        process.turns.is_held = True
        process.submit()
        assert not await process.may_decide()
        process.turns.turn.put_nowait(True)
        await settled()
        assert await process.may_decide()
        assert await process.hears(theirs) == [theirs.command_id], "of another turn nothing is remembered"


class TestWhoeverLeaves:
    async def test_hears_nobody_any_more(self, process: Process) -> None:
        await process.has_its_turn()
        process.sharing.leave()
        assert await process.may_decide(after=2 * HEAR)
        assert process.turns.asks == 0

    async def test_takes_nothing_in_any_more(self, process: Process) -> None:
        await process.has_its_turn()
        process.turns.others = [packed(envelope(create_workflow("theirs")))]
        assert await process.may_decide(after=2 * HEAR)
        process.sharing.leave()
        assert await process.may_decide()
        assert list(process.queue) == []

    async def test_gives_its_turn_to_others_if_there_are_any(self, process: Process) -> None:
        await process.has_its_turn()
        await process.hears(envelope(create_workflow("theirs")))
        assert process.sharing.has_turn
        process.sharing.leave()
        assert await process.may_decide()
        assert (process.sharing.has_turn, process.turns.given) == (False, 1)

    async def test_keeps_it_until_all_is_done_where_there_are_none(self, process: Process) -> None:
        await process.has_its_turn()
        process.submit()
        process.sharing.leave()
        assert await process.may_decide()
        assert (process.sharing.has_turn, process.turns.given) == (True, 0)
        await process.sharing.close()
        assert (process.sharing.has_turn, process.turns.given) == (False, 1)

    async def test_waits_for_its_turn_no_longer(self, process: Process) -> None:
        await process.waits_for_its_turn()
        await process.sharing.close()
        assert (process.turns.broken_off, process.turns.given) == (["take"], 0)

    async def test_hears_out_nobody(self, process: Process) -> None:
        await process.has_its_turn()
        process.turns.may_ask.clear()
        assert await process.may_decide(after=2 * HEAR)
        await process.sharing.close()
        assert process.turns.broken_off == ["asked"]
