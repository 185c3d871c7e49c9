"""Commands that name a workflow."""

from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from commands.messages.base import Command, WrongField
from domain.values import (
    Count,
    Id,
    JsonObject,
    Names,
    PositiveCount,
    Priority,
    Quantity,
    ResourceKind,
    Seconds,
    Text,
    Time,
)
from domain.workflow import WORKFLOW

Number = Annotated[int, Field(ge=-(2**62), le=2**62)]


def _check_priorities(context: JsonObject, priority: Priority | None) -> None:
    if priority is not None and context.get("priority", priority) != priority:
        raise WrongField("context.priority", "must not differ from priority; give one of them")
    if context.get("priority", "medium") not in (*get_args(Priority), None):
        raise WrongField("context.priority", 'must be "high", "medium" or "low"')


class WorkflowCommand(Command):
    aggregate: ClassVar = WORKFLOW
    key: ClassVar = "workflow_id"

    workflow_id: Id


class CreateWorkflow(WorkflowCommand):
    type: ClassVar = "CreateWorkflow"
    definition_id: Id
    version: Id = "1.0.0"
    context: JsonObject = {}
    priority: Priority | None = None
    scheduled_completion: Time | None = None
    dependencies: Names = ()
    completion: Literal["automatic", "explicit"] = "automatic"
    on_task_failure: Literal["fail", "continue"] = "fail"
    max_retries: Count | None = None

    @model_validator(mode="after")
    def _one_priority(self) -> Self:
        _check_priorities(self.context, self.priority)
        if len(set(self.dependencies)) < len(self.dependencies):
            raise WrongField("dependencies", "must not name one twice")
        return self


class AddTask(WorkflowCommand):
    type: ClassVar = "AddTask"
    task_id: Id
    definition_id: Id
    requires: Names = ()
    awaits: Names = ()
    inputs: JsonObject = {}
    resource_requirements: dict[ResourceKind, Quantity] = {}
    timeout: Seconds | None = None
    capabilities: Names = ()
    phases: Names = ()
    max_attempts: PositiveCount | None = None
    priority: Priority | None = None

    @model_validator(mode="after")
    def _no_repetition(self) -> Self:
        for name in ("requires", "awaits", "phases", "capabilities"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise WrongField(name, "must not name one twice")
        return self


class ScheduleWorkflow(WorkflowCommand):
    type: ClassVar = "ScheduleWorkflow"
    start_at: Time | None = None
    scheduled_completion: Time | None = None


class StartWorkflow(WorkflowCommand):
    type: ClassVar = "StartWorkflow"


class PauseWorkflow(WorkflowCommand):
    type: ClassVar = "PauseWorkflow"
    reason: Text | None = None


class ResumeWorkflow(WorkflowCommand):
    type: ClassVar = "ResumeWorkflow"


class SatisfyDependency(WorkflowCommand):
    type: ClassVar = "SatisfyDependency"
    dependency: Id


class AmendWorkflow(WorkflowCommand):
    """Change the context (a null removes its key), the planned completion or the priority."""

    type: ClassVar = "AmendWorkflow"
    context: JsonObject = {}
    scheduled_completion: Time | None = None
    priority: Priority | None = None

    @model_validator(mode="after")
    def _one_priority(self) -> Self:
        _check_priorities(self.context, self.priority)
        return self


class CompleteWorkflow(WorkflowCommand):
    type: ClassVar = "CompleteWorkflow"


class FailWorkflow(WorkflowCommand):
    """With `longer_than` only if it has taken so long, from its start or its last retry or rollback."""

    type: ClassVar = "FailWorkflow"
    error: Text
    longer_than: Seconds | None = None


class RetryWorkflow(WorkflowCommand):
    type: ClassVar = "RetryWorkflow"


class CancelWorkflow(WorkflowCommand):
    type: ClassVar = "CancelWorkflow"
    reason: Text


class RollBackWorkflow(WorkflowCommand):
    """Restore an earlier state, with the workflow's tasks unless `workflow_only`."""

    type: ClassVar = "RollBackWorkflow"
    to_version: Number | None = None  # who knows the workflow and the log says which there are
    to_time: Time | None = None
    to_position: Number | None = None
    reason: Text
    operator: Id
    workflow_only: bool = False

    @model_validator(mode="after")
    def _one_cut(self) -> Self:
        given = [cut for cut in (self.to_version, self.to_time, self.to_position) if cut is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of to_version, to_time and to_position")
        return self
