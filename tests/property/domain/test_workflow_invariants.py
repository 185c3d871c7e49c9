"""Whatever is decided in whatever order, a workflow keeps what DESIGN 3 says of it."""

from collections import Counter
from datetime import datetime
from functools import partial
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain import workflow
from domain.aggregate import Event
from domain.task import OPEN as OPEN_TASK
from domain.task import PENDING, TaskState
from domain.workflow import (
    OPEN,
    WORKFLOW,
    Workflow,
    WorkflowCreated,
    WorkflowRetried,
    WorkflowRolledBack,
    WorkflowTaskAdded,
    WorkflowTaskChanged,
)
from tests.support.aggregate_machine import LIVES, AggregateMachine, json_objects, printable, times

DEPENDENCIES = ["approval", "data"]
TASKS = ["t1", "t2", "t3", "t4"]
names = st.sampled_from([*TASKS, *DEPENDENCIES, "unknown"])


class WorkflowMachine(AggregateMachine):
    aggregate = WORKFLOW
    state: Workflow

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[int, dict[str, Any]]] = []

    @initialize(
        at=times,
        completion=st.sampled_from(["automatic", "explicit"]),
        on_task_failure=st.sampled_from(["fail", "continue"]),
        max_retries=st.integers(0, 2),
        dependencies=st.lists(st.sampled_from(DEPENDENCIES), unique=True),
        context=json_objects,
    )
    def create(self, **fields: Any) -> None:
        event = WorkflowCreated(workflow_id="w", definition_id="d", definition_version="1", **fields)
        assert self.decide(lambda w: workflow.create(w, event)) == [event]

    @rule(at=times, task_id=st.sampled_from(TASKS), requires=st.lists(names, max_size=2), inputs=json_objects)
    def add_task(self, at: datetime, task_id: str, requires: list[str], inputs: dict[str, Any]) -> None:
        event = WorkflowTaskAdded(
            at=at,
            task_id=task_id,
            definition_id="d",
            requires=tuple(name for name in requires if name not in DEPENDENCIES),
            awaits=tuple(name for name in requires if name in DEPENDENCIES),
            inputs=inputs,
        )
        self.decide(lambda w: workflow.add_task(w, event))

    @precondition(lambda self: self.state is not None and self.state.tasks)
    @rule(
        at=times,
        index=st.integers(0, 9),
        state=st.sampled_from(get_args(TaskState)),
        attempts_left=st.integers(0, 1),
        agent=st.none() | st.sampled_from(["a1", "a2"]),
        outputs=st.none() | json_objects,
        error=st.none() | printable,
        time=st.none() | times,
    )
    def change_task(self, at: datetime, index: int, agent: str | None, time: datetime | None, **told: Any) -> None:
        task_id = list(self.state.tasks)[index % len(self.state.tasks)]
        event = WorkflowTaskChanged(
            at=at, task_id=task_id, assigned_agent=agent, start_time=time, end_time=time, **told
        )

        def decision(w: Workflow) -> list[Event]:
            workflow.require_open(w, "changed")
            return workflow.change_task(w, event)

        self.decide(decision)

    @precondition(lambda self: self.state is not None and self.state.tasks)
    @rule(at=times, failing=st.booleans())
    def end_all_tasks(self, at: datetime, failing: bool) -> None:
        for task_id, view in list(self.state.tasks.items()):
            if self.state.state in OPEN and view.state in OPEN_TASK:
                state: TaskState = "failed" if failing else "completed"
                event = WorkflowTaskChanged(at=at, task_id=task_id, state=state)
                self.decide(partial(workflow.change_task, event=event))

    @rule(at=times)
    def settle(self, at: datetime) -> None:
        for _ in self.decide(lambda w: workflow.settle(w, at)):
            assert self.state.state == "completed"

    @rule(at=times, start_at=st.none() | times, completion=st.none() | times)
    def schedule(self, at: datetime, start_at: datetime | None, completion: datetime | None) -> None:
        self.decide(lambda w: workflow.schedule(w, start_at, completion, at))

    @rule(at=times)
    def start(self, at: datetime) -> None:
        self.decide(lambda w: workflow.start(w, at))

    @rule(at=times)
    def pause(self, at: datetime) -> None:
        self.decide(lambda w: workflow.pause(w, "audit", at))

    @rule(at=times)
    def resume(self, at: datetime) -> None:
        self.decide(lambda w: workflow.resume(w, at))

    @rule(at=times, dependency=names)
    def satisfy(self, at: datetime, dependency: str) -> None:
        self.decide(lambda w: workflow.satisfy_dependency(w, dependency, at))

    @rule(at=times, context=json_objects, completion=st.none() | times)
    def amend(self, at: datetime, context: dict[str, Any], completion: datetime | None) -> None:
        before = dict(self.state.context)
        if self.decide(lambda w: workflow.amend(w, context, completion, at)):
            expected = {key: value for key, value in (before | context).items() if context.get(key, key) is not None}
            assert self.state.context == expected

    @rule(at=times)
    def complete(self, at: datetime) -> None:
        self.decide(lambda w: workflow.complete(w, at))

    @rule(at=times, error=printable)
    def fail(self, at: datetime, error: str) -> None:
        self.decide(lambda w: workflow.fail(w, error, None, at))

    @rule(at=times)
    def retry(self, at: datetime) -> None:
        self.decide(lambda w: workflow.retry(w, at))

    @rule(at=times)
    def cancel(self, at: datetime) -> None:
        self.decide(lambda w: workflow.cancel(w, "not needed", at))

    @rule()
    def remember(self) -> None:
        self.moments.append((len(self.events), workflow.to_json(self.state)))

    @precondition(lambda self: self.moments)
    @rule(at=times, index=st.integers(0, 9))
    def roll_back(self, at: datetime, index: int) -> None:
        version, restored = self.moments[index % len(self.moments)]
        self.record(WorkflowRolledBack(at=at, to_version=version, reason="why", operator="ann", restored=restored))
        then = WORKFLOW.fold(self.events[:version])
        assert then is not None
        then.updated_at = at
        then.limited_from = at if then.started_at else None  # the longest duration counts anew
        assert self.state == then

    def check_step(self, before: Workflow | None, event: Event, after: Workflow) -> None:
        recount = Counter(view.state for view in after.tasks.values())
        assert Counter(after.counts) == recount
        assert all(count >= 0 for count in after.counts.values())
        assert after.unsettled == sum(not view.settled for view in after.tasks.values())
        five = [after.count(*PENDING), after.count("running"), after.count("completed"), after.failed_tasks]
        assert sum(five) + after.count("cancelled") == len(after.tasks)
        if after.state == "completed":
            assert after.open_tasks == 0
            assert not after.pending
            assert after.on_task_failure == "continue" or after.failed_tasks == 0
        assert 0 <= after.retry_count <= after.max_retries
        if before is not None and before.state not in OPEN and after.state != before.state:
            assert isinstance(event, WorkflowRetried | WorkflowRolledBack)
        assert (after.ended_at is not None) == (after.state not in OPEN)
        if after.state in ("running", "paused", "completed"):
            assert after.started_at is not None
        assert not set(after.pending) & set(after.satisfied)
        assert workflow.from_json(workflow.to_json(after)) == after


WorkflowMachine.TestCase.settings = LIVES
TestWorkflow = WorkflowMachine.TestCase
