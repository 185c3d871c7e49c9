"""Events in any order, applicable or not, as hypothesis draws them: for what reads a log and must stand anything."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from domain import agent as a
from domain import pool as p
from domain import system as s
from domain import task as t
from domain import workflow as w
from domain.aggregate import Event

AT = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)
KEYS = st.sampled_from(["x", "y"])
FEW = st.integers(1, 3)


def _of(event: type[Event], **fields: Any) -> st.SearchStrategy[Event]:
    return st.builds(
        event,
        at=st.just(AT),
        **{name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in fields.items()},
    )


EVENTS: dict[str, st.SearchStrategy[Event]] = {
    "workflow": st.one_of(
        _of(w.WorkflowCreated, workflow_id="w", definition_id="d", definition_version="1"),
        _of(w.WorkflowTaskAdded, task_id=KEYS, definition_id="d"),
        _of(w.WorkflowTaskChanged, task_id=KEYS, state=st.sampled_from(["running", "completed", "failed"])),
        _of(w.WorkflowStarted),
        _of(w.WorkflowCompleted),
    ),
    "task": st.one_of(
        _of(t.TaskCreated, task_id="t", workflow_id="w", definition_id="d"),
        _of(t.TaskScheduled),
        _of(t.TaskAssigned, agent_id=KEYS, reason="r"),
        _of(t.TaskStarted),
        _of(t.TaskProgressed, percentage=st.sampled_from([1.0, 99.5])),
        _of(t.TaskCompleted),
        _of(t.TaskFailed, error="e"),
        _of(t.TaskRetried, attempt=FEW),
        _of(t.TaskCancelled, reason="r"),
    ),
    "agent": st.one_of(
        _of(a.AgentRegistered, agent_id="a", agent_type="t"),
        _of(a.AgentSlotTaken, task_id=KEYS, workflow_id="w"),
        _of(a.AgentTaskStarted, task_id=KEYS),
        _of(a.AgentSlotFreed, task_id=KEYS, outcome=st.sampled_from(["completed", "failed"]), execution_time=1.5),
        _of(a.AgentHealthReported, state=st.sampled_from(["healthy", "unhealthy"])),
    ),
    "pool": st.one_of(
        _of(p.PoolCreated, pool_id="p", total={"cpu": "4", "memory": "8Gi"}),
        _of(p.ResourcesReserved, reservation_id=KEYS, resources={"cpu": "1", "memory": "1Gi"}),
        _of(p.ReservationReleased, reservation_id=KEYS, reason="r"),
        _of(p.PoolResized, total=st.sampled_from([{"cpu": "2"}, {}])),
    ),
    "system": st.one_of(
        _of(s.ComponentHealthReported, component=KEYS, health=st.sampled_from(["healthy", "degraded"])),
        _of(s.MaintenanceCancelled, window_id=KEYS),
        _of(s.SystemConfigured, retry_attempts=FEW),
    ),
    "mystery": st.one_of(_of(t.TaskScheduled)),
}
"""By kind of stream, events that it may have; `mystery` is a kind that has no documents."""


def _pair(kind: str) -> st.SearchStrategy[tuple[str, Event]]:
    ids = st.sampled_from(["1", "2-b"])
    return st.tuples(ids.map(lambda id: f"{kind}-{id}"), EVENTS[kind])


PAIRS = st.sampled_from([*EVENTS]).flatmap(_pair)
"""A stream and an event for it."""
COMMANDS = st.lists(st.lists(PAIRS, min_size=1, max_size=4), max_size=40)
"""Commands of some events each, to two streams of each kind, and to one of a kind that has no documents."""
