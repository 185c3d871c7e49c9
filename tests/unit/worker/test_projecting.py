"""The projection for as long as the worker runs: a halt is told once, noted each time, and tried again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dora_state.worker import projecting
from dora_state.worker.projecting import project
from projections.errors import ProjectionHalted, ReadModelsUnavailable
from projections.projection import STATES, Projection


class Projecting:
    """A runner that halts at these positions, one after the other, and then has come past the last."""

    projection = STATES

    def __init__(self, *positions: int) -> None:
        self._positions = list(positions)
        self.tried: list[int] = []

    async def run(self, stop: asyncio.Event) -> None:
        if not self._positions:
            stop.set()
            return
        self.tried.append(self._positions.pop(0))
        raise ProjectionHalted(f"Event {self.tried[-1]} is unknown.", position=self.tried[-1], event_type="E")


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    noted: list[int] = []

    async def note(_: object, projection: Projection, reason: str, event_position: int | None) -> None:
        assert projection is STATES
        assert reason == f"Event {event_position} is unknown."
        noted.append(int(reason.removeprefix("Event ").removesuffix(" is unknown.")))
        if len(noted) == 1:
            raise ReadModelsUnavailable

    monkeypatch.setattr(projecting, "note_halt", note)
    monkeypatch.setattr(projecting, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(projecting, "LAST_RETRY", 0.002)
    return noted


async def test_a_halt_is_told_once_for_each_event_and_tried_again_until_it_is_past(
    noted: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    projector = Projecting(7, 7, 7, 9, 9)
    platform: Any = SimpleNamespace(runners=[projector], projector_pool=None)
    async with asyncio.timeout(20):
        await project(platform, asyncio.Event())
    assert projector.tried == noted == [7, 7, 7, 9, 9]
    assert [record.message for record in caplog.records] == [
        "The projection states has halted; all else goes on. Event 7 is unknown.",
        "The projection states has halted; all else goes on. Event 9 is unknown.",
    ]
