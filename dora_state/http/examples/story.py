"""The story that the examples tell: a workflow of one task, run by an agent on what a pool lends.

Its documents are rendered from its events by the code that renders those of the server, so they say what it says.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from domain import agent, pool, system, task, workflow
from domain.aggregate import Event
from domain.all_events import AGGREGATES, CATALOGUE
from domain.log import RecordedEvent
from domain.values import Allocation
from projections.documents import RENDERINGS, audit
from projections.documents import agent as agents
from projections.documents import system as systems
from projections.documents import task as tasks
from projections.documents.values import Document, decode, encode

IDS = {"workflow": "wf-1", "task": "t-1", "agent": "collector-1", "pool": "pool-1", "system": system.SYSTEM_ID}
CONVERSATION = "assessment-2026"
WORKFLOW, TASK, AGENT, POOL, SYSTEM = (f"{kind}-{id}" for kind, id in IDS.items())
BEGAN = datetime(2026, 1, 17, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def command_id(number: int) -> UUID:
    return UUID(f"0190d8a4-7c3e-7b1f-9a52-3f1de6a1c{number:03}")


def _moved(state: task.TaskState, seconds: float, **more: Any) -> tuple[str, Event]:
    """What a workflow notes of its task."""
    return WORKFLOW, workflow.WorkflowTaskChanged(at=at(seconds), task_id="t-1", state=state, attempts_left=2, **more)


LENT: Allocation = {"cpu": "2", "memory": "4G"}
RESERVATION = f"res-{command_id(8)}-1"
Told = tuple[str, str, float, tuple[tuple[str, Event], ...]]
COMMANDS: tuple[Told, ...] = (
    ("ConfigureSystem", "platform-team", 0, (
        (SYSTEM, system.SystemConfigured(at=at(0), environment="production", max_concurrent_workflows=100)),
    )),
    ("CreatePool", "platform-team", 1, (
        (POOL, pool.PoolCreated(at=at(1), pool_id="pool-1", total={"cpu": "8", "memory": "32G"})),
    )),
    ("RegisterAgent", "collector-1", 2, (
        (AGENT, agent.AgentRegistered(
            at=at(2), agent_id="collector-1", agent_type="collector", node_id="node-3", capabilities=("pdf",),
            max_concurrent_tasks=2, state="healthy",
        )),
    )),
    ("CreateWorkflow", "scheduler", 60, (
        (WORKFLOW, workflow.WorkflowCreated(
            at=at(60), workflow_id="wf-1", definition_id="dora-assessment", definition_version="1.2.0",
            context={"scope": "payments", "priority": "high"}, scheduled_completion=at(3600),
        )),
    )),
    ("AddTask", "scheduler", 61, (
        (TASK, task.TaskCreated(
            at=at(61), task_id="t-1", workflow_id="wf-1", definition_id="collect-evidence",
            inputs={"documents": ["policy.pdf"]}, resource_requirements=LENT, time_limit=1800.0,
            capabilities=("pdf",), phases=("gather", "check"), max_attempts=3, priority="high",
        )),
        (WORKFLOW, workflow.WorkflowTaskAdded(
            at=at(61), task_id="t-1", definition_id="collect-evidence", inputs={"documents": ["policy.pdf"]},
            attempts_left=2,
        )),
    )),
    ("StartWorkflow", "scheduler", 62, ((WORKFLOW, workflow.WorkflowStarted(at=at(62))),)),
    ("ScheduleTask", "scheduler", 63, (
        (TASK, task.TaskScheduled(at=at(63))),
        _moved("scheduled", 63),
    )),
    ("AssignTask", "scheduler", 90, (
        (AGENT, agent.AgentSlotTaken(at=at(90), task_id="t-1", workflow_id="wf-1", priority="high")),
        (POOL, pool.ResourcesReserved(
            at=at(90), reservation_id=RESERVATION, resources=LENT, task_id="t-1", agent_id="collector-1",
            expires_at=at(3690),
        )),
        (TASK, task.TaskAssigned(
            at=at(90), agent_id="collector-1", reason="capability_match", pool_id="pool-1",
            reservation_id=RESERVATION, allocated=LENT,
        )),
        _moved("assigned", 90, assigned_agent="collector-1"),
    )),
    ("StartTask", "collector-1", 92, (
        (AGENT, agent.AgentTaskStarted(at=at(92), task_id="t-1", estimated_completion=at(900))),
        (TASK, task.TaskStarted(at=at(92), estimated_completion=at(900), deadline=at(1892))),
        _moved("running", 92, assigned_agent="collector-1", start_time=at(92)),
    )),
    ("ReportProgress", "collector-1", 300, (
        (TASK, task.TaskProgressed(
            at=at(300), percentage=40.0, phase="gather", memory_peak="1.5G", cpu_average=1.2,
            note="12 of 30 documents",
        )),
    )),
    ("ReportComponentHealth", "monitoring", 301, (
        (SYSTEM, system.ComponentHealthReported(at=at(301), component="database", health="healthy")),
    )),
)  # fmt: skip
"""Each with its actor, its second and its events."""
NOW = at(330)


def _recorded() -> Iterator[RecordedEvent]:
    versions: dict[str, int] = {}
    position = 0
    for number, (type_name, actor, seconds, events) in enumerate(COMMANDS, start=1):
        metadata = {
            "command_id": str(command_id(number)), "command_type": type_name, "actor": actor,
            "correlation_id": CONVERSATION, "tenant": "bank", "authenticated": "orchestrator",
            "credential": "key abcdefgh2345",
        }  # fmt: skip
        for following, (stream_id, event) in zip(reversed(range(len(events))), events, strict=True):
            position += 1
            versions[stream_id] = versions.get(stream_id, 0) + 1
            yield RecordedEvent(
                position, command_id(100 + position), stream_id, versions[stream_id], event.type,
                event.schema_version, CATALOGUE.encode(event), orjson.dumps(metadata), at(seconds), following,
            )  # fmt: skip


EVENTS = tuple(_recorded())


def stream(kind: str, until: int | None = None) -> list[RecordedEvent]:
    """The events of the aggregate of a kind, up to a version."""
    found = [event for event in EVENTS if event.stream_id == f"{kind}-{IDS[kind]}"]
    return found[:until]


def stored(kind: str, version: int | None = None) -> Document:
    """The document as its events alone give it."""
    events = stream(kind, version)
    state = AGGREGATES[kind].fold(CATALOGUE.decode(event.type, event.schema_version, event.data) for event in events)
    last = events[-1]
    return decode(RENDERINGS[kind].render(state, last.version, last.position, last.recorded_at))


def read(kind: str) -> Document:
    """The document with what is of the moment of reading."""
    document = stored(kind)
    match kind:
        case "task":
            trail = decode(encode({"entries": audit.trail(stream("task"), CATALOGUE)}))["entries"]
            return tasks.as_of(document, NOW) | {"audit_trail": trail, "audit_trail_omitted": 0}
        case "agent":
            heard = agents.Presence("collector-1", at(325), {"cpu_percent": 61.0, "memory_percent": 48.5}, 0)
            return agents.as_of(document, heard, 0.2)
        case "system":
            return systems.as_of(document, FIGURES)
        case _:
            return document


FIGURES = systems.Figures(
    position=EVENTS[-1].position,
    applied_at=EVENTS[-1].recorded_at,
    counts={("workflow", "running"): 1, ("task", "running"): 1, ("agent", "healthy"): 1},
    rates=systems.Rates(3, 4, 1, 12.5, 0.2, 0.042),
    utilization={"cpu": (2, 8), "memory": (4, 32)},
)
