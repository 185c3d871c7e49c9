"""Commands that name a task."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from commands.messages.base import Command, WrongField
from domain.task import TASK
from domain.values import Id, JsonObject, Percentage, Quantity, Text, Time


class TaskCommand(Command):
    aggregate: ClassVar = TASK
    key: ClassVar = "task_id"

    task_id: Id


class ScheduleTask(TaskCommand):
    type: ClassVar = "ScheduleTask"


class AssignTask(TaskCommand):
    """Give a scheduled task to an agent; with a pool, what the task requires is reserved there."""

    type: ClassVar = "AssignTask"
    agent_id: Id
    reason: Text
    pool_id: Id | None = None
    reservation_expires_at: Time | None = None

    @model_validator(mode="after")
    def _expiry_of_a_reservation(self) -> Self:
        if self.reservation_expires_at is not None and self.pool_id is None:
            raise WrongField("reservation_expires_at", "needs a pool_id: without a pool nothing is reserved")
        return self


class StartTask(TaskCommand):
    type: ClassVar = "StartTask"
    estimated_completion: Time | None = None


class ReportProgress(TaskCommand):
    type: ClassVar = "ReportProgress"
    percentage: Percentage | None = None
    phase: Id | None = None
    memory_peak: Quantity | None = None
    cpu_average: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    estimated_completion: Time | None = None
    note: Text | None = None


class CompletePhase(TaskCommand):
    type: ClassVar = "CompletePhase"
    phase: Id


class RecordOutputs(TaskCommand):
    type: ClassVar = "RecordOutputs"
    outputs: JsonObject


class CompleteTask(TaskCommand):
    type: ClassVar = "CompleteTask"
    outputs: JsonObject | None = None


class FailTask(TaskCommand):
    type: ClassVar = "FailTask"
    error: Text


class RetryTask(TaskCommand):
    type: ClassVar = "RetryTask"


class TimeOutTask(TaskCommand):
    type: ClassVar = "TimeOutTask"


class CancelTask(TaskCommand):
    type: ClassVar = "CancelTask"
    reason: Text
