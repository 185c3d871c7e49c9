"""Commands of every type on a handful of ids, as hypothesis draws them: some fit the moment, many do not.

The strategies of ids are here too, for commands of one's own that are to meet those of `any_command`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import strategies as st

from commands.messages import COMMANDS, Command, agent, pool, task, workflow

TASKS = {"w1": ("t1", "t2", "t3", "t4", "t5"), "w2": ("u1", "u2", "u3")}
"""The tasks of each workflow."""
workflow_ids = st.sampled_from(sorted(TASKS))
task_ids = st.sampled_from([task_id for ids in TASKS.values() for task_id in ids])
agent_ids = st.sampled_from(["a1", "a2", "a3"])
pool_ids = st.sampled_from(["p1", "p2"])
dependencies = st.sampled_from(["approval", "data"])
resources = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["0", "500m", "1", "2", "4"])}, optional={"memory": st.sampled_from(["1Gi", "2G"])}
)
priorities = st.sampled_from(["high", "medium", "low"])
texts = st.sampled_from(["why", "because of this\nand that"])
objects = st.dictionaries(
    st.sampled_from(["a", "b"]), st.sampled_from([None, 1, 0.5, "x", [1, {"y": None}]]), max_size=2
)
names = st.lists(st.sampled_from(["read", "write"]), unique=True, max_size=2).map(tuple)
TIMES = ("start_at", "scheduled_completion", "estimated_completion", "reservation_expires_at", "expires_at", "end")


def busy_house() -> Iterator[Command]:
    """What makes a house in which any command may find something to do: two pools, two agents, two workflows with tasks
    of which two each are running. In an empty tenant all of them are accepted, in this order.
    """
    yield pool.CreatePool(pool_id="p1", total={"cpu": "6", "memory": "4Gi"})
    yield pool.CreatePool(pool_id="p2", total={"cpu": "2"})
    for agent_id, slots in (("a1", 5), ("a2", 2)):
        yield agent.RegisterAgent(agent_id=agent_id, agent_type="analyzer", max_concurrent_tasks=slots, state="healthy")
    for workflow_id, ids in TASKS.items():
        yield workflow.CreateWorkflow(workflow_id=workflow_id, definition_id="definition", on_task_failure="continue")
        for task_id in ids:
            yield workflow.AddTask(
                workflow_id=workflow_id, task_id=task_id, definition_id="definition", resource_requirements={"cpu": "1"}
            )
        yield workflow.StartWorkflow(workflow_id=workflow_id)
        for task_id in ids[:2]:
            yield task.ScheduleTask(task_id=task_id)
            yield task.AssignTask(task_id=task_id, agent_id="a1", reason="capability_match", pool_id="p1")
            yield task.StartTask(task_id=task_id)


def any_command(now: datetime) -> st.SearchStrategy[Command]:
    """A command of any type, as the edge would take it; times lie from now on.

    A rollback names a version; one that names a time or a position is for who knows the log.
    """
    later = st.sampled_from([5, 60, 600]).map(lambda seconds: now + timedelta(seconds=seconds))
    fields: dict[str, st.SearchStrategy[Any]] = {
        "workflow_id": workflow_ids,
        "task_id": task_ids,
        "agent_id": agent_ids,
        "pool_id": pool_ids,
        "reservation_id": st.just("none"),
        "window_id": st.just("window"),
        "definition_id": st.just("definition"),
        "agent_type": st.just("analyzer"),
        "component": st.sampled_from(["cache", "database"]),
        "dependency": dependencies,
        "dependencies": st.lists(dependencies, unique=True).map(tuple),
        "awaits": st.lists(dependencies, max_size=1).map(tuple),
        "requires": st.lists(task_ids, max_size=2, unique=True).map(tuple),
        "completion": st.sampled_from(["automatic", "explicit"]),
        "on_task_failure": st.sampled_from(["fail", "continue"]),
        "phase": st.sampled_from(["one", "two", "three"]),
        "phases": st.sampled_from([(), ("one", "two")]),
        "capabilities": names,
        "percentage": st.sampled_from([0.0, 10.0, 50.0]),
        "memory_peak": st.sampled_from(["1Gi", "3Gi"]),
        "cpu_average": st.sampled_from([0.5, 2.0]),
        "note": texts,
        "outputs": objects,
        "inputs": objects,
        "context": objects,
        "error": texts,
        "reason": texts,
        "description": texts,
        "operator": st.just("admin"),
        "priority": priorities,
        "resource_requirements": resources,
        "resources": resources,
        "total": resources,
        "overcommit": st.fixed_dictionaries({}, optional={"cpu": st.sampled_from([1, 1.5, 2])}),
        "priority_weights": st.dictionaries(priorities, st.integers(0, 9)),
        "max_attempts": st.integers(1, 2),
        "max_retries": st.integers(0, 2),
        "max_concurrent_tasks": st.integers(1, 3),
        "max_concurrent_workflows": st.integers(1, 3),
        "silent_since": st.sampled_from([-60, 0]).map(lambda seconds: now + timedelta(seconds=seconds)),
        "longer_than": st.sampled_from([5.0, 600.0]),
        "max_workflow_duration": st.just(3600.0),
        "default_timeout": st.sampled_from([30.0, 300.0]),
        "timeout": st.sampled_from([30.0, 300.0]),
        "retry_attempts": st.integers(0, 2),
        "unset": st.lists(
            st.sampled_from(["max_concurrent_workflows", "default_timeout", "retry_attempts"]), max_size=2
        ).map(tuple),
        "checks": st.dictionaries(st.just("cpu"), st.sampled_from(["ok", "warning"])),
        "health": st.sampled_from(["healthy", "warning", "unhealthy"]),
        "usage": st.none(),
        "queue_size": st.integers(0, 3),
        "blocks_starts": st.booleans(),
        "workflow_only": st.booleans(),
        "start": st.just(now),
        **dict.fromkeys(TIMES, later),
        "to_version": st.integers(1, 30),
        "kind": st.just("scheduled"),
        "version": st.sampled_from(["1", "2"]),
    }
    of_type: dict[tuple[str, str], st.SearchStrategy[Any]] = {
        ("RegisterAgent", "state"): st.sampled_from(["registered", "healthy"]),
        ("ReportHealth", "state"): st.sampled_from(["healthy", "degraded", "unhealthy"]),
    }
    left_out = {("RollBackWorkflow", "to_time"), ("RollBackWorkflow", "to_position")}

    def of(name: str, command: type[Command]) -> st.SearchStrategy[Command]:
        required: dict[str, st.SearchStrategy[Any]] = {}
        optional: dict[str, st.SearchStrategy[Any]] = {}
        for field, info in command.model_fields.items():
            if (name, field) in left_out:
                continue
            chosen = of_type.get((name, field), fields.get(field, st.just("x")))
            (required if info.is_required() or field == "to_version" else optional)[field] = chosen
        values = st.fixed_dictionaries(required, optional=optional)
        if name == "AssignTask":  # the edge takes an expiry only with a pool
            values = values.filter(lambda given: "pool_id" in given or "reservation_expires_at" not in given)
        if name == "ConfigureSystem":  # nor a limit that is both set and lifted
            values = values.filter(lambda given: not set(given.get("unset", ())) & set(given))
        return values.map(lambda given: command(**given))

    return st.sampled_from(sorted(COMMANDS)).flatmap(lambda name: of(name, COMMANDS[name]))


def submission(command: Command) -> dict[str, Any]:
    """A command as it is sent: its type and data in the form of JSON, for every way in.

    pydantic would write decimals as text, and the edge takes them for numbers only.
    """
    data = orjson.dumps(command.model_dump(exclude_none=True), default=_number)
    return {"type": command.type, "data": orjson.loads(data)}


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"There is no JSON for {type(value).__name__}.")
