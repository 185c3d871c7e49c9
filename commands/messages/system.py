"""Commands that name the system."""

from typing import Annotated, ClassVar, Self

from pydantic import Strict, model_validator

from commands.messages.base import Command, WrongField
from domain.system import SYSTEM, SYSTEM_ID, ComponentHealth, Limit
from domain.values import Count, Id, PositiveCount, Seconds, Text, Time


class SystemCommand(Command):
    aggregate: ClassVar = SYSTEM
    key: ClassVar = "_system"

    @property
    def stream_id(self) -> str:
        return SYSTEM.stream_id(SYSTEM_ID)


class ConfigureSystem(SystemCommand):
    """Set what is given; `unset` lifts limits."""

    type: ClassVar = "ConfigureSystem"
    system_id: Id | None = None
    environment: Id | None = None
    version: Id | None = None
    deployment_id: Id | None = None
    max_concurrent_workflows: PositiveCount | None = None
    max_workflow_duration: Seconds | None = None
    default_timeout: Seconds | None = None
    retry_attempts: Count | None = None
    unset: Annotated[tuple[Limit, ...], Strict(False)] = ()

    @model_validator(mode="after")
    def _set_or_unset(self) -> Self:
        both = [name for name in self.unset if getattr(self, name) is not None]
        if both:
            raise WrongField("unset", f"must not name {both[0]}, which is set as well; give one of them")
        return self


class ReportComponentHealth(SystemCommand):
    type: ClassVar = "ReportComponentHealth"
    component: Id
    health: ComponentHealth


class ScheduleMaintenance(SystemCommand):
    type: ClassVar = "ScheduleMaintenance"
    window_id: Id
    start: Time
    end: Time
    kind: Id = "scheduled"
    description: Text
    blocks_starts: bool = False


class CancelMaintenance(SystemCommand):
    type: ClassVar = "CancelMaintenance"
    window_id: Id
