"""Commands of the import of an older log. Only the import gives them, so they can't be submitted."""

from typing import ClassVar

from commands.messages.base import Command
from commands.messages.system import SystemCommand
from commands.recorded_traces import RecordedEvent
from commands.xes_mapping import Operation
from domain.values import Id, JsonObject, PositiveCount, Time
from domain.workflow import WORKFLOW, WorkflowRolledBack


class NewWorkflow(Command):
    """The workflow that begins with this event."""

    definition_id: Id
    context: JsonObject


class NewAgent(Command):
    """The agent that is seen for the first time with this event, with all that the log shows of it."""

    capabilities: tuple[Id, ...]
    capacity: PositiveCount


class ImportEvent(Command):
    """One event of an older log: what it does to one workflow, one task and one agent."""

    type: ClassVar = "ImportEvent"
    aggregate: ClassVar = WORKFLOW
    key: ClassVar = "workflow_id"

    workflow_id: Id
    begins: NewWorkflow | None
    ends: bool
    operations: tuple[Operation, ...]
    task_id: Id | None
    activity: str
    agent_id: Id | None
    registers: NewAgent | None
    attributes: JsonObject


class ImportRecorded(Command):
    """What dora-state's own export says was recorded of one workflow and its tasks by one command.

    `agents` are those that take one of the tasks, `registers` those of them that are seen for the first time.
    """

    type: ClassVar = "ImportRecorded"
    aggregate: ClassVar = WORKFLOW
    key: ClassVar = "workflow_id"

    workflow_id: Id
    events: tuple[RecordedEvent, ...]
    agents: tuple[Id, ...]
    registers: dict[Id, NewAgent]

    @property
    def looks_back(self) -> bool:
        """It can be decided only on what the log had before: a rollback is held against where it goes back to."""
        return any(isinstance(event, WorkflowRolledBack) for _, event in self.events)


class BeginImport(SystemCommand):
    type: ClassVar = "BeginImport"
    file_name: Id
    sha256: str
    imported_at: Time


class EndImport(SystemCommand):
    type: ClassVar = "EndImport"
    sha256: str
    imported_at: Time
    counts: JsonObject
