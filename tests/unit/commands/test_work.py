"""What a handler asks for, and how much at once; and what is taken back when there was more to load."""

from typing import Any
from uuid import uuid4

import pytest

from commands.work import Key, Loaded, Needs, Past, PastKey, Work
from domain.log import Cut
from domain.task import TASK, Task, TaskScheduled
from domain.workflow import WORKFLOW
from tests.support.command_world import BEGINNING, running_world

CUT = Cut(position=7)
KNOWN: dict[str, Loaded[Any]] = running_world("t1", "t2").everything()


def new_work() -> Work:
    return Work(lambda stream_id: KNOWN.get(stream_id), BEGINNING, uuid4())


def test_what_is_not_there_is_asked_for_all_at_once() -> None:
    work = new_work()
    missing = [Key.of(TASK, "t8"), Key.of(TASK, "t9")]
    work.get(TASK, "t1")
    with pytest.raises(Needs) as needs:
        work.fetch([Key.of(TASK, "t1"), missing[0], Key.of(WORKFLOW, "wf"), missing[1]])
    assert needs.value.streams == tuple(missing)
    work.fetch([Key.of(TASK, "t1"), Key.of(WORKFLOW, "wf")])


def test_what_was_read_is_not_asked_for_again_though_memory_has_let_it_go() -> None:
    known = dict(KNOWN)
    work = Work(lambda stream_id: known.get(stream_id), BEGINNING, uuid4())
    work.get(TASK, "t1")
    known.clear()
    work.fetch([Key.of(TASK, "t1")])


def test_what_is_no_aggregate_of_today_is_asked_for_until_it_was_told() -> None:
    work = new_work()
    with pytest.raises(Needs) as past:
        work.past(TASK, "t1", CUT)
    with pytest.raises(Needs) as count:
        work.active_workflows()
    with pytest.raises(Needs) as end:
        work.end_of_log()
    asked = [(one.value.past, one.value.count, one.value.end) for one in (past, count, end)]
    assert asked == [(((Key.of(TASK, "t1"), CUT),), False, False), ((), True, False), ((), False, True)]
    work.begin_again(0, 7)
    assert (work.active_workflows(), work.end_of_log()) == (0, 7)


def test_an_aggregate_is_named_alike_by_its_id_by_its_stream_and_by_its_events() -> None:
    work = new_work()
    work.record(TASK, "t1", [TaskScheduled(at=BEGINNING)])
    ((of_event, _),) = work.events
    for key in (of_event, Key.of(TASK, "t1"), Key.of_stream("task-t1")):
        assert (key.aggregate, key.stream_id, key.aggregate_id) == (TASK, "task-t1", "t1")


def test_a_reservation_has_the_id_that_follows_from_its_command_however_often_it_is_decided() -> None:
    work = new_work()
    ids = [work.reservation_id(), work.reservation_id()]
    assert ids == [f"res-{work.command_id}-1", f"res-{work.command_id}-2"]
    work.begin_again(None, None)
    assert work.reservation_id() == ids[0]
    work.end_step("AssignTask")
    assert work.reservation_id() == ids[1]
    work.begin_again(None, None)
    assert work.reservation_id() == ids[1]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_what_is_done_again_changes_nothing_that_others_see_and_is_all_that_is_left(steps: int) -> None:
    work = new_work()
    before = KNOWN["task-t1"]
    assert before.state is not None
    shown = before.state.copy()
    work.get(TASK, "t1")
    for _ in range(steps):
        work.end_step("CompletePhase")
    for _ in range(2):
        work.begin_again(None, None)
        assert work.left == {}
        work.record(TASK, "t1", [TaskScheduled(at=BEGINNING)])
        work.record(TASK, "t1", [TaskScheduled(at=BEGINNING)])
    assert KNOWN["task-t1"].state == shown
    assert {stream_id: one.version for stream_id, one in work.left.items()} == {"task-t1": before.version + 2}
    assert work.reads == {"task-t1": before.version}


def test_the_past_of_many_is_asked_for_at_once_and_not_again() -> None:
    past: dict[PastKey, Past[Task]] = {PastKey("task-t1", CUT): Past(1, 1, None)}
    work = Work(lambda _: None, BEGINNING, uuid4(), past)
    keys = [Key.of(TASK, one) for one in ("t1", "t2", "t3")]
    with pytest.raises(Needs) as needs:
        work.fetch_past(keys, CUT)
    assert needs.value.past == ((keys[1], CUT), (keys[2], CUT))

    past.update({PastKey(key.stream_id, CUT): Past(0, 0, None) for key in keys[1:]})
    work.fetch_past(keys, CUT)
    with pytest.raises(Needs) as needs:
        work.fetch_past(keys, Cut(position=8))
    assert len(needs.value.past) == 3
