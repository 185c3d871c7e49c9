"""Commands that name an agent."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from commands.messages.base import Command
from domain.agent import AGENT, Check, Health
from domain.values import Count, Id, Names, Percentage, PositiveCount, Text, Time

Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]


class AgentCommand(Command):
    aggregate: ClassVar = AGENT
    key: ClassVar = "agent_id"

    agent_id: Id


class RegisterAgent(AgentCommand):
    type: ClassVar = "RegisterAgent"
    agent_type: Id
    instance_id: Id | None = None
    node_id: Id | None = None
    capabilities: Names = ()
    max_concurrent_tasks: PositiveCount = 1
    state: Literal["registered", "healthy"] = "registered"
    configuration_version: Id | None = None
    config_hash: Id | None = None


class NetworkIO(BaseModel):
    """Bytes received and sent, as the agent counts them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rx: Bytes
    tx: Bytes


class ResourceUsage(BaseModel):
    """What an agent uses at this moment, in percent where the name says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cpu_percent: Rate | None = None
    memory_percent: Percentage | None = None
    disk_percent: Percentage | None = None
    network_io: NetworkIO | None = None
    gpu_utilization: Rate | None = None


class Heartbeat(AgentCommand):
    """Telemetry: refreshes the agent's presence, and is neither an event nor a recorded command."""

    type: ClassVar = "Heartbeat"
    usage: ResourceUsage | None = None
    queue_size: Count | None = None


class ReportHealth(AgentCommand):
    type: ClassVar = "ReportHealth"
    state: Health
    checks: dict[Id, Check] = {}


class ChangeCapacity(AgentCommand):
    type: ClassVar = "ChangeCapacity"
    max_concurrent_tasks: PositiveCount


class UpdateConfiguration(AgentCommand):
    type: ClassVar = "UpdateConfiguration"
    version: Id
    config_hash: Id | None = None


class MarkOffline(AgentCommand):
    """With `silent_since` only if nothing was heard of it after that."""

    type: ClassVar = "MarkOffline"
    reason: Text = "reported offline"
    silent_since: Time | None = None


class DeregisterAgent(AgentCommand):
    type: ClassVar = "DeregisterAgent"
    reason: Text | None = None
