"""What a client wants: workflows of its own, on agents and pools that all clients share."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

AGENTS, SLOTS = ("agent-1", "agent-2", "agent-3"), 50
POOL, CPU = "pool-1", 60
TASKS = 4
ENDS: dict[str, dict[str, Any]] = {
    "CompleteTask": {},
    "FailTask": {"error": "torture"},
    "CancelTask": {"reason": "torture"},
    "": {},
}


@dataclass(frozen=True, slots=True)
class Step:
    """A command; `stream_id` is what it is about, `stale` whether it is to name a version that is not current.

    One that is `blind` names none: it is about what others change as well, and is to come through.
    """

    type: str
    data: dict[str, Any]
    stream_id: str
    stale: bool = False
    blind: bool = False
    command_id: str | None = None
    """Where another step has to know it."""


def opening() -> Iterator[Step]:
    """What all share; whoever comes later is refused, which does no harm."""
    for agent_id in AGENTS:
        yield registration(agent_id)
    yield Step("CreatePool", {"pool_id": POOL, "total": {"cpu": str(CPU)}}, f"pool-{POOL}")


def registration(agent_id: str) -> Step:
    about = {"agent_id": agent_id, "agent_type": "tormented", "max_concurrent_tasks": SLOTS, "state": "healthy"}
    return Step("RegisterAgent", about, f"agent-{agent_id}", blind=True)


def life(chance: random.Random, workflow_id: str) -> Iterator[Step]:
    """One workflow. Some of its tasks end, fail or stay, and some of what is asked is to be refused."""
    about, stream_id = {"workflow_id": workflow_id}, f"workflow-{workflow_id}"
    rules = {"definition_id": "tormented", "on_task_failure": "continue", "completion": "explicit"}
    begin = [Step("CreateWorkflow", about | rules, stream_id), Step("StartWorkflow", about, stream_id)]
    if chance.random() < 0.3:
        begin = [_as_one(begin)]
    yield from begin
    for number in range(TASKS):
        yield from _task(chance, workflow_id, f"{workflow_id}-{number}")
    yield Step("AmendWorkflow", about | {"context": {"note": "x" * chance.choice([1, 20_000])}}, stream_id)
    if chance.random() < 0.3:
        back = {"to_version": chance.randint(2, 6), "reason": "torture", "operator": "tester", "workflow_only": False}
        yield Step("RollBackWorkflow", about | back, stream_id)
    if chance.random() < 0.5:
        yield Step("CancelWorkflow", about | {"reason": "torture"}, stream_id)


def _task(chance: random.Random, workflow_id: str, task_id: str) -> Iterator[Step]:
    about, stream_id = {"task_id": task_id}, f"task-{task_id}"
    add = {"workflow_id": workflow_id, "definition_id": "step", "resource_requirements": {"cpu": "1"}}
    begin = [Step("AddTask", about | add, f"workflow-{workflow_id}"), Step("ScheduleTask", about, stream_id)]
    if chance.random() < 0.3:
        begin = [_as_one(begin)]
    yield from begin
    to = {"agent_id": chance.choice(AGENTS), "reason": "torture", "pool_id": POOL}
    yield Step("AssignTask", about | to, stream_id)
    yield Step("StartTask", about, stream_id, stale=chance.random() < 0.1)
    for percentage in range(0, chance.choice([10, 60]), 10):
        yield Step("ReportProgress", about | {"percentage": percentage}, stream_id, stale=chance.random() < 0.05)
    if end := chance.choice(list(ENDS)):
        yield Step(end, about | ENDS[end], stream_id)


def _as_one(steps: list[Step]) -> Step:
    commands = [{"type": step.type, "data": step.data} for step in steps]
    return Step("Transaction", {"commands": commands}, steps[0].stream_id)
