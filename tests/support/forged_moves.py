"""Forgeries of a story's log, as in forgeries.py: events that what was there before them did not allow."""

from datetime import timedelta

from domain import agent, pool, system, task, workflow
from domain.aggregate import Event
from tests.support.command_world import BEGINNING
from tests.support.forging import insert
from tests.support.told_story import Forgery, Story

NOW = BEGINNING
"""When all of a story is decided."""
SOON, BEFORE = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
WORKFLOW, TASK, AGENT, POOL, SYSTEM = "workflow-wf", "task-t", "agent-agent", "pool-p", "system-platform"

PAUSED = (WORKFLOW, workflow.WorkflowPaused(at=NOW))
RESUMED = (WORKFLOW, workflow.WorkflowResumed(at=NOW))
CANCELLED = (WORKFLOW, workflow.WorkflowCancelled(at=NOW, reason="why"))
UNHEALTHY = (AGENT, agent.AgentHealthReported(at=NOW, state="unhealthy"))
DEGRADED = (AGENT, agent.AgentHealthReported(at=NOW, state="degraded"))
OFFLINE = (AGENT, agent.AgentWentOffline(at=NOW, reason="why"))
DEREGISTERED = (AGENT, agent.AgentDeregistered(at=NOW))
FAILED = (TASK, task.TaskFailed(at=NOW, error="why"))
POOL_CREATED = (POOL, pool.PoolCreated(at=NOW, pool_id="p", total={"cpu": "2"}))
RESERVED = (POOL, pool.ResourcesReserved(at=NOW, reservation_id="r", resources={"cpu": "1"}, expires_at=SOON))


def window(*, blocks_starts: bool = True, minutes: int = 0) -> tuple[str, Event]:
    """An hour of maintenance that begins so many minutes from now."""
    start = NOW + timedelta(minutes=minutes)
    return SYSTEM, system.MaintenanceScheduled(
        at=BEFORE,
        window_id="m",
        start=start,
        end=start + timedelta(hours=1),
        kind="scheduled",
        description="why",
        blocks_starts=blocks_starts,
    )


def progressed(percentage: float | None = None, phase: str | None = None) -> tuple[str, Event]:
    return TASK, task.TaskProgressed(at=NOW, percentage=percentage, phase=phase)


def configured(default_timeout: float) -> tuple[str, Event]:
    return SYSTEM, system.SystemConfigured(at=NOW, default_timeout=default_timeout)


def _told(words: str, before: str | None, *told: tuple[str, Event]) -> Forgery:
    def forge(story: Story) -> None:
        insert(story, before, *told)

    return "moves", words, forge


OF_MOVES: dict[str, Forgery] = {
    "a task starts in a paused workflow": _told("TaskStarted of task-t: its workflow was paused", "StartTask", PAUSED),
    "a task is assigned in a paused workflow": _told(
        "TaskAssigned of task-t: its workflow was paused", "AssignTask", PAUSED
    ),
    "a task starts in maintenance that blocks starts": _told(
        "TaskStarted of task-t: it was started at .*, in maintenance m", "StartTask", window()
    ),
    "a workflow starts in maintenance that blocks starts": _told(
        "WorkflowStarted of workflow-wf: it was started at .*, in maintenance m", "StartWorkflow", window()
    ),
    "a task is assigned to an unhealthy agent": _told(
        "AgentSlotTaken of agent-agent: it was unhealthy", "AssignTask", UNHEALTHY
    ),
    "a task is assigned to an agent that is offline": _told(
        "AgentSlotTaken of agent-agent: it was offline", "AssignTask", OFFLINE
    ),
    "a task is assigned to an agent that was deregistered": _told(
        "AgentSlotTaken of agent-agent: it was deregistered", "AssignTask", DEREGISTERED
    ),
    "an unhealthy agent starts a task": _told(
        "AgentTaskStarted of agent-agent: it was unhealthy", "StartTask", UNHEALTHY
    ),
    "a task starts without the time limit of the system": _told(
        "TaskStarted of task-t: its time limit ends at None", "StartTask", configured(30.0)
    ),
    "a task is added to a workflow that has ended": _told(
        "TaskCreated of task-t: its workflow was cancelled", "AddTask", CANCELLED
    ),
    "a task is scheduled in a workflow that has ended": _told(
        "TaskScheduled of task-t: its workflow was cancelled", "ScheduleTask", CANCELLED
    ),
    "a workflow is paused before its start": _told(
        "WorkflowPaused of workflow-wf: it was created", "StartWorkflow", PAUSED
    ),
    "a workflow goes on that was not paused": _told("WorkflowResumed of workflow-wf: it was running", None, RESUMED),
    "a workflow is created twice": _told(
        "WorkflowCreated of workflow-wf: it was there already",
        None,
        (
            WORKFLOW,
            workflow.WorkflowCreated(at=NOW, workflow_id="wf", definition_id="d", definition_version="1"),
        ),
    ),
    "a dependency is satisfied that nobody named": _told(
        "WorkflowDependencySatisfied of workflow-wf: it did not wait for data",
        None,
        (WORKFLOW, workflow.WorkflowDependencySatisfied(at=NOW, dependency="data")),
    ),
    "a task fails that does not run": _told("TaskFailed of task-t: it was assigned", "StartTask", FAILED),
    "progress falls": _told("its progress fell from 50.0 to 10.0", None, progressed(50.0), progressed(10.0)),
    "a phase comes again": _told(
        "TaskProgressed of task-t: phase one was completed already",
        None,
        (TASK, task.TaskPhaseCompleted(at=NOW, phase="one")),
        progressed(phase="one"),
    ),
    "a phase is completed twice": _told(
        "TaskPhaseCompleted of task-t: phase one was completed already",
        None,
        *[(TASK, task.TaskPhaseCompleted(at=NOW, phase="one"))] * 2,
    ),
    "a task without a time limit times out": _told(
        "TaskTimedOut of task-t: neither its time limit was over nor its reservation",
        None,
        (TASK, task.TaskTimedOut(at=NOW, reason="time limit exceeded")),
    ),
    "an attempt is left out": _told(
        "attempt 3 came after 1", None, FAILED, (TASK, task.TaskRetried(at=NOW, attempt=3))
    ),
    "attempts begin anew of themselves": _told(
        "attempt 1 came after 1", None, FAILED, (TASK, task.TaskRetried(at=SOON, attempt=1))
    ),
    "a task is cancelled after its workflow": _told(
        "TaskCancelled of task-t: its workflow was cancelled",
        None,
        CANCELLED,
        (TASK, task.TaskCancelled(at=SOON, reason="why")),
    ),
    "a failed task is cancelled in a failed workflow": _told(
        "TaskCancelled of task-t: its workflow was failed",
        None,
        FAILED,
        (WORKFLOW, workflow.WorkflowFailed(at=NOW, error="why")),
        (TASK, task.TaskCancelled(at=NOW, reason="why")),
    ),
    "an agent is registered twice": _told(
        "AgentRegistered of agent-agent: it was healthy",
        None,
        (AGENT, agent.AgentRegistered(at=NOW, agent_id="agent", agent_type="analyzer")),
    ),
    "an agent comes back that was there": _told(
        "AgentReturned of agent-agent: it was healthy", None, (AGENT, agent.AgentReturned(at=NOW, state="healthy"))
    ),
    "an agent comes back otherwise than it went": _told(
        "it was healthy before, and came back degraded",
        None,
        OFFLINE,
        (AGENT, agent.AgentReturned(at=NOW, state="degraded")),
    ),
    "an agent that was deregistered reports its health": _told(
        "AgentHealthReported of agent-agent: it was deregistered", None, DEREGISTERED, DEGRADED
    ),
    "a pool is created twice": _told("PoolCreated of pool-p: it was there already", None, POOL_CREATED, POOL_CREATED),
    "a reservation comes twice": _told(
        "ResourcesReserved of pool-p: r was reserved already", None, POOL_CREATED, RESERVED, RESERVED
    ),
    "a reservation had expired before it was made": _told(
        "ResourcesReserved of pool-p: r had expired already",
        None,
        POOL_CREATED,
        (POOL, pool.ResourcesReserved(at=SOON, reservation_id="r", resources={"cpu": "1"}, expires_at=SOON)),
    ),
    "a reservation expires before its time": _told(
        "ReservationExpired of pool-p: r was to expire at .*, and did at",
        None,
        POOL_CREATED,
        RESERVED,
        (POOL, pool.ReservationExpired(at=NOW, reservation_id="r")),
    ),
    "a maintenance window comes twice": _told("window m was there already", None, window(), window()),
    "a maintenance window was over before it came": _told(
        "window m was over, or ends before its start", None, window(minutes=-120)
    ),
}
