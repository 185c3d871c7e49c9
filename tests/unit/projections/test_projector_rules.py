"""The projector's rules: any events, any batching, any crash, and the documents are the fold of the log."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.aggregate import Event
from domain.all_events import AGGREGATES, CATALOGUE
from domain.folding import Folder
from domain.task import TASK, Task, TaskAssigned, TaskCancelled, TaskCompleted, TaskScheduled, TaskStarted
from domain.workflow import WorkflowCreated, WorkflowStarted, WorkflowTaskChanged
from dora_state.testing.events import COMMANDS
from projections.cache_ports import NoHotCopies
from projections.documents import RENDERINGS, status
from projections.documents.values import Document, decode
from projections.errors import ProjectionHalted, ReadModelsUnavailable
from projections.projector import Projector
from tests.support.memory_read_models import MemoryReadModels
from tests.support.stories import at, finished_task, full_agent, full_stories, full_task, pending_task
from tests.support.told_log import START, ToldLog

Expected = dict[tuple[str, str], bytes]
RENDERING = RENDERINGS["task"]


def projector(log: ToldLog, store: MemoryReadModels, **options: Any) -> Projector:
    return Projector(log, store, NoHotCopies(), **options)  # type: ignore[arg-type]  # writes only


async def run_all(log: ToldLog, store: MemoryReadModels, **options: Any) -> None:
    """Until there is nothing left, begun anew after each loss."""
    runner = projector(log, store, **options)
    while True:
        try:
            if not await runner.run_once():
                break
        except ReadModelsUnavailable:
            continue
    await runner.release()


def expected(log: ToldLog) -> tuple[Expected, set[int], Counter[tuple[str, str]]]:
    """The documents, the positions of dead letters and the counts, by folding each stream alone."""
    documents: Expected = {}
    dead: set[int] = set()
    counts: Counter[tuple[str, str]] = Counter()
    for stream_id in {event.stream_id for event in log.events}:
        kind, _, id = stream_id.partition("-")
        records = [event for event in log.events if event.stream_id == stream_id]
        good = applicable(kind, records)
        dead |= {record.position for record in records[good:]}
        if good:
            state = fold(kind, records[:good])
            last = records[good - 1]
            documents[kind, id] = RENDERINGS[kind].render(state, last.version, last.position, last.recorded_at)
            counts[kind, status(state)] += 1
    return documents, dead, counts


def fold(kind: str, records: list[Any]) -> Any:
    return AGGREGATES[kind].fold(CATALOGUE.decode(r.type, r.schema_version, r.data) for r in records)


def applicable(kind: str, records: list[Any]) -> int:
    """How many of the first events can be applied."""
    for count in range(1, len(records) + 1):
        try:
            fold(kind, records[:count])
        except Exception:
            return count - 1
    return len(records)


def bodies(store: MemoryReadModels) -> Expected:
    return {key: document.body for key, document in store.documents.items()}


@given(
    commands=COMMANDS,
    batch_size=st.integers(1, 12),
    states_kept=st.integers(1, 6),
    before=st.sets(st.integers(1, 12)),
    after=st.sets(st.integers(1, 12)),
)
def test_whatever_the_events_and_the_batching_and_the_losses_the_read_models_are_the_fold(
    commands: list[list[tuple[str, Event]]], batch_size: int, states_kept: int, before: set[int], after: set[int]
) -> None:
    log, store = ToldLog(), MemoryReadModels()
    store.lose_before, store.lose_after = before, after
    for command in commands:
        log.tell(*command)
    asyncio.run(run_all(log, store, batch_size=batch_size, states_kept=states_kept))
    documents, dead, counts = expected(log)
    assert bodies(store) == documents
    assert set(store.dead_letters) == dead
    assert +store.counted == counts
    assert store.position == len(log.events)


async def test_everything_that_the_stories_tell_becomes_a_document() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*full_stories())
    await run_all(log, store)
    assert sorted(store.documents) == [
        ("agent", "policy-analyzer-001"),
        ("pool", "compute-pool-primary"),
        ("system", "platform"),
        ("task", "task-1"),
        ("workflow", "wf-1"),
    ]
    assert store.dead_letters == {}


async def test_an_event_that_cannot_be_applied_is_parked_with_all_that_follows_and_the_rest_goes_on() -> None:
    log, store = ToldLog(), MemoryReadModels()
    created = WorkflowCreated(at=START, workflow_id="w", definition_id="d", definition_version="1")
    log.tell(("workflow-w", created))
    log.put("workflow-w", "WorkflowTaskChanged", b'{"at":"2024-01-17T10:00:00Z","task_id":"none","state":"running"}')
    log.tell(("workflow-w", WorkflowStarted(at=START)), ("workflow-v", created))
    await run_all(log, store)
    assert store.documents["workflow", "w"].position == 1
    assert store.documents["workflow", "v"].position == 4
    assert sorted(store.dead_letters) == [2, 3]
    assert "KeyError" in store.dead_letters[2].error
    assert "follows" in store.dead_letters[3].error


async def test_what_the_same_command_did_before_the_parked_event_is_shown() -> None:
    log, store = ToldLog(), MemoryReadModels()
    created = WorkflowCreated(at=START, workflow_id="w", definition_id="d", definition_version="1")
    misled = WorkflowTaskChanged(at=START, task_id="none", state="running")
    log.tell(("workflow-w", created), ("workflow-w", misled), ("workflow-v", created))
    await run_all(log, store)
    assert store.documents["workflow", "w"].position == 1
    assert sorted(store.dead_letters) == [2]


async def test_a_fold_that_stops_half_way_leaves_no_trace() -> None:
    def evolve(task: Task | None, event: Event) -> Task:
        if isinstance(event, TaskStarted):
            assert task is not None
            task.priority = "low"
            raise ValueError("half way")
        return TASK.evolve(task, event)

    log, store = ToldLog(), MemoryReadModels()
    log.tell(*full_task("t")[:5])
    aggregates = AGGREGATES | {"task": replace(TASK, evolve=evolve)}
    await Projector(log, store, NoHotCopies(), Folder(aggregates)).run_once()  # type: ignore[arg-type]  # writes only
    assert decode(store.documents["task", "t"].body)["priority"] == "high"
    assert decode(store.documents["task", "t"].body)["state"] == "assigned"


async def test_a_stream_that_can_be_folded_no_more_is_parked_and_its_document_stays() -> None:
    def evolve(task: Task | None, event: Event) -> Task:
        raise ValueError("a later release")

    log, store = ToldLog(), MemoryReadModels()
    log.tell(*full_task("t")[:1])
    await run_all(log, store)
    log.tell(*full_task("t")[1:3], *full_agent())
    aggregates = AGGREGATES | {"task": replace(TASK, evolve=evolve)}
    await Projector(log, store, NoHotCopies(), Folder(aggregates)).run_once()  # type: ignore[arg-type]  # writes only
    assert store.documents["task", "t"].position == 1
    assert sorted(store.dead_letters) == [2, 3]
    assert "a later release" in store.dead_letters[2].error
    assert store.documents["agent", "policy-analyzer-001"].position == len(log.events)


async def test_what_follows_a_parked_event_is_parked_by_the_next_projector_too() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.put("task-t", "TaskScheduled", b'{"at":"2024-01-17T10:00:00Z"}')
    await run_all(log, store)
    log.tell(*full_task("t")[:1])
    await run_all(log, store)
    assert sorted(store.dead_letters) == [1, 2]
    assert store.documents == {}


async def test_an_event_whose_bytes_do_not_fit_its_type_is_parked() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.put("task-t", "TaskScheduled", b'{"at": 7, "unheard": 1}')
    log.tell_all(*full_agent())
    await run_all(log, store)
    assert sorted(store.dead_letters) == [1]
    assert list(store.documents) == [("agent", "policy-analyzer-001")]


async def test_a_document_that_cannot_be_rendered_stays_as_it_was_and_is_parked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stored(task: Task) -> Document:
        if task.state == "scheduled":
            raise ValueError("nothing to show")
        return RENDERING.stored(task)

    monkeypatch.setitem(RENDERINGS, "task", replace(RENDERING, stored=stored))
    log, store = ToldLog(), MemoryReadModels()
    runner = projector(log, store)
    log.tell(*full_task("t")[:1])
    await runner.run_once()
    log.tell(*full_task("t")[2:3], *full_agent())
    await runner.run_once()
    assert store.documents["task", "t"].position == 1
    assert "nothing to show" in store.dead_letters[2].error
    assert store.documents["agent", "policy-analyzer-001"].position == len(log.events)
    assert store.counted["task", "created"] == 1


@pytest.mark.parametrize(("type_name", "schema_version"), [("TaskTeleported", 1), ("TaskScheduled", 2)])
async def test_an_event_of_a_later_release_halts_the_projector_after_all_commands_before_it(
    type_name: str, schema_version: int
) -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*full_agent())
    log.put("task-t", "TaskScheduled", b'{"at":"2024-01-17T10:00:00Z"}', following=1)
    log.put("task-t", type_name, b"{}", schema_version=schema_version)
    log.tell_all(*full_stories())
    runner = projector(log, store)
    assert await runner.run_once() == len(full_agent())
    with pytest.raises(ProjectionHalted, match=f"Event 13 is a {type_name} of schema version {schema_version}"):
        await runner.run_once()
    assert store.position == len(full_agent())
    assert store.dead_letters == {}
    with pytest.raises(ProjectionHalted):
        await runner.run(asyncio.Event())
    assert not store.led


async def test_an_attempt_that_ends_is_counted_with_its_times() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*finished_task("t", begin=100, end=160))
    await run_all(log, store)
    (attempt,) = store.attempts.values()
    assert (attempt.outcome, attempt.agent_id, attempt.workflow_id) == ("completed", "agent-1", "wf-1")
    assert (attempt.duration, attempt.response_time) == (60, 10)
    assert attempt.at == at(160)


async def test_what_an_import_inferred_has_no_duration() -> None:
    log, store = ToldLog(), MemoryReadModels()
    *before, completed = finished_task("t", begin=100, end=100)
    log.tell_all(*before)
    log.tell(completed, metadata={"inferred": True})
    log.tell_all(*finished_task("u")[:-1])
    log.tell(finished_task("u")[-1], metadata={"inferred": False})
    await run_all(log, store)
    assert [(attempt.duration, attempt.response_time) for attempt in store.attempts.values()] == [
        (None, None),
        (60, 10),
    ]


async def test_a_task_scheduled_and_started_at_one_moment_has_no_response_time() -> None:
    log, store = ToldLog(), MemoryReadModels()
    events: list[Event] = [
        TaskScheduled(at=START),
        TaskAssigned(at=START, agent_id="a", reason="r"),
        TaskStarted(at=START),
        TaskCompleted(at=at(5)),
    ]
    log.tell(*pending_task("t", 0), *[("task-t", event) for event in events])
    await run_all(log, store)
    (attempt,) = store.attempts.values()
    assert (attempt.duration, attempt.response_time) == (5, None)


async def test_a_task_that_was_cancelled_before_it_ran_is_no_attempt() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*pending_task("t", 0), ("task-t", TaskCancelled(at=at(1), reason="r")))
    await run_all(log, store)
    assert store.attempts == {}


async def test_a_long_stream_is_folded_by_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.states.READ_AT_ONCE", 3)
    log, store = ToldLog(), MemoryReadModels()
    for pairs in zip(full_agent("a"), full_agent("b"), full_task("t"), strict=False):
        log.tell(*pairs)
    await run_all(log, store, batch_size=2, states_kept=1)
    assert bodies(store) == expected(log)[0]
    assert store.dead_letters == {}
