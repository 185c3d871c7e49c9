"""The times of a log are checked as the log gives them: its clock's for what is live, and an import's own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from commands.messages.importing import BeginImport, EndImport
from domain.log import RecordedEvent
from dora_state.testing.recorded import Recorded
from tests.support.command_world import World, create_workflow

NOON = datetime(2024, 1, 17, 12, tzinfo=UTC)
BEGIN = BeginImport(file_name="older.xes", sha256="0" * 64, imported_at=NOON)
END = EndImport(sha256="0" * 64, imported_at=NOON, counts={})


@pytest.fixture
def imported() -> list[RecordedEvent]:
    """The beginning of an import, two workflows of it, its end, and two workflows since."""
    world = World()
    for command in (BEGIN, create_workflow("a"), create_workflow("b"), END, create_workflow("c"), create_workflow("d")):
        world.accept(command)
    return list(world.log.events)


def faults(log: list[RecordedEvent], *seconds: float) -> list[str]:
    """With these times, in seconds after noon."""
    recorded = Recorded(others=())
    timed = [
        replace(event, recorded_at=NOON + timedelta(seconds=after)) for event, after in zip(log, seconds, strict=True)
    ]
    found = [fault for event in timed for fault in recorded.add(event)]
    assert {fault.promise for fault in found} <= {"times"}
    return [fault.says for fault in found]


def test_time_may_stand_still_within_an_import(imported: list[RecordedEvent]) -> None:
    assert faults(imported, 0, 0, 0, 0, 1, 2) == []


def test_time_goes_back_in_no_import(imported: list[RecordedEvent]) -> None:
    (says,) = faults(imported, 0, 5, 4, 5, 6, 7)
    assert says == "Position 3 was recorded at 2024-01-17 12:00:04+00:00, before 2024-01-17 12:00:05+00:00."


@pytest.mark.parametrize(("times", "where"), [((0, 0, 0, 0, 0, 1), 5), ((0, 0, 0, 0, 1, 1), 6)])
def test_time_rises_again_once_an_import_has_ended(
    imported: list[RecordedEvent], times: tuple[float, ...], where: int
) -> None:
    (says,) = faults(imported, *times)
    assert says == f"Position {where} was recorded at {NOON + timedelta(seconds=times[-2])}, as the command before it."


def test_only_a_log_that_begins_with_an_import_has_one() -> None:
    world = World()
    for command in (create_workflow("a"), BEGIN, create_workflow("b"), END):
        world.accept(command)
    assert len(faults(world.log.events, 0, 1, 1, 1)) == 2
