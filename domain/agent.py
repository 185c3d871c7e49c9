"""Agent: takes as many tasks at a time as it has slots, if it has the capabilities and is able to work.

registered -> healthy <-> degraded <-> unhealthy, offline and back, deregistered. Heartbeats are telemetry
and no events: only a change of health, capacity or configuration is.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Literal

from domain.aggregate import Aggregate, Event, begun, shallow_copier, unexpected
from domain.errors import Refusal
from domain.record import record
from domain.values import PERSONAL, Priority, iso

AgentState = Literal["registered", "healthy", "degraded", "unhealthy", "offline", "deregistered"]
Health = Literal["healthy", "degraded", "unhealthy"]
Check = Literal["ok", "warning", "critical"]
SlotOutcome = Literal["completed", "failed", "timed_out", "cancelled", "unassigned", "rolled_back"]
ABLE_TO_WORK: frozenset[AgentState] = frozenset({"healthy", "degraded"})

# --- events ---------------------------------------------------------------------------------------------


class AgentRegistered(Event):
    type = "AgentRegistered"
    agent_id: str
    agent_type: str
    instance_id: str | None = None
    node_id: str | None = None
    capabilities: tuple[str, ...] = ()
    max_concurrent_tasks: int = 1
    state: Literal["registered", "healthy"] = "registered"
    configuration_version: str | None = None
    config_hash: str | None = None


class AgentSlotTaken(Event):
    """A task was assigned. `started_at` is set where a rollback gives back a task that was running."""

    type = "AgentSlotTaken"
    task_id: str
    workflow_id: str
    priority: Priority = "medium"
    started_at: datetime | None = None
    estimated_completion: datetime | None = None


class AgentTaskStarted(Event):
    type = "AgentTaskStarted"
    task_id: str
    estimated_completion: datetime | None = None


class AgentTaskEstimated(Event):
    type = "AgentTaskEstimated"
    task_id: str
    estimated_completion: datetime


class AgentSlotFreed(Event):
    """`execution_time` (seconds) is set for a completed task whose duration is known."""

    type = "AgentSlotFreed"
    task_id: str
    outcome: SlotOutcome
    execution_time: float | None = None


class AgentHealthReported(Event):
    type = "AgentHealthReported"
    state: Health
    checks: dict[str, Check] = {}


class AgentCapacityChanged(Event):
    type = "AgentCapacityChanged"
    max_concurrent_tasks: int


class AgentConfigurationUpdated(Event):
    type = "AgentConfigurationUpdated"
    configuration_version: str
    config_hash: str | None = None


class AgentWentOffline(Event):
    type = "AgentWentOffline"
    reason: Annotated[str, PERSONAL]


class AgentReturned(Event):
    """An agent that was offline is heard of again, as healthy as it was."""

    type = "AgentReturned"
    state: Literal["registered", "healthy", "degraded", "unhealthy"]


class AgentDeregistered(Event):
    type = "AgentDeregistered"
    reason: Annotated[str | None, PERSONAL] = None


# --- state ----------------------------------------------------------------------------------------------


@record
class Slot:
    """A slot in use: `started_at` is None while its task is assigned and not started."""

    workflow_id: str
    priority: Priority
    started_at: datetime | None = None
    estimated_completion: datetime | None = None


@dataclass(slots=True)
class Agent:
    agent_id: str
    agent_type: str
    registered_at: datetime
    updated_at: datetime
    state: AgentState
    instance_id: str | None = None
    node_id: str | None = None
    capabilities: tuple[str, ...] = ()
    max_concurrent_tasks: int = 1
    slots: dict[str, Slot] = field(default_factory=dict)
    health: Literal["registered", "healthy", "degraded", "unhealthy"] = "registered"
    """What it was last known as while it was there."""
    heard_at: datetime | None = None
    """When an event last told that it is there; heartbeats besides are telemetry."""
    checks: dict[str, Check] = field(default_factory=dict)
    checked_at: datetime | None = None
    configuration_version: str | None = None
    config_hash: str | None = None
    configured_at: datetime | None = None
    completed: int = 0
    failed: int = 0
    timed: int = 0
    """Completed tasks whose duration is known; `execution_time` is their sum in seconds."""
    execution_time: float = 0.0

    def copy(self) -> "Agent":
        twin = _copy(self)
        twin.slots = self.slots.copy()
        return twin

    @property
    def able_to_work(self) -> bool:
        return self.state in ABLE_TO_WORK

    @property
    def available_slots(self) -> int:
        return self.max_concurrent_tasks - len(self.slots)


_copy = shallow_copier(Agent)

# --- evolve ---------------------------------------------------------------------------------------------


def evolve(agent: Agent | None, event: Event) -> Agent:
    """Apply one event; the state given is changed and handed back."""
    if type(event) is AgentRegistered:  # `isinstance` of a model is felt in a long fold
        return _registered(agent, event)
    agent = begun(agent, event)
    match event:
        case AgentSlotTaken():
            agent.slots[event.task_id] = Slot(
                event.workflow_id, event.priority, event.started_at, event.estimated_completion
            )
        case AgentTaskStarted():
            agent.slots[event.task_id] = replace(
                agent.slots[event.task_id],
                started_at=event.at,
                estimated_completion=event.estimated_completion,
            )
        case AgentSlotFreed():
            slot = agent.slots.pop(event.task_id)
            agent.completed += event.outcome == "completed"
            # What was never started is nobody's failure.
            agent.failed += event.outcome in ("failed", "timed_out") and slot.started_at is not None
            if event.execution_time is not None:
                agent.timed += 1
                agent.execution_time += event.execution_time
        case AgentTaskEstimated():
            agent.slots[event.task_id] = replace(
                agent.slots[event.task_id], estimated_completion=event.estimated_completion
            )
        case AgentHealthReported():
            agent.state = agent.health = event.state
            agent.checks = event.checks
            agent.checked_at = agent.heard_at = event.at
        case AgentCapacityChanged():
            agent.max_concurrent_tasks = event.max_concurrent_tasks
        case AgentConfigurationUpdated():
            agent.configuration_version = event.configuration_version
            agent.config_hash = event.config_hash
            agent.configured_at = event.at
        case AgentWentOffline():
            agent.state = "offline"
        case AgentReturned():
            agent.state = agent.health = event.state
            agent.heard_at = event.at
        case AgentDeregistered():
            agent.state = "deregistered"
        case _:
            raise unexpected(event)
    agent.updated_at = event.at
    return agent


def _registered(before: Agent | None, event: AgentRegistered) -> Agent:
    """An agent that comes back after it was deregistered keeps its record of performance."""
    agent = Agent(
        agent_id=event.agent_id,
        agent_type=event.agent_type,
        registered_at=event.at,
        updated_at=event.at,
        state=event.state,
        health=event.state,
        heard_at=event.at,
        instance_id=event.instance_id,
        node_id=event.node_id,
        capabilities=event.capabilities,
        max_concurrent_tasks=event.max_concurrent_tasks,
        configuration_version=event.configuration_version,
        config_hash=event.config_hash,
        configured_at=event.at if event.configuration_version else None,
    )
    if before is not None:
        agent.completed, agent.failed = before.completed, before.failed
        agent.timed, agent.execution_time = before.timed, before.execution_time
    return agent


AGENT = Aggregate(
    "agent",
    Agent,
    (
        AgentRegistered,
        AgentSlotTaken,
        AgentTaskStarted,
        AgentTaskEstimated,
        AgentSlotFreed,
        AgentHealthReported,
        AgentCapacityChanged,
        AgentConfigurationUpdated,
        AgentWentOffline,
        AgentReturned,
        AgentDeregistered,
    ),
    evolve,
)

# --- decisions ------------------------------------------------------------------------------------------


def register(agent: Agent | None, event: AgentRegistered) -> list[Event]:
    if agent is None or agent.state == "deregistered":
        return [event]
    same = (agent.agent_type, agent.instance_id, agent.node_id, {*agent.capabilities}) == (
        event.agent_type,
        event.instance_id,
        event.node_id,
        {*event.capabilities},
    )
    if same and agent.max_concurrent_tasks == event.max_concurrent_tasks:
        return _registered_again(agent, event)
    raise Refusal(
        "agent_exists",
        f"There already is an agent {agent.agent_id}, registered otherwise; deregister it first, or choose another id.",
        agent_id=agent.agent_id,
        state=agent.state,
    )


def _registered_again(agent: Agent, event: AgentRegistered) -> list[Event]:
    """The same agent once more, after a restart say: what is new of it."""
    version = event.configuration_version
    events = [] if version is None else update_configuration(agent, version, event.config_hash, event.at)
    if agent.state == "offline":
        events += hear_from(agent, event.at)
    if event.state == "healthy" and agent.health == "registered":
        events.append(AgentHealthReported(at=event.at, state="healthy"))
    return events


def take_slot(agent: Agent, capabilities: tuple[str, ...], event: AgentSlotTaken) -> list[Event]:
    if event.task_id in agent.slots:
        return []
    if not agent.able_to_work:
        raise Refusal(
            "agent_unable",
            f"Agent {agent.agent_id} is {agent.state} and takes no tasks; choose one that is healthy.",
            agent_id=agent.agent_id,
            state=agent.state,
        )
    missing = [capability for capability in capabilities if capability not in agent.capabilities]
    if missing:
        raise Refusal(
            "capability_missing",
            f"Agent {agent.agent_id} lacks {', '.join(missing)}; choose an agent that has it.",
            agent_id=agent.agent_id,
            missing=missing,
        )
    if agent.available_slots <= 0:
        raise Refusal(
            "agent_full",
            f"Agent {agent.agent_id} has all of its {agent.max_concurrent_tasks} slots in use; "
            "wait, or choose another.",
            agent_id=agent.agent_id,
            max_concurrent_tasks=agent.max_concurrent_tasks,
        )
    return [event]


def start_task(agent: Agent, task_id: str, estimated_completion: datetime | None, at: datetime) -> list[Event]:
    if not agent.able_to_work:
        raise Refusal(
            "agent_unable",
            f"Agent {agent.agent_id} is {agent.state} and starts no tasks; assign the task to another.",
            agent_id=agent.agent_id,
            state=agent.state,
        )
    slot = agent.slots.get(task_id)
    if slot is None or slot.started_at is not None:
        return []
    return [AgentTaskStarted(at=at, task_id=task_id, estimated_completion=estimated_completion)]


def estimate_task(agent: Agent, task_id: str, estimated_completion: datetime | None, at: datetime) -> list[Event]:
    slot = agent.slots.get(task_id)
    if slot is None or estimated_completion in (None, slot.estimated_completion):
        return []
    return [AgentTaskEstimated(at=at, task_id=task_id, estimated_completion=estimated_completion)]


def free_slot(
    agent: Agent, task_id: str, outcome: SlotOutcome, execution_time: float | None, at: datetime
) -> list[Event]:
    if task_id not in agent.slots:
        return []
    return [AgentSlotFreed(at=at, task_id=task_id, outcome=outcome, execution_time=execution_time)]


def report_health(agent: Agent, state: Health, checks: dict[str, Check], at: datetime) -> list[Event]:
    _require_registered(agent)
    if agent.state == state and agent.checks == checks:
        return []
    return [AgentHealthReported(at=at, state=state, checks=checks)]


def hear_from(agent: Agent, at: datetime) -> list[Event]:
    """A heartbeat: an event only if the agent was thought to be away."""
    _require_registered(agent)
    return [AgentReturned(at=at, state=agent.health)] if agent.state == "offline" else []


def change_capacity(agent: Agent, max_concurrent_tasks: int, at: datetime) -> list[Event]:
    _require_registered(agent)
    if max_concurrent_tasks == agent.max_concurrent_tasks:
        return []
    if max_concurrent_tasks < len(agent.slots):
        raise Refusal(
            "capacity_in_use",
            f"Agent {agent.agent_id} has {len(agent.slots)} tasks now; end some before it has "
            f"{max_concurrent_tasks} slots.",
            agent_id=agent.agent_id,
            current_tasks=len(agent.slots),
            max_concurrent_tasks=max_concurrent_tasks,
        )
    return [AgentCapacityChanged(at=at, max_concurrent_tasks=max_concurrent_tasks)]


def update_configuration(agent: Agent, version: str, config_hash: str | None, at: datetime) -> list[Event]:
    _require_registered(agent)
    if (agent.configuration_version, agent.config_hash) == (version, config_hash):
        return []
    return [AgentConfigurationUpdated(at=at, configuration_version=version, config_hash=config_hash)]


def go_offline(agent: Agent, reason: str, at: datetime, silent_since: datetime | None = None) -> list[Event]:
    """`silent_since`: only if nothing was heard of it after that; who says so may not have seen the last event."""
    _require_registered(agent)
    if agent.state == "offline":
        return []
    if silent_since is not None and agent.heard_at is not None and agent.heard_at > silent_since:
        raise Refusal(
            "agent_not_silent",
            f"Agent {agent.agent_id} was heard of at {iso(agent.heard_at)}, after {iso(silent_since)}; "
            "mark it offline once it is silent.",
            agent_id=agent.agent_id,
            heard_at=iso(agent.heard_at),
            silent_since=iso(silent_since),
        )
    return [AgentWentOffline(at=at, reason=reason)]


def deregister(agent: Agent, reason: str | None, at: datetime) -> list[Event]:
    return [] if agent.state == "deregistered" else [AgentDeregistered(at=at, reason=reason)]


def _require_registered(agent: Agent) -> None:
    if agent.state == "deregistered":
        raise Refusal(
            "agent_deregistered",
            f"Agent {agent.agent_id} is deregistered; register it again first.",
            agent_id=agent.agent_id,
        )
