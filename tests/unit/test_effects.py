"""What a rollback does to others: in words for people, in facts for programs."""

from datetime import UTC, datetime

import pytest

from domain.agent import AgentReturned, AgentSlotFreed, AgentSlotTaken
from domain.aggregate import Event
from domain.pool import ReservationReleased, ResourcesReserved
from domain.task import TaskCancelled, TaskRolledBack
from dora_state.effects import effect_of

AT = datetime(2024, 1, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "id", "event", "words", "facts"),
    [
        (
            "agent",
            "a-1",
            AgentSlotTaken(at=AT, task_id="t-2", workflow_id="w"),
            "agent a-1: takes a slot for task t-2",
            "agent a-1: AgentSlotTaken (task_id=t-2)",
        ),
        (
            "agent",
            "a-1",
            AgentSlotFreed(at=AT, task_id="t-2", outcome="rolled_back"),
            "agent a-1: gives back the slot of task t-2",
            "agent a-1: AgentSlotFreed (task_id=t-2, outcome=rolled_back)",
        ),
        (
            "pool",
            "p",
            ResourcesReserved(at=AT, reservation_id="r", resources={"cpu": "2", "memory": "4G"}, task_id="t-2"),
            "pool p: reserves cpu 2, memory 4G for task t-2",
            "pool p: ResourcesReserved (task_id=t-2, reservation_id=r)",
        ),
        (
            "pool",
            "p",
            ReservationReleased(at=AT, reservation_id="r", reason="task rolled back"),
            "pool p: releases reservation r",
            "pool p: ReservationReleased (reservation_id=r, reason=task rolled back)",
        ),
        (
            "task",
            "t",
            TaskRolledBack(at=AT, reason="preview", operator="preview", restored={"state": "timed_out"}),
            "task t: goes back to timed out",
            "task t: TaskRolledBack",
        ),
        ("task", "t", TaskCancelled(at=AT, reason="preview"), "task t: is cancelled", "task t: TaskCancelled"),
        ("agent", "a", AgentReturned(at=AT, state="healthy"), "agent a: agent returned", "agent a: AgentReturned"),
    ],
)
def test_an_effect_is_told_in_words_and_in_facts(kind: str, id: str, event: Event, words: str, facts: str) -> None:
    effect = effect_of(kind, id, event, reason_given=False)
    assert effect.in_words() == words
    assert str(effect) == facts


def test_a_reason_that_was_given_is_a_fact() -> None:
    effect = effect_of("task", "t", TaskCancelled(at=AT, reason="wrong"), reason_given=True)
    assert str(effect) == "task t: TaskCancelled (reason=wrong)"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("completed", "cancelled", "task t: is cancelled"),
        ("created", "created", "task t: stays created, as it was then"),
        ("timed_out", "timed_out", "task t: stays timed out, as it was then"),
        ("completed", "running", "task t: goes back to running"),
    ],
)
def test_a_task_goes_back_only_to_what_it_was(before: str, after: str, words: str) -> None:
    event = TaskRolledBack(at=AT, reason="r", operator="o", restored={"state": after})
    assert effect_of("task", "t", event, reason_given=True, state=before).in_words() == words
