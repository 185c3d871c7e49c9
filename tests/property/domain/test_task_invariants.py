"""Whatever is decided in whatever order, a task keeps what DESIGN 3 says of it."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain import task
from domain.aggregate import Event
from domain.task import (
    HOLDING,
    TASK,
    Task,
    TaskAssigned,
    TaskCreated,
    TaskProgressed,
    TaskRetried,
    TaskRolledBack,
    TaskStarted,
)
from tests.support.aggregate_machine import LIVES, AggregateMachine, json_objects, printable, times

PHASES = ["preparation", "parsing", "analysis"]
REQUIREMENTS = ["t8", "t9", "approval"]
phases = st.sampled_from([*PHASES, "unknown"])


class TaskMachine(AggregateMachine):
    aggregate = TASK
    state: Task

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[int, dict[str, Any]]] = []

    @initialize(
        at=times,
        inputs=json_objects,
        requires=st.lists(st.sampled_from(REQUIREMENTS[:2]), max_size=1).map(tuple),
        awaits=st.lists(st.sampled_from(REQUIREMENTS[2:]), max_size=1).map(tuple),
        phases=st.lists(st.sampled_from(PHASES), max_size=3).map(tuple),
        max_attempts=st.integers(1, 3),
        time_limit=st.none() | st.floats(0.5, 1e6),
    )
    def create(self, **fields: Any) -> None:
        event = TaskCreated(task_id="t1", workflow_id="w1", definition_id="d", **fields)
        assert self.decide(lambda t: task.create(t, event)) == [event]

    @rule(at=times, requirement=st.sampled_from([*REQUIREMENTS, "unknown"]))
    def meet_requirement(self, at: datetime, requirement: str) -> None:
        self.decide(lambda t: task.meet_requirement(t, requirement, at))

    @rule(at=times)
    def schedule(self, at: datetime) -> None:
        self.decide(lambda t: task.schedule(t, at))

    @rule(at=times, agent=st.sampled_from(["a1", "a2"]), reservation=st.none() | st.just("r1"))
    def assign(self, at: datetime, agent: str, reservation: str | None) -> None:
        event = TaskAssigned(at=at, agent_id=agent, reason="match", pool_id=reservation, reservation_id=reservation)
        self.decide(lambda t: task.assign(t, event))

    @rule(at=times)
    def unassign(self, at: datetime) -> None:
        self.decide(lambda t: task.unassign(t, "agent offline", at))

    @rule(at=times, estimate=st.none() | times, limit=st.none() | st.floats(0.5, 1e6))
    def start(self, at: datetime, estimate: datetime | None, limit: float | None) -> None:
        self.decide(lambda t: task.start(t, estimate, limit, at))

    @precondition(lambda self: self.state is not None and self.state.state != "running")
    @rule(at=times)
    def hurry_to_run(self, at: datetime) -> None:
        """So that a random life spends much of its time where most can be decided."""
        for requirement in REQUIREMENTS:
            self.meet_requirement(at, requirement)
        self.schedule(at)
        self.assign(at, "a1", "r1")
        self.start(at, None, None)

    @rule(
        at=times,
        percentage=st.none() | st.floats(0, 100),
        phase=st.none() | phases,
        cpu_average=st.none() | st.floats(0, 8),
        estimated_completion=st.none() | times,
        note=st.none() | printable,
    )
    def report_progress(self, **told: Any) -> None:
        event = TaskProgressed(**told)
        self.decide(lambda t: task.report_progress(t, event))

    @rule(at=times, phase=phases)
    def complete_phase(self, at: datetime, phase: str) -> None:
        self.decide(lambda t: task.complete_phase(t, phase, at))

    @rule(at=times, outputs=json_objects)
    def record_outputs(self, at: datetime, outputs: dict[str, Any]) -> None:
        self.decide(lambda t: task.record_outputs(t, outputs, at))

    @rule(at=times, outputs=st.none() | json_objects)
    def complete(self, at: datetime, outputs: dict[str, Any] | None) -> None:
        self.decide(lambda t: task.complete(t, outputs, at))

    @rule(at=times, error=printable)
    def fail(self, at: datetime, error: str) -> None:
        self.decide(lambda t: task.fail(t, error, at))

    @rule(at=times)
    def time_out(self, at: datetime) -> None:
        self.decide(lambda t: task.time_out(t, at))

    @rule(at=times)
    def lose_reservation(self, at: datetime) -> None:
        self.decide(lambda t: task.lose_reservation(t, at))

    @rule(at=times)
    def retry(self, at: datetime) -> None:
        self.decide(lambda t: task.retry(t, at))

    @rule(at=times)
    def renew_attempts(self, at: datetime) -> None:
        self.decide(lambda t: task.renew_attempts(t, at))

    @rule(at=times)
    def cancel(self, at: datetime) -> None:
        self.decide(lambda t: task.cancel(t, "not needed", at))

    @rule()
    def remember(self) -> None:
        self.moments.append((len(self.events), task.to_json(self.state)))

    @precondition(lambda self: self.moments)
    @rule(at=times, index=st.integers(0, 9))
    def roll_back(self, at: datetime, index: int) -> None:
        version, restored = self.moments[index % len(self.moments)]
        self.record(TaskRolledBack(at=at, reason="why", operator="ann", restored=restored))
        then = TASK.fold(self.events[:version])
        assert then is not None
        then.updated_at = at
        assert self.state == then

    def check_step(self, before: Task | None, event: Event, after: Task) -> None:
        assert len(after.phases_completed) == len(set(after.phases_completed))
        assert 1 <= after.attempt <= after.max_attempts
        assert 0 <= after.percentage <= 100
        assert (after.state in HOLDING) <= (after.agent_id is not None)
        if after.state not in HOLDING:
            assert (after.pool_id, after.reservation_id, after.allocated, after.deadline) == (None,) * 4
        if after.state in ("created", "scheduled"):
            assert after.agent_id is None
        if after.state in ("running", "completed"):
            assert after.started_at is not None
            assert not after.blocked_by
        ended = after.state in ("completed", "failed", "timed_out", "cancelled")
        assert ended == (after.ended_at is not None)
        assert after.state != "completed" or (
            after.percentage == 100 and set(after.phases) <= set(after.phases_completed)
        )
        assert task.from_json(task.to_json(after)) == after
        if before is not None and not isinstance(event, TaskRolledBack):
            self.check_move(before, event, after)

    def check_move(self, before: Task, event: Event, after: Task) -> None:
        """What only a rollback may do otherwise."""
        if isinstance(event, TaskStarted):
            assert not before.blocked_by
        if not isinstance(event, TaskRetried):
            assert after.percentage >= before.percentage
            assert set(before.phases_completed) <= set(after.phases_completed)
            assert after.outputs == before.outputs or before.state in ("running", "completed")
        if None not in (before.agent_id, after.agent_id):
            assert before.agent_id == after.agent_id
        assert set(before.satisfied) <= set(after.satisfied)
        assert before.state not in ("completed", "cancelled") or after.state == before.state


TaskMachine.TestCase.settings = LIVES
TestTask = TaskMachine.TestCase
