"""Histories with filters, and traces."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import CutOutOfRange, InvalidInput, NotFound
from domain.log import NOW, START, Cut
from projections import differences, traces
from projections.differences import Differences
from projections.history import History, HistoryEntry, HistoryFilter
from projections.traces import Tracer
from tests.support.stories import finished_task, full_task
from tests.support.time_travel import LATER
from tests.support.told_log import START as BEGAN
from tests.support.told_log import ToldLog


def told() -> ToldLog:
    """A task's events, a second apart, by two actors; every third said when it occurred."""
    log = ToldLog()
    for place, one in enumerate(full_task("t")):
        said = {"occurred_at": (BEGAN - timedelta(days=place)).isoformat()} if place % 3 == 0 else {}
        log.tell(one, metadata={"actor": ("ann", "bob")[place % 2], **said})
    return log


async def versions(entries: AsyncIterator[HistoryEntry]) -> list[int]:
    return [entry.version async for entry in entries]


async def test_history_tells_only_what_is_asked_for_with_what_each_of_it_changed() -> None:
    log = told()
    everything = [entry async for entry in History(log).of("task", "t")]
    cases: list[tuple[HistoryFilter, Callable[[HistoryEntry], object]]] = [
        (HistoryFilter(actor="ann"), lambda one: one.actor == "ann"),
        (HistoryFilter(types=frozenset({"TaskStarted"})), lambda one: one.type == "TaskStarted"),
        (HistoryFilter(since=everything[3].recorded_at), lambda one: one.version >= 4),
        (HistoryFilter(since=everything[3].recorded_at + timedelta(microseconds=1)), lambda one: one.version >= 5),
        (HistoryFilter(occurred_until=BEGAN - timedelta(days=3)), lambda one: one.occurred_at and one.version >= 4),
        (
            HistoryFilter(occurred_since=BEGAN - timedelta(days=3), actor="ann"),
            lambda one: one.occurred_at and one.version <= 4 and one.actor == "ann",
        ),
    ]
    for only, wanted in cases:
        expected = [one for one in everything if wanted(one)]
        assert expected, only
        assert [entry async for entry in History(log).of("task", "t", only=only)] == expected, only
        backwards = History(log, stretch=2).of("task", "t", only=only, newest_first=True)
        assert [entry async for entry in backwards] == expected[::-1], only


async def test_pages_of_history_follow_each_other() -> None:
    log = told()
    count = len(log.events)
    pages, after = [], 0
    while page := await versions(History(log).of("task", "t", after_version=after, limit=3)):
        pages += page
        after = page[-1]
    assert pages == list(range(1, count + 1))
    assert await versions(History(log).of("task", "t", limit=0)) == []
    assert await versions(History(log).of("task", "t", newest_first=True, limit=2)) == [count, count - 1]
    assert await versions(History(log).of("task", "t", cut=Cut(version=4), newest_first=True, limit=2)) == [4, 3]


# --- traces ----------------------------------------------------------------------------------------------------


def conversation(log: ToldLog, task_id: str, command_id: str, cause: str | None = None, **about: Any) -> None:
    metadata = {"correlation_id": "asked", "command_id": command_id, "command_type": "AddTask", **about}
    log.tell(*finished_task(task_id)[:2], metadata=metadata | ({"causation_id": cause} if cause else {}))


async def shown(log: ToldLog, begin: Cut = START, end: Cut = NOW) -> list[tuple[int, str, int]]:
    found = await Tracer(log).trace("asked", begin, end, LATER)
    return [(depth, command.command_id, len(command.events)) for depth, command in found]


async def test_a_trace_is_a_tree_by_causes_that_are_commands_or_events() -> None:
    log = ToldLog()
    conversation(log, "t1", "c1", "the orchestrator")
    log.tell(*finished_task("other"), metadata={"correlation_id": "other", "command_id": "x"})
    conversation(log, "t2", "c2", "c1")
    conversation(log, "t3", "c3", str(log.events[-1].event_id))
    conversation(log, "t4", "c4", "c1")
    conversation(log, "t5", "c5")
    assert await shown(log) == [(0, "c1", 2), (1, "c2", 2), (2, "c3", 2), (1, "c4", 2), (0, "c5", 2)]
    found = await Tracer(log).trace("asked", START, NOW, LATER)
    assert [(root.causation_id, root.type) for root in found.roots] == [
        ("the orchestrator", "AddTask"),
        (None, "AddTask"),
    ]
    middle = Cut(position=log.events[-5].position)
    assert await shown(log, end=middle) == [(0, "c1", 2), (1, "c2", 2), (2, "c3", 2)]
    assert await shown(log, begin=middle) == [(0, "c4", 2), (0, "c5", 2)]


@pytest.mark.parametrize("window", [1, 2, 5, 1000])
async def test_a_trace_looks_from_window_to_window_and_tells_how_far_it_is(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, heard = ToldLog(), []
    for number in range(6):
        conversation(log, f"t{number}", f"c{number}")
    whole = await shown(log)
    monkeypatch.setattr(traces, "WINDOW", window)
    assert await shown(log) == whole
    begin, end = Cut(position=2), Cut(position=10)
    await Tracer(log).trace("asked", begin, end, LATER, lambda done, total: heard.append((done, total)))
    assert heard == [(done, 8) for done in range(0, 8, window)]


async def test_causes_that_go_in_a_circle_or_come_later_make_no_circle() -> None:
    log = ToldLog()
    conversation(log, "t1", "c1", "c2")
    conversation(log, "t2", "c2", "c1")
    conversation(log, "t3", "c3", "c3")
    assert await shown(log) == [(0, "c1", 2), (1, "c2", 2), (0, "c3", 2)]


async def test_what_is_not_there_or_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ToldLog()
    with pytest.raises(NotFound, match="Nothing with the correlation id asked"):
        await shown(log)
    conversation(log, "t1", "c1")
    with pytest.raises(CutOutOfRange, match="The log ends at position 2, before 9"):
        await shown(log, end=Cut(position=9))
    monkeypatch.setattr(traces, "MOST", 1)
    with pytest.raises(InvalidInput, match="has more than 1 events; ask for a part of it"):
        await shown(log)


# --- differences -----------------------------------------------------------------------------------------------


async def test_cuts_that_can_not_be_compared_are_refused() -> None:
    log = told()
    differences = Differences(log)
    for begin, end, kind, said in (
        (Cut(version=1), NOW, InvalidInput, "A version is one of a single stream"),
        (NOW, START, InvalidInput, "lies at position 12, after the second one at 0: turn them round"),
        (Cut(position=5), Cut(position=13), CutOutOfRange, "The log ends at position 12"),
    ):
        with pytest.raises(kind, match=said):
            _ = [one async for one in differences.everywhere(begin, end, BEGAN)]
    for begin, end, said in (
        (Cut(version=0), NOW, "has versions 1 to 12, not 0"),
        (Cut(version=1), Cut(version=13), "has versions 1 to 12, not 13"),
        (Cut(version=1), START, "began at 2024-01-17T10:00:01Z, position 1"),
    ):
        with pytest.raises(CutOutOfRange, match=said):
            await differences.of("task", "t", begin, end, BEGAN)
    with pytest.raises(NotFound):
        await differences.of("task", "nobody", START, NOW, BEGAN)


async def test_a_difference_says_what_appeared_and_what_ended() -> None:
    log = ToldLog()
    log.tell_all(*finished_task("t"))
    differences = Differences(log)
    appeared = await differences.of("task", "t", START, Cut(version=2), LATER)
    assert (appeared.appeared, appeared.ended, appeared.before) == (True, False, None)
    ended = await differences.of("task", "t", Cut(version=2), NOW, LATER)
    assert (ended.appeared, ended.ended) == (False, True)
    assert "state: scheduled -> completed" in ended.lines
    both = await differences.of("task", "t", START, NOW, LATER)
    assert (both.appeared, both.ended) == (True, True)
    nothing = await differences.of("task", "t", NOW, NOW, LATER)
    assert (nothing.patch, nothing.lines, nothing.ended) == ([], [], False)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
async def test_all_that_moved_is_compared_whatever_the_pages(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ToldLog()
    for number in range(6):
        log.tell_all(*finished_task(f"t{number}"))
    whole = [one async for one in Differences(log).everywhere(START, NOW, LATER)]
    assert [one.id for one in whole] == [f"t{number}" for number in range(6)]
    monkeypatch.setattr(differences, "MOVED_AT_ONCE", at_once)
    assert [one async for one in Differences(log).everywhere(START, NOW, LATER)] == whole
    async with aclosing(Differences(log).everywhere(START, NOW, LATER)) as broken_off:
        assert await anext(broken_off) == whole[0]
