"""What the board and the report show: the read models of one run, at the moment of asking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.errors import NotFound
from dora_state.demo.assessment import Assessment
from dora_state.demo.cast import AGENTS, POOL_ID, TASKS
from dora_state.state_manager import StateManager
from projections.documents.values import Document, moment, seconds


@dataclass(frozen=True, slots=True)
class Picture:
    """The documents as they are; what is not there yet is missing. Tasks are by their names."""

    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    workflow: Document | None = None
    tasks: Mapping[str, Document] = field(default_factory=dict)
    agents: Mapping[str, Document] = field(default_factory=dict)
    pool: Document | None = None


async def take_picture(manager: StateManager, run: Assessment) -> Picture:
    """Read everything, one after the other. The read models may be a moment behind what was submitted last."""
    wanted = [
        ("workflow", run.workflow_id),
        ("pool", POOL_ID),
        *(("task", run.task_id(task.name)) for task in TASKS),
        *(("agent", agent.agent_id) for agent in AGENTS),
    ]
    documents = {key: await _document(manager, *key) for key in wanted}
    tasks = {task.name: documents["task", run.task_id(task.name)] for task in TASKS}
    agents = {agent.agent_id: documents["agent", agent.agent_id] for agent in AGENTS}
    return Picture(
        workflow=documents["workflow", run.workflow_id],
        tasks={name: task for name, task in tasks.items() if task is not None},
        agents={agent_id: agent for agent_id, agent in agents.items() if agent is not None},
        pool=documents["pool", POOL_ID],
    )


async def _document(manager: StateManager, kind: str, aggregate_id: str) -> Document | None:
    try:
        return await manager.state(kind, aggregate_id)
    except NotFound:
        return None


def clock(text: str | None) -> str:
    """A document's time as the time of day, in UTC."""
    at = moment(text)
    return f"{at:%H:%M:%S}" if at is not None else ""


def took(start: str | None, end: str | None, now: datetime | None = None) -> str:
    """The seconds from one of a document's times to another, or until now."""
    elapsed = seconds(moment(start), moment(end) or now)
    return f"{elapsed:.1f} s" if elapsed is not None else ""


def plain(state: str) -> str:
    return state.replace("_", " ")
