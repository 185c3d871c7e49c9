"""What a handler asks for, and how much at once."""

from uuid import uuid4

import pytest

from commands.work import Key, Needs, Past, PastKey, Work
from domain.log import Cut
from domain.task import TASK, Task
from tests.support.command_world import BEGINNING

CUT = Cut(position=7)


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
