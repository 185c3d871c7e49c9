"""Streams of events for tests of the read side: one of each kind as SPEC's examples tell it."""

from datetime import datetime, timedelta

from domain import agent as a
from domain import pool as p
from domain import system as s
from domain import task as t
from domain import workflow as w
from domain.aggregate import Event
from tests.support.told_log import START

Told = list[tuple[str, Event]]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def full_workflow() -> Told:
    """A workflow with something to see under every key: it failed, and has tasks of all sorts."""
    stream = "workflow-wf-1"
    return [
        (
            stream,
            w.WorkflowCreated(
                at=at(0),
                workflow_id="wf-1",
                definition_id="dora-compliance-assessment",
                definition_version="1.2.0",
                context={"organization": "example-bank", "priority": "high"},
                scheduled_completion=at(3600),
                dependencies=("external-data-ready", "manual-approval"),
            ),
        ),
        *[(stream, w.WorkflowTaskAdded(at=at(1), task_id=f"task-{n}", definition_id="d")) for n in range(1, 9)],
        (stream, w.WorkflowDependencySatisfied(at=at(2), dependency="external-data-ready")),
        (stream, w.WorkflowStarted(at=at(5))),
        (
            stream,
            w.WorkflowTaskChanged(
                at=at(330),
                task_id="task-1",
                state="completed",
                assigned_agent="policy-analyzer-001",
                start_time=at(10),
                end_time=at(330),
                outputs={"compliance_score": 0.78},
            ),
        ),
        (stream, w.WorkflowTaskChanged(at=at(335), task_id="task-2", state="running", start_time=at(335))),
        (stream, w.WorkflowTaskChanged(at=at(340), task_id="task-3", state="timed_out", error="too slow")),
        (stream, w.WorkflowTaskChanged(at=at(341), task_id="task-4", state="cancelled")),
        (stream, w.WorkflowFailed(at=at(350), error="task task-3 failed", task_id="task-3")),
    ]


def full_task(task_id: str = "task-1", workflow_id: str = "wf-1") -> Told:
    """A running task that holds a reservation and has been retried once."""
    stream = f"task-{task_id}"
    events: list[Event] = [
        t.TaskCreated(
            at=at(0),
            task_id=task_id,
            workflow_id=workflow_id,
            definition_id="document_analysis",
            requires=("task-0",),
            awaits=("manual-approval",),
            inputs={"documents": ["policy.pdf"], "parameters": {"depth": "detailed"}},
            resource_requirements={"cpu": "2", "memory": "4Gi", "storage": "10Gi", "gpu": "1"},
            time_limit=300.0,
            capabilities=("document_analysis",),
            phases=("preparation", "parsing", "analysis", "reporting"),
            max_attempts=3,
            priority="high",
        ),
        t.TaskRequirementMet(at=at(1), requirement="task-0"),
        t.TaskScheduled(at=at(2)),
        t.TaskAssigned(at=at(3), agent_id="agent-0", reason="capability_match"),
        t.TaskStarted(at=at(4)),
        t.TaskFailed(at=at(6), error="out of memory"),
        t.TaskRetried(at=at(8), attempt=2),
        t.TaskAssigned(
            at=at(10),
            agent_id="policy-analyzer-001",
            reason="capability_match",
            pool_id="compute-pool-primary",
            reservation_id="alloc-uuid-123",
            allocated={"cpu": "2", "memory": "4Gi", "storage": "10Gi", "gpu": "1"},
        ),
        t.TaskStarted(at=at(13.2), estimated_completion=at(480), deadline=at(313.2)),
        t.TaskPhaseCompleted(at=at(20), phase="preparation"),
        t.TaskProgressed(at=at(30), percentage=60.0, memory_peak="3.2Gi", cpu_average=1.8, note="half way"),
        t.TaskOutputsRecorded(at=at(40), outputs={"compliance_score": 0.78}),
    ]
    return [(stream, event) for event in events]


def full_agent(agent_id: str = "policy-analyzer-001") -> Told:
    """An agent with one task done in 45.2 seconds, one failed, one running and one assigned."""
    stream = f"agent-{agent_id}"
    events: list[Event] = [
        a.AgentRegistered(
            at=at(0),
            agent_id=agent_id,
            agent_type="policy_analyzer",
            instance_id="pa-inst-001",
            node_id="k8s-node-3",
            capabilities=("document_analysis", "policy_extraction"),
            max_concurrent_tasks=5,
            configuration_version="1.2.0",
            config_hash="sha256:abc123",
        ),
        a.AgentHealthReported(at=at(1), state="healthy", checks={"memory": "ok", "cpu": "warning"}),
        a.AgentSlotTaken(at=at(2), task_id="task-1", workflow_id="wf-1"),
        a.AgentTaskStarted(at=at(2), task_id="task-1"),
        a.AgentSlotFreed(at=at(47.2), task_id="task-1", outcome="completed", execution_time=45.2),
        a.AgentSlotTaken(at=at(48), task_id="task-2", workflow_id="wf-1"),
        a.AgentTaskStarted(at=at(48), task_id="task-2"),
        a.AgentSlotFreed(at=at(49), task_id="task-2", outcome="timed_out"),
        a.AgentSlotTaken(at=at(50), task_id="task-3", workflow_id="wf-1", priority="high"),
        a.AgentTaskStarted(at=at(51), task_id="task-3", estimated_completion=at(90)),
        a.AgentSlotTaken(at=at(52), task_id="task-4", workflow_id="wf-2"),
    ]
    return [(stream, event) for event in events]


def full_pool(pool_id: str = "compute-pool-primary") -> Told:
    stream = f"pool-{pool_id}"
    events: list[Event] = [
        p.PoolCreated.model_validate(
            {
                "at": at(0),
                "pool_id": pool_id,
                "total": {"cpu": "1000", "memory": "4000G", "storage": "50000G", "gpu": "20"},
                "overcommit": {"cpu": "1.5", "memory": "1.2"},
            }
        ),
        p.ResourcesReserved(at=at(1), reservation_id="big", resources={"cpu": "766", "memory": "3110G", "gpu": "5"}),
        p.ResourcesReserved(
            at=at(5),
            reservation_id="res-uuid-123",
            resources={"cpu": "500m", "memory": "4Gi"},
            task_id="task-1",
            agent_id="policy-analyzer-001",
            expires_at=at(1800),
        ),
    ]
    return [(stream, event) for event in events]


def full_system() -> Told:
    stream = "system-platform"
    events: list[Event] = [
        s.SystemConfigured(
            at=at(0),
            environment="production",
            version="1.2.0",
            deployment_id="deploy-2024-01-17-001",
            max_concurrent_workflows=100,
            max_workflow_duration=3600.0,
            default_timeout=300.0,
            retry_attempts=3,
        ),
        s.ComponentHealthReported(at=at(1), component="monitoring_system", health="warning"),
        s.MaintenanceScheduled(
            at=at(2), window_id="m-1", start=at(7200), end=at(14400), kind="scheduled", description="Database"
        ),
    ]
    return [(stream, event) for event in events]


def full_stories() -> Told:
    return [*full_workflow(), *full_task(), *full_agent(), *full_pool(), *full_system()]


def finished_task(
    task_id: str, *, agent_id: str = "agent-1", workflow_id: str = "wf-1", begin: float = 0, end: float = 60
) -> Told:
    """A task that waited ten seconds for its start and was then completed."""
    stream = f"task-{task_id}"
    events: list[Event] = [
        t.TaskCreated(at=at(begin - 10), task_id=task_id, workflow_id=workflow_id, definition_id="d"),
        t.TaskScheduled(at=at(begin - 10)),
        t.TaskAssigned(at=at(begin), agent_id=agent_id, reason="test"),
        t.TaskStarted(at=at(begin)),
        t.TaskCompleted(at=at(end)),
    ]
    return [(stream, event) for event in events]


def pending_task(task_id: str, created: float, priority: str = "medium") -> Told:
    event = t.TaskCreated.model_validate(
        {"at": at(created), "task_id": task_id, "workflow_id": "wf-1", "definition_id": "d", "priority": priority}
    )
    return [(f"task-{task_id}", event)]
