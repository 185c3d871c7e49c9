"""What operators do to what all clients share: each kind spoils something for a step or two, and mends it.

So work keeps flowing. Whoever is killed in between leaves it spoilt until another does the same.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.torture.story import AGENTS, CPU, POOL, SLOTS, Step, registration


def _pause(workflow_id: str) -> Iterator[Step]:
    """Of a client's own workflow."""
    about, stream_id = {"workflow_id": workflow_id}, f"workflow-{workflow_id}"
    yield Step("PauseWorkflow", about | {"reason": "torture"}, stream_id)
    yield Step("ResumeWorkflow", about, stream_id, blind=True)


def _illness(chance: random.Random) -> Iterator[Step]:
    agent_id = chance.choice(AGENTS)
    yield _of_agent("ReportHealth", agent_id, state=chance.choice(["unhealthy", "unhealthy", "degraded"]))
    yield _of_agent("ReportHealth", agent_id, state="healthy")


def _absence(chance: random.Random) -> Iterator[Step]:
    """Its running tasks fail."""
    agent_id = chance.choice(AGENTS)
    yield _of_agent("MarkOffline", agent_id, reason="torture")
    yield _of_agent("ReportHealth", agent_id, state="healthy")


def _departure(chance: random.Random) -> Iterator[Step]:
    agent_id = chance.choice(AGENTS)
    yield _of_agent("DeregisterAgent", agent_id, reason="torture")
    yield registration(agent_id)


def _capacity(chance: random.Random) -> Iterator[Step]:
    agent_id = chance.choice(AGENTS)
    for slots in (chance.randint(SLOTS - 10, SLOTS + 10), SLOTS):
        yield _of_agent("ChangeCapacity", agent_id, max_concurrent_tasks=slots)


def _maintenance(chance: random.Random) -> Iterator[Step]:
    """A second or two of it, which end by themselves if nobody cancels it."""
    start = datetime.now(UTC) + timedelta(seconds=chance.choice([-60.0, 0.5]))
    window = {"window_id": f"window-{uuid4()}"}
    planned = {
        "start": start.isoformat(),
        "end": (datetime.now(UTC) + timedelta(seconds=chance.uniform(1.0, 2.0))).isoformat(),
        "description": "torture",
        "blocks_starts": chance.random() < 0.5,
    }
    yield _of_system("ScheduleMaintenance", **window, **planned)
    if chance.random() < 0.8:
        yield _of_system("CancelMaintenance", **window)


def _configuration(chance: random.Random) -> Iterator[Step]:
    limits = {"default_timeout": chance.choice([1800.0, 3600.0]), "retry_attempts": chance.randint(0, 1)}
    yield _of_system("ConfigureSystem", **limits, max_concurrent_workflows=chance.randint(10_000, 20_000))
    yield _of_system("ConfigureSystem", unset=["max_concurrent_workflows", "default_timeout"])


def _component(chance: random.Random) -> Iterator[Step]:
    for health in ("degraded", "healthy"):
        yield _of_system("ReportComponentHealth", component="torture", health=health)


def _reservation(chance: random.Random) -> Iterator[Step]:
    """Some have expired before they are released."""
    command_id = str(uuid4())
    expires: dict[str, Any] = {}
    if chance.random() < 0.5:
        expires["expires_at"] = (datetime.now(UTC) + timedelta(seconds=chance.uniform(0.1, 10.0))).isoformat()
    yield _of_pool("Reserve", command_id=command_id, resources={"cpu": "1"}, **expires)
    yield _of_pool("Release", reservation_id=f"res-{command_id}-1")


def _size(chance: random.Random) -> Iterator[Step]:
    for cpu in (chance.randint(CPU - 20, CPU + 20), CPU):
        yield _of_pool("ResizePool", total={"cpu": str(cpu)})


def _policies(chance: random.Random) -> Iterator[Step]:
    for ratio in (chance.choice([1.5, 2]), 1):
        yield _of_pool("ChangePolicies", overcommit={"cpu": ratio})


KINDS: Sequence[Callable[[random.Random], Iterator[Step]]] = (
    _illness,
    _absence,
    _departure,
    _capacity,
    _maintenance,
    _configuration,
    _component,
    _reservation,
    _size,
    _policies,
)
TYPES = frozenset(
    {
        "PauseWorkflow",
        "ResumeWorkflow",
        "ReportHealth",
        "MarkOffline",
        "DeregisterAgent",
        "RegisterAgent",
        "ChangeCapacity",
        "ScheduleMaintenance",
        "CancelMaintenance",
        "ConfigureSystem",
        "ReportComponentHealth",
        "Reserve",
        "Release",
        "ResizePool",
        "ChangePolicies",
    }
)
"""Of all these some must have been accepted in a run."""


def one_of_each(chance: random.Random) -> Iterator[Step]:
    for kind in chance.sample(KINDS, len(KINDS)):
        yield from kind(chance)


def in_turns(chance: random.Random) -> Iterator[Iterator[Step]]:
    """For ever, so that none is left out for long."""
    while True:
        for kind in chance.sample(KINDS, len(KINDS)):
            yield kind(chance)


def disturbed(chance: random.Random, workflow_id: str, steps: Iterator[Step], upkeep: Iterator[Step]) -> Iterator[Step]:
    """A workflow's life, in which it pauses most often, and somewhere else upkeep begins."""
    if chance.random() < 0.7:
        steps = _among(chance, steps, _pause(workflow_id))
    return _among(chance, steps, upkeep)


def _among(chance: random.Random, steps: Iterator[Step], others: Iterator[Step]) -> Iterator[Step]:
    """`others` begin somewhere among the steps, and each next one comes after three of these at most."""
    wait = chance.randint(2, 30)
    for step in steps:
        yield step
        wait -= 1
        if wait <= 0 and (other := next(others, None)) is not None:
            yield other
            wait = chance.randint(0, 3)
    yield from others


def _of_agent(type: str, agent_id: str, **more: Any) -> Step:
    return Step(type, {"agent_id": agent_id, **more}, f"agent-{agent_id}", blind=True)


def _of_pool(type: str, command_id: str | None = None, **more: Any) -> Step:
    return Step(type, {"pool_id": POOL, **more}, f"pool-{POOL}", blind=True, command_id=command_id)


def _of_system(type: str, **more: Any) -> Step:
    return Step(type, more, "system-platform", blind=True)
