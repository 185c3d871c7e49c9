"""The states that the projector folds on: what is in memory, what is read for it, and how much at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from domain.aggregate import Event
from domain.all_events import AGGREGATES
from domain.errors import CorruptLog
from domain.folding import FOLDER, Folder
from domain.log import FoldRequest, Stretch
from domain.task import TASK, Task
from projections import states
from projections.states import States
from tests.support.stories import finished_task, full_agent
from tests.support.told_log import ToldLog


class Log(ToldLog):
    """Notes which streams are asked for together, and which by pages."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[list[str]] = []
        self.by_pages: list[str] = []
        self.moments: list[int | None] = []

    async def read_folds(self, requests: Sequence[FoldRequest], *, up_to_position: int | None = None) -> list[Stretch]:
        self.together.append([one.stream_id for one in requests])
        self.moments.append(up_to_position)
        return await super().read_folds(requests, up_to_position=up_to_position)

    def read_stretches(self, stream_id: str, **options: Any) -> Any:
        self.by_pages.append(stream_id)
        return super().read_stretches(stream_id, **options)


@pytest.fixture
def log() -> Log:
    log = Log()
    for name in "abcde":
        log.tell_all(*finished_task(name))
    return log


def of(*names: str, version: int = 5) -> dict[str, int]:
    return {f"task-{name}": version for name in names}


def found(kept: States, names: str = "abcde") -> str:
    return "".join(name for name in names if kept.get(f"task-{name}") is not None)


async def test_what_is_in_memory_or_has_no_event_yet_is_not_read(log: Log) -> None:
    kept = States(log, FOLDER, 100)
    assert await kept.load(of("a"), 25) == {}
    assert await kept.load(of("a", "b") | of("c", version=0) | {"nothing-x": 3}, 25) == {}
    assert (log.together, log.by_pages) == ([["task-a"], ["task-b"]], [])
    assert log.moments == [25, 25]
    assert found(kept) == "ab"
    await kept.load(of("a") | of("d", version=0), 25)
    assert len(log.together) == 2, "nothing is asked where nothing is missing"


@pytest.mark.parametrize(
    ("at_once", "together", "by_pages"),
    [
        (26, ["abcde"], ""),
        (25, ["abcde"], ""),
        (20, ["abcd", "e"], ""),
        (11, ["abc", "de"], ""),
        (10, ["ab", "cd", "e"], ""),
        (6, ["ab", "cd", "e"], ""),
        (5, ["a", "b", "c", "d", "e"], ""),
        (4, [], "abcde"),
    ],
)
async def test_so_many_events_are_read_together_and_longer_streams_by_pages(
    log: Log, monkeypatch: pytest.MonkeyPatch, at_once: int, together: list[str], by_pages: str
) -> None:
    monkeypatch.setattr(states, "READ_AT_ONCE", at_once)
    kept = States(log, FOLDER, 100)
    await kept.load(of(*"abcde"), 25)
    assert log.together == [[f"task-{name}" for name in group] for group in together]
    assert log.by_pages == [f"task-{name}" for name in by_pages]
    assert set(log.moments) <= {25}
    assert found(kept) == "abcde"


@pytest.mark.parametrize("at_once", [4, 10, 100])
async def test_what_can_be_folded_no_more_is_told_and_the_rest_is_loaded(
    log: Log, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    def evolve(task: Task | None, event: Event) -> Task:
        after = TASK.evolve(task, event)
        if after.task_id == "b":
            raise ValueError("a later release")
        return after

    monkeypatch.setattr(states, "READ_AT_ONCE", at_once)
    kept = States(log, Folder(AGGREGATES | {"task": replace(TASK, evolve=evolve)}), 100)
    failed = await kept.load(of(*"abc"), 25)
    assert failed.keys() == {"task-b"}
    assert isinstance(failed["task-b"], CorruptLog)
    assert "a later release" in str(failed["task-b"])
    assert found(kept) == "ac"


async def test_it_is_the_state_at_that_version(log: Log) -> None:
    kept = States(log, FOLDER, 100)
    await kept.load(of("a", version=3), 3)
    assert kept.get("task-a").state == "assigned"  # type: ignore[union-attr]  # it is there
    for version, state in ((1, "created"), (4, "running"), (5, "completed")):
        await kept.load_one("task-a", version)
        assert kept.get("task-a").state == state  # type: ignore[union-attr]  # it is there


async def test_what_was_touched_longest_ago_goes_first(log: Log) -> None:
    kept = States(log, FOLDER, 3)
    await kept.load(of(*"abc"), 25)
    kept.trim([])
    assert found(kept) == "abc"
    await kept.load(of("d"), 25)
    kept.trim(["task-a", "task-none"])
    assert found(kept) == "acd"
    await kept.load(of("e"), 25)
    kept.trim(["task-e"])
    assert found(kept) == "ade"
    kept.forget("task-a")
    kept.forget("task-none")
    assert found(kept) == "de"
    kept.put("task-a", "whatever")
    assert kept.get("task-a") == "whatever"
    kept.clear()
    assert found(kept) == ""


async def test_each_kind_has_its_aggregate(log: Log) -> None:
    log.tell_all(*full_agent("x-y"))
    kept = States(log, FOLDER, 3)
    assert kept.aggregate("task-a") is AGGREGATES["task"]
    assert kept.aggregate("agent-x-y") is AGGREGATES["agent"]
    assert kept.aggregate("nothing-a") is None
    await kept.load({"agent-x-y": 11}, 36)
    assert kept.get("agent-x-y") is not None
