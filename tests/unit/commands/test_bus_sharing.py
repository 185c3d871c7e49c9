"""A bus that shares its log with other processes: who decides what it was given, and what it decides for them."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from commands import asking, sharing
from commands.bus import CommandBus
from commands.envelope import Answer
from tests.support.command_world import Clock, World, create_workflow, envelope
from tests.support.turns import GatedTurns, packed
from tests.unit.commands.test_bus import GatedLog, settled, submissions

PATIENCE = 0.02
SECONDS = 5.0
"""More than anything takes here, if it does not wait for ever."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What nobody answers is soon decided here; no callback of the loop fails unseen."""
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", PATIENCE)
    yield
    assert [record.message for record in caplog.get_records("call") if record.name in ("asyncio", "commands.bus")] == []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110  # whoever makes it so does not tell
            await asyncio.sleep(0.001)


class Shared:
    """A bus beside others. Its log is open."""

    def __init__(self, queue_size: int = 100, group_size: int = 100) -> None:
        clock = Clock()
        self.log = GatedLog(clock)
        self.log.gate.set()
        self.world = World(self.log, clock)
        self.turns = GatedTurns()
        self.bus = CommandBus(self.world.committer, turns=self.turns, queue_size=queue_size, group_size=group_size)
        self.bus.sharing.contended()

    async def answered(self, tasks: list["asyncio.Task[Answer]"]) -> list[str]:
        async with asyncio.timeout(SECONDS):
            return [answer.outcome for answer in await asyncio.gather(*tasks)]

    async def until_it_is_their_turn(self) -> None:
        self.turns.turn.put_nowait(True)
        await until(lambda: self.bus.sharing.has_turn)


async def test_nothing_is_decided_before_the_turn_was_waited_for() -> None:
    shared = Shared()
    async with shared.bus:
        waiting = submissions(shared.bus, "a")
        await settled()
        assert shared.log.groups == []
        shared.turns.turn.put_nowait(True)
        assert await shared.answered(waiting) == ["accepted"]
    assert shared.turns.left == []


async def test_what_others_were_asked_and_do_not_answer_is_decided_here_in_groups() -> None:
    """It rests meanwhile, and looks around when there may be an answer."""
    shared = Shared(group_size=2)
    async with shared.bus:
        waiting = submissions(shared.bus, *"abc")
        assert await shared.answered(waiting) == ["accepted"] * 3
        assert len(shared.turns.left) == 3
    assert shared.log.groups == [2, 1]


async def test_what_others_ask_is_decided_as_far_as_there_is_room_beside_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("IDLE_SECONDS", "CONTENDED_SECONDS"):
        monkeypatch.setattr(sharing, name, 2 * SECONDS)  # on a busy machine its turn would end before it is used
    shared = Shared(queue_size=3, group_size=1)
    theirs = [envelope(create_workflow(f"theirs-{n}")) for n in range(5)]
    async with shared.bus:
        waiting = submissions(shared.bus, "a")
        await shared.until_it_is_their_turn()
        assert await shared.answered(waiting) == ["accepted"]
        shared.log.gate.clear()
        under_way = submissions(shared.bus, *"bcd")  # in flight, decided, and waiting
        await settled()
        assert shared.bus.waiting == 1
        shared.turns.others = [packed(one) for one in theirs]
        await until(lambda: not shared.turns.others)
        await settled()
        shared.log.gate.set()
        assert await shared.answered(under_way) == ["accepted"] * 3
        await until(lambda: bool(shared.world.types("workflow-theirs-1")))
    assert [name for name in range(5) if shared.world.types(f"workflow-theirs-{name}")] == [0, 1]
