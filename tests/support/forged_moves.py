"""Forgeries of a story's log, as in forgeries.py: events that what was there before them did not allow."""

from datetime import datetime, timedelta
from typing import Any

from domain import agent, pool, system, task, workflow
from domain.aggregate import Event
from domain.folding import FOLDER
from tests.support.command_world import BEGINNING
from tests.support.forging import insert
from tests.support.told_story import Forgery, Story

NOW = BEGINNING
"""When all of a story is decided."""
SOON, BEFORE = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
LATER = SOON + timedelta(hours=1)
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
IMPORT_BEGUN = (SYSTEM, system.LogImportBegun(at=NOW, file_name="log.xes", sha256="0", imported_at=NOW))
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


def scheduled(start_at: datetime | None, completion: datetime | None) -> tuple[str, Event]:
    return WORKFLOW, workflow.WorkflowScheduled(at=NOW, start_at=start_at, scheduled_completion=completion)


def amended(completion: datetime) -> tuple[str, Event]:
    return WORKFLOW, workflow.WorkflowAmended(at=NOW, scheduled_completion=completion)


def added(task_id: str = "u", awaits: tuple[str, ...] = ()) -> tuple[str, Event]:
    return WORKFLOW, workflow.WorkflowTaskAdded(at=NOW, task_id=task_id, definition_id="d", awaits=awaits)


def import_ended(sha256: str = "0") -> tuple[str, Event]:
    return SYSTEM, system.LogImportEnded(at=NOW, sha256=sha256, imported_at=NOW, counts={})


def roll_back(story: Story, to_version: int, version: int, *before: tuple[str, Event], **otherwise: Any) -> None:
    """To the state of a version, or to something else than that; something may have happened before."""
    state: Any = None
    for event in [event for event in story.log if event.stream_id == WORKFLOW][:version]:
        _, state = FOLDER.step(event, state)
    restored = workflow.to_json(state) | otherwise
    back = workflow.WorkflowRolledBack(at=SOON, to_version=to_version, reason="why", operator="ops", restored=restored)
    insert(story, None, *before, (WORKFLOW, back))


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
    "a task that timed out is cancelled in a failed workflow": _told(
        "TaskCancelled of task-t: its workflow was failed",
        None,
        (TASK, task.TaskTimedOut(at=NOW, reason="time limit exceeded")),
        (WORKFLOW, workflow.WorkflowFailed(at=NOW, error="why")),
        (TASK, task.TaskCancelled(at=NOW, reason="why")),
    ),
    "a task is created in a workflow that there is not": _told(
        "TaskCreated of task-u: its workflow was not there",
        None,
        ("task-u", task.TaskCreated(at=NOW, task_id="u", workflow_id="nowhere", definition_id="d")),
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
    "an agent that was deregistered reports its health, whatever its name": _told(
        "AgentHealthReported of agent-a-1: it was deregistered",
        None,
        ("agent-a-1", agent.AgentRegistered(at=NOW, agent_id="a-1", agent_type="analyzer")),
        ("agent-a-1", agent.AgentDeregistered(at=NOW)),
        ("agent-a-1", agent.AgentHealthReported(at=NOW, state="degraded")),
    ),
    "a reservation expires that there is not": _told(
        "ReservationExpired of pool-p: r was to expire at None, and did at",
        None,
        POOL_CREATED,
        (POOL, pool.ReservationExpired(at=NOW, reservation_id="r")),
    ),
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
    "a workflow is to be completed before its start": _told(
        "WorkflowScheduled of workflow-wf: it was to be completed by .*, before its start at",
        "StartWorkflow",
        scheduled(SOON, BEFORE),
    ),
    "a workflow is to be completed before its start, as was said earlier": _told(
        "WorkflowScheduled of workflow-wf: it was to be completed by .*, before its start at",
        "StartWorkflow",
        scheduled(None, SOON),
        scheduled(LATER, None),
    ),
    "a workflow is amended to be completed before its start": _told(
        "WorkflowAmended of workflow-wf: it was to be completed by .*, before its start at",
        "StartWorkflow",
        scheduled(SOON, None),
        amended(BEFORE),
    ),
    "a task is added twice": _told(
        "WorkflowTaskAdded of workflow-wf: it had t already", "StartWorkflow", added(task_id="t")
    ),
    "a task awaits what nobody named": _told(
        "WorkflowTaskAdded of workflow-wf: it had no dependency data, more",
        "StartWorkflow",
        added(awaits=("more", "data")),
    ),
    "a retry is left out": _told(
        "WorkflowRetried of workflow-wf: retry 2 came after 0",
        None,
        (WORKFLOW, workflow.WorkflowFailed(at=NOW, error="why")),
        (WORKFLOW, workflow.WorkflowRetried(at=SOON, retry=2)),
    ),
    "an import begins in the midst of a log": _told(
        "LogImportBegun of system-platform: there was something before it", "AddTask", IMPORT_BEGUN
    ),
    "an import ends that never began": _told(
        "LogImportEnded of system-platform: no import of such a file was under way", None, import_ended()
    ),
    "an import of a system that has none ends": _told(
        "LogImportEnded of system-platform: no import of such a file was under way",
        None,
        configured(30.0),
        import_ended(),
    ),
    "another import ends than began": _told(
        "LogImportEnded of system-platform: no import of such a file was under way",
        "CreateWorkflow",
        IMPORT_BEGUN,
        import_ended("1"),
    ),
    "an import ends twice": _told(
        "LogImportEnded of system-platform: no import of such a file was under way",
        "CreateWorkflow",
        IMPORT_BEGUN,
        import_ended(),
        import_ended(),
    ),
    "a workflow goes back to a version that there is not": (
        "moves",
        "WorkflowRolledBack of workflow-wf: version 99 is none that a command ended with",
        lambda story: roll_back(story, 99, 6),
    ),
    "a workflow goes back to what it never was": (
        "moves",
        "WorkflowRolledBack of workflow-wf: version 2 was otherwise than what came back",
        lambda story: roll_back(story, 2, 2, context={"invented": True}),
    ),
    "a workflow goes back to another version than it says": (
        "moves",
        "WorkflowRolledBack of workflow-wf: version 4 was otherwise than what came back",
        lambda story: roll_back(story, 4, 5),
    ),
    "a task is gone after a rollback": (
        "moves",
        "WorkflowRolledBack of workflow-wf: version 1 came back with other tasks than there were",
        lambda story: roll_back(story, 1, 1),
    ),
    "a task that came later goes on after a rollback": (
        "moves",
        "WorkflowRolledBack of workflow-wf: version 1 had no task t, which is not cancelled",
        lambda story: roll_back(story, 1, 1, tasks={"t": {"definition_id": "d"}}),
    ),
    "tasks that came later go on after a rollback": (
        "moves",
        "WorkflowRolledBack of workflow-wf: version 1 had no task t, u, which is not cancelled",
        lambda story: roll_back(story, 1, 1, added(), tasks={"t": {"definition_id": "d"}, "u": {"definition_id": "d"}}),
    ),
}
