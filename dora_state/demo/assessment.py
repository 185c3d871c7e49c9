"""One run of the demo: its ids, and the commands as any orchestrator and its agents would submit them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from dora_state.demo.cast import (
    AGENTS,
    APPROVAL,
    CISO,
    COMPONENTS,
    DATA_READY,
    POOL_ID,
    POOL_TOTAL,
    SCHEDULER,
    TASKS,
    TaskPart,
)

Submission = dict[str, object]
RESERVED_FOR = timedelta(minutes=30)
EXPECTED_TIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Assessment:
    """One run of the story, with ids of its own, so that it can be told again on the same home."""

    began: datetime
    suffix: str = field(default_factory=lambda: uuid4().hex[:6])

    @property
    def workflow_id(self) -> str:
        return f"wf-dora-{self.began:%Y-%m-%d}-{self.suffix}"

    def task_id(self, name: str) -> str:
        """Ids of tasks are unique in a tenant."""
        return f"{name}-{self.began:%Y%m%d}-{self.suffix}"

    def short(self, text: str) -> str:
        """A text with ids of tasks, without what only tells one run from another."""
        return text.replace(self.task_id(""), "")

    def submission(self, type_name: str, actor: str, **data: object) -> Submission:
        """A command as any orchestrator would submit it."""
        return {"type": type_name, "actor": actor, "correlation_id": self.workflow_id, "data": data}

    def on_workflow(self, type_name: str, actor: str, **data: object) -> Submission:
        return self.submission(type_name, actor, workflow_id=self.workflow_id, **data)

    def on_task(self, type_name: str, actor: str, name: str, **data: object) -> Submission:
        return self.submission(type_name, actor, task_id=self.task_id(name), **data)

    def platform(self) -> tuple[Submission, ...]:
        return (
            self.submission(
                "ConfigureSystem",
                "platform-team",
                system_id="dora-compliance-platform",
                environment="demo",
                version="1.2.0",
                default_timeout=300.0,
                retry_attempts=2,
            ),
            *(
                self.submission("ReportComponentHealth", "monitoring", component=component, health=health)
                for component, health in COMPONENTS.items()
            ),
            self.submission(
                "CreatePool",
                "platform-team",
                pool_id=POOL_ID,
                total=POOL_TOTAL,
                overcommit={"cpu": 1.5, "memory": 1.2},
            ),
        )

    def agents(self) -> tuple[Submission, ...]:
        """Registered, healthy also after a run in which they were not, and heard of."""
        registered = tuple(
            self.submission(
                "RegisterAgent",
                agent.agent_id,
                agent_id=agent.agent_id,
                agent_type=agent.agent_type,
                capabilities=list(agent.capabilities),
                max_concurrent_tasks=agent.slots,
                state="healthy",
            )
            for agent in AGENTS
        )
        healthy = tuple(
            self.submission(
                "ReportHealth",
                agent.agent_id,
                agent_id=agent.agent_id,
                state="healthy",
                checks={"memory": "ok", "cpu": "ok", "disk": "ok", "network": "ok", "external_deps": "ok"},
            )
            for agent in AGENTS
        )
        return (*registered, *healthy, *self.heartbeats(*((agent.agent_id, 3.0) for agent in AGENTS)))

    def workflow(self) -> tuple[Submission, ...]:
        return (
            self.on_workflow(
                "CreateWorkflow",
                CISO,
                definition_id="dora-compliance-assessment",
                version="1.2.0",
                context={
                    "organization": "example-bank",
                    "compliance_framework": "DORA",
                    "triggered_by": CISO,
                    "priority": "high",
                },
                dependencies=[DATA_READY, APPROVAL],
                scheduled_completion=_iso(self.began + timedelta(hours=1)),
            ),
            *(self._add_task(task) for task in TASKS),
            self.on_workflow("ScheduleWorkflow", SCHEDULER),
            *(self.on_task("ScheduleTask", SCHEDULER, task.name) for task in TASKS),
        )

    def _add_task(self, task: TaskPart) -> Submission:
        return self.on_workflow(
            "AddTask",
            CISO,
            task_id=self.task_id(task.name),
            definition_id=task.name,
            requires=[self.task_id(name) for name in task.requires],
            awaits=list(task.awaits),
            inputs={"documents": list(task.documents)} if task.documents else {},
            resource_requirements={"cpu": task.cpu, "memory": task.memory},
            capabilities=[task.capability],
            phases=list(task.phases),
            max_attempts=3,
        )

    def hand_over(self, name: str, agent_id: str, reason: str = "capability_match") -> tuple[Submission, ...]:
        return self.assign(name, agent_id, reason), self.start(name, agent_id)

    def assign(self, name: str, agent_id: str, reason: str) -> Submission:
        return self.on_task(
            "AssignTask",
            SCHEDULER,
            name,
            agent_id=agent_id,
            reason=reason,
            pool_id=POOL_ID,
            reservation_expires_at=_iso(self.began + RESERVED_FOR),
        )

    def start(self, name: str, agent_id: str) -> Submission:
        return self.on_task("StartTask", agent_id, name, estimated_completion=_iso(self.began + EXPECTED_TIME))

    def progress(self, name: str, agent_id: str, percentage: float, phase: str) -> Submission:
        return self.on_task("ReportProgress", agent_id, name, percentage=percentage, phase=phase)

    def phase(self, name: str, agent_id: str, phase: str) -> Submission:
        return self.on_task("CompletePhase", agent_id, name, phase=phase)

    def complete(self, name: str, agent_id: str, **outputs: object) -> Submission:
        return self.on_task("CompleteTask", agent_id, name, outputs=outputs)

    def heartbeats(self, *usage: tuple[str, float]) -> tuple[Submission, ...]:
        return tuple(
            self.submission(
                "Heartbeat",
                agent_id,
                agent_id=agent_id,
                usage={"cpu_percent": cpu, "memory_percent": round(20 + cpu / 2, 1)},
                queue_size=0,
            )
            for agent_id, cpu in usage
        )


def _iso(at: datetime) -> str:
    return at.isoformat()
