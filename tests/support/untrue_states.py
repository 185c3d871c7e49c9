"""The states of true_states.py with one rule broken: what is said of that, and how it is done."""

from decimal import Decimal

from domain import task
from domain.agent import Slot
from domain.pool import KINDS
from domain.values import ResourceKind
from tests.support.command_world import BEGINNING
from tests.support.true_states import (
    Change,
    gone,
    of_another_kind,
    only,
    reserved,
    retold,
    slotted,
    together,
    viewed,
)

Untrue = tuple[str, Change]
"""The whole sentence, which begins with the stream that was touched, and how it comes to be said."""

NOW = BEGINNING
THEN = "2024-01-17 10:00:00+00:00"
SLOT = Slot("wf", "medium")
ENDED = ("completed", "failed", "cancelled")


def lent(quantity: int, kind: ResourceKind = "cpu") -> dict[ResourceKind, Decimal]:
    """So much of one kind, and of the others what is reserved."""
    return {**dict.fromkeys(KINDS, Decimal(0)), "cpu": Decimal(4), kind: Decimal(quantity)}


OF_TASKS: list[Untrue] = [
    ("task-busy: attempt 3 of 2", retold("busy", attempt=3)),
    ("task-busy: attempt 0 of 2", retold("busy", attempt=0)),
    ("task-busy: its progress is 100.5", only("task-busy", percentage=100.5)),
    ("task-fresh: its progress is -0.5", only("task-fresh", percentage=-0.5)),
    ("task-done: a phase is completed twice", only("task-done", phases_completed=("one", "two", "one"))),
    ("task-busy: what it waits for is satisfied twice", only("task-busy", satisfied=("data", "done", "data"))),
    ("task-busy: an agent without the time of its assignment", only("task-busy", assigned_at=None)),
    ("task-next: an agent without the time of its assignment", only("task-next", assigned_at=NOW)),
    *(
        (f"task-{task_id}: it is {state} and has an agent, a start or an end", retold(task_id, **fields))
        for task_id, state in (("fresh", "created"), ("next", "scheduled"))
        for fields in ({"agent_id": "idle", "assigned_at": NOW}, {"started_at": NOW}, {"ended_at": NOW})
    ),
    ("task-given: it is assigned without an agent, or has ended", retold("given", ended_at=NOW)),
    ("task-busy: it is running without an agent, or has ended", retold("busy", ended_at=NOW)),
    *(
        (f"task-{task_id}: it is {state} and holds resources", only(f"task-{task_id}", **{field: value}))
        for task_id, state in (
            ("fresh", "created"),
            ("next", "scheduled"),
            ("done", "completed"),
            ("late", "timed_out"),
        )
        for field, value in (("pool_id", "pool"), ("allocated", {}), ("deadline", NOW))
    ),
    (  # its reservation besides, which is active and its own
        "task-busy: it is cancelled and holds resources",
        retold("busy", state="cancelled", ended_at=NOW, deadline=None),
    ),
    (
        "task-given: it was started, and is only assigned",
        together(retold("given", started_at=NOW), slotted("given", started_at=NOW)),
    ),
    ("task-busy: it runs and was not started", retold("busy", started_at=None)),
    ("task-busy: it runs and waits for something", retold("busy", requires=("done", "fresh"))),
    *(
        (f"task-{task_id}: it is {state} and has no end", retold(task_id, ended_at=None))
        for task_id, state in (
            ("done", "completed"),
            ("tired", "failed"),
            ("late", "timed_out"),
            ("dropped", "cancelled"),
        )
    ),
    ("task-busy: its workflow does not know it", gone("workflow-wf")),
    ("task-busy: its workflow does not know it", of_another_kind("workflow-wf")),
    ("task-busy: its workflow does not know it", only("workflow-wf", tasks={})),
]

OF_PLACES: list[Untrue] = [
    *(
        ("task-busy: it is in an agent's hands that has no slot for it", change)
        for change in (gone("agent-agent"), of_another_kind("agent-agent"), only("agent-agent", slots={"given": SLOT}))
    ),
    ("task-busy: its slot is another task's", slotted("busy", workflow_id="paused")),
    ("task-busy: its slot is another task's", slotted("busy", priority="low")),
    (
        f"task-busy: its slot began at None, and it at {THEN}",
        together(retold("busy", started_at=NOW), slotted("busy", started_at=None)),
    ),
    (f"task-given: its slot began at {THEN}, and it at None", slotted("given", started_at=NOW)),
    ("task-busy: its slot expects another end", slotted("busy", estimated_completion=None)),
    ("task-busy: its agent can't do it", only("agent-agent", capabilities=("read", "more"))),
    (
        "task-done: it is completed, and its agent has a slot for it",
        only("agent-agent", slots={"done": SLOT}),
    ),
    *(
        ("task-busy: its reservation is not active", change)
        for change in (gone("pool-pool"), of_another_kind("pool-pool"), only("pool-pool", reservations={}))
    ),
    ("task-busy: its reservation is another's", reserved("busy", task_id="given")),
    ("task-busy: its reservation is another's", reserved("busy", agent_id="idle")),
    ("task-busy: its reservation is of other resources", reserved("busy", resources={"cpu": "3"})),
    ("task-busy: its reservation is of other resources", only("task-busy", allocated={"cpu": "3"})),
    ("task-busy: its reservation is of other resources", only("task-busy", resource_requirements={"cpu": "3"})),
]

OF_WORKFLOWS: list[Untrue] = [
    ("workflow-wf: there is no task fresh", gone("task-fresh")),
    ("workflow-wf: there is no task fresh", of_another_kind("task-fresh")),
    ("workflow-paused: its counts are not its tasks'", only("workflow-paused", counts={"running": 1})),
    ("workflow-paused: its counts are not its tasks'", only("workflow-paused", counts={"assigned": 2})),
    ("workflow-paused: unsettled tasks are miscounted", only("workflow-paused", unsettled=0)),
    ("workflow-wf: something is both satisfied and pending", only("workflow-wf", pending=("later", "data"))),
    ("workflow-failed: retry 2 of 1", only("workflow-failed", retry_count=2)),
    *(
        (f"workflow-{state}: it is {state}, and its end is None", only(f"workflow-{state}", ended_at=None))
        for state in ENDED
    ),
    *(
        (f"workflow-{state}: it is {state}, and its end is {THEN}", only(f"workflow-{state}", ended_at=NOW))
        for state in ("created", "scheduled", "paused")
    ),
    (f"workflow-wf: it is running, and its end is {THEN}", only("workflow-wf", ended_at=NOW)),
    ("workflow-failed: it is failed, and its error is None", only("workflow-failed", error=None)),
    *(
        (f"workflow-{state}: it is {state}, and its error is 'why'", only(f"workflow-{state}", error="why"))
        for state in ("created", "scheduled", "paused", "completed", "cancelled")
    ),
    ("workflow-wf: it is running, and its error is 'why'", only("workflow-wf", error="why")),
    *(
        (f"workflow-{state}: it is {state} and was started", only(f"workflow-{state}", started_at=NOW))
        for state in ("created", "scheduled")
    ),
    ("workflow-wf: it is running and was not started", only("workflow-wf", started_at=None)),
    ("workflow-paused: it is paused and was not started", only("workflow-paused", started_at=None)),
    # One in each state that a task comes to by being given to an agent.
    *(
        (
            f"workflow-wf: it is {state}, and 5 of its tasks have begun",
            only("workflow-wf", state=state, started_at=None),
        )
        for state in ("created", "scheduled")
    ),
    *(
        (f"workflow-{state}: it is {state}, and tasks of it are open", retold(f"of-{state}", state=open_state))
        for state in ("completed", "cancelled")
        for open_state in sorted(task.OPEN)
    ),
    *(
        ("workflow-failed: it failed, and tasks are in agents' hands", retold("unbegun", state=state))
        for state in sorted(task.HOLDING)
    ),
    ("workflow-completed: it is completed, and something is pending", only("workflow-completed", pending=("later",))),
    *(
        (  # not for good, of which another rule tells
            "workflow-over: it is completed with tasks that failed",
            together(retold("of-over", state=state, max_attempts=2), only("workflow-over", on_task_failure="fail")),
        )
        for state in ("failed", "timed_out")
    ),
    *(
        (
            "workflow-lenient: a task of it failed for good, and it is running",
            together(retold("of-lenient", **fields), only("workflow-lenient", on_task_failure="fail")),
        )
        for fields in ({}, {"state": "timed_out"}, {"attempt": 2})
    ),
    ("workflow-wf: fresh is another workflow's", only("task-fresh", workflow_id="paused")),
]

OF_AGENTS: list[Untrue] = [
    ("agent-agent: 2 of 1 slots are taken", only("agent-agent", max_concurrent_tasks=1)),
    ("agent-agent: more completions were timed than there were", only("agent-agent", timed=2)),
    ("agent-agent: its execution time is -0.5", only("agent-agent", execution_time=-0.5)),
    *(
        (f"agent-agent: it is {state} and has 2 tasks", only("agent-agent", state=state))
        for state in ("registered", "offline", "deregistered")
    ),
    *(
        ("agent-agent: a slot is taken for busy, which is not in its hands", change)
        for change in (
            gone("task-busy"),
            of_another_kind("task-busy"),
            only("task-busy", agent_id="idle"),
            *(only("task-busy", state=state) for state in ("created", "scheduled", *ENDED, "timed_out")),
        )
    ),
]

OF_POOLS: list[Untrue] = [
    ("pool-pool: 3 of cpu is allocated, and 4 reserved", only("pool-pool", allocated=lent(3))),
    ("pool-pool: 4 of cpu is allocated, and 5 reserved", reserved("busy", resources={"cpu": "3"})),
    *(
        (
            f"pool-pool: 1 of {kind} is allocated, and 0 reserved",
            only("pool-pool", allocated=lent(1, kind), total={"cpu": Decimal(2), kind: Decimal(1)}),
        )
        for kind in KINDS
        if kind != "cpu"
    ),
    ("pool-pool: 4 of cpu is beyond the limit", only("pool-pool", total={"cpu": Decimal("1.9")})),
    *(
        (
            f"pool-pool: 1 of {kind} is beyond the limit",
            together(reserved("busy", resources={"cpu": "2", kind: "1"}), only("pool-pool", allocated=lent(1, kind))),
        )
        for kind in KINDS
        if kind != "cpu"
    ),
]

TWO_STORIES: list[tuple[str, str, Change]] = [
    ("fresh", "its workflow says 'scheduled' of fresh, and it 'created'", viewed("fresh", state="scheduled")),
    ("done", "its workflow says 'idle' of done, and it 'agent'", viewed("done", assigned_agent="idle")),
    ("fresh", f"its workflow says {NOW!r} of fresh, and it None", viewed("fresh", start_time=NOW)),
    ("fresh", f"its workflow says {NOW!r} of fresh, and it None", viewed("fresh", end_time=NOW)),
    ("fresh", "its workflow says 'other' of fresh, and it 'analysis'", viewed("fresh", definition_id="other")),
    ("done", "its workflow says {} of done, and it {'a': 1}", viewed("done", inputs={})),
    ("done", "its workflow says {} of done, and it {'b': 2}", viewed("done", outputs={})),
    ("done", "its workflow says {'a': True} of done, and it {'a': 1}", viewed("done", inputs={"a": True})),
    ("fresh", "its workflow says ('next',) of fresh, and it ()", viewed("fresh", requires=("next",))),
    ("fresh", "its workflow says ('later',) of fresh, and it ()", viewed("fresh", awaits=("later",))),
    ("fresh", "its workflow says 1 of fresh, and it 0", viewed("fresh", attempts_left=1)),
    ("tired", "its workflow says None of tired, and it 'why'", viewed("tired", error=None)),
    ("late", "its workflow says None of late, and it 'time limit exceeded'", viewed("late", error=None)),
    # Its error is of an attempt before this one.
    ("busy", "its workflow says 'why' of busy, and it None", viewed("busy", error="why")),
    (
        "next",
        "next requires ['a', 'z'], of which its workflow knows nothing",
        retold("next", requires=("z", "done", "busy", "a")),
    ),
    ("next", "next waited for [], and not for ['done']", only("task-next", satisfied=())),
    ("next", "next waited for ['busy', 'done'], and not for ['done']", only("task-next", satisfied=("done", "busy"))),
    (
        "given",
        "given waited for ['y', 'z'], and not for ['data', 'done']",
        retold("given", requires=("done",), awaits=("data",), satisfied=("z", "y")),
    ),
    # They may be tried again, and must not be blocked then by what is there already.
    ("tired", "tired waited for [], and not for ['data']", retold("tired", awaits=("data",))),
    ("late", "late waited for [], and not for ['done']", retold("late", requires=("done",))),
]
"""A task, what both it and its workflow say, and how it comes to be said."""
