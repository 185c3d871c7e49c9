"""What an event of an imported log does, through the aggregates' own decisions.

Each task's moves within one event are noted on its workflow once, as they end.
"""

from typing import Any

from commands import steps
from commands.messages.importing import BeginImport, EndImport, ImportEvent, NewAgent, NewWorkflow
from commands.work import Key, Work
from commands.xes_mapping import Operation
from domain import agent as agents
from domain import task as tasks
from domain import workflow as workflows
from domain.agent import AGENT, AgentRegistered
from domain.aggregate import Event
from domain.system import SYSTEM, SYSTEM_ID, LogImportBegun, LogImportEnded
from domain.task import TASK, TaskAssigned, TaskCreated, TaskProgressed
from domain.workflow import WORKFLOW, WorkflowCreated

AGENT_TYPE = "resource"
REASON = "as the imported log says"


def import_event(work: Work, command: ImportEvent) -> None:
    _fetch(work, command)
    if command.begins is not None:
        _begin_workflow(work, command, command.begins)
    if command.registers is not None and command.agent_id is not None:
        register_agent(work, command.agent_id, command.registers)
    if command.task_id is not None:
        before = work.find(TASK, command.task_id)
        outputs_before = before.outputs if before else {}
        if "cancel" in command.operations:
            _keep_attributes(work, command, command.task_id)
        for operation in command.operations:
            _operate(work, command, command.task_id, operation)
        if "create" not in command.operations:
            _keep_attributes(work, command, command.task_id)
        steps.note_on_workflow(work, work.get(TASK, command.task_id), outputs_before)
    if command.ends and not work.get(WORKFLOW, command.workflow_id).open_tasks:
        workflow = work.get(WORKFLOW, command.workflow_id)
        work.record(WORKFLOW, command.workflow_id, workflows.complete(workflow, work.now))


def register_agent(work: Work, agent_id: str, profile: NewAgent) -> None:
    """With all that the log shows of it."""
    registered = AgentRegistered(
        at=work.now,
        agent_id=agent_id,
        agent_type=AGENT_TYPE,
        capabilities=profile.capabilities,
        max_concurrent_tasks=profile.capacity,
        state="healthy",
    )
    work.record(AGENT, agent_id, agents.register(work.find(AGENT, agent_id), registered))


def _fetch(work: Work, command: ImportEvent) -> None:
    keys: list[Key[Any]] = [Key.of(WORKFLOW, command.workflow_id)]
    if command.task_id is not None:
        keys.append(Key.of(TASK, command.task_id))
    if command.agent_id is not None:
        keys.append(Key.of(AGENT, command.agent_id))
    work.fetch(keys)


def _begin_workflow(work: Work, command: ImportEvent, begins: NewWorkflow) -> None:
    created = WorkflowCreated(
        at=work.now,
        workflow_id=command.workflow_id,
        definition_id=begins.definition_id,
        definition_version="1",
        context=begins.context,
        completion="explicit",
        on_task_failure="continue",
    )
    workflow = work.find(WORKFLOW, command.workflow_id)
    work.record(WORKFLOW, command.workflow_id, workflows.create(workflow, created))
    started = workflows.start(work.get(WORKFLOW, command.workflow_id), work.now)
    work.record(WORKFLOW, command.workflow_id, started)


def _operate(work: Work, command: ImportEvent, task_id: str, operation: Operation) -> None:
    match operation:
        case "create":
            created = TaskCreated(
                at=work.now,
                task_id=task_id,
                workflow_id=command.workflow_id,
                definition_id=command.activity,
                inputs=command.attributes,
                capabilities=(command.activity,),
            )
            steps.add_task(work, created)
            work.record(TASK, task_id, tasks.schedule(work.get(TASK, task_id), work.now))
        case "start" if command.agent_id is not None:
            _start(work, task_id, command.agent_id)
        case "complete":
            # How long it took is known only if its start is in the log.
            measured = "start" not in command.operations
            completed = tasks.complete(work.get(TASK, task_id), command.attributes, work.now)
            steps.free_holdings(work, work.get(TASK, task_id), "completed", measured)
            work.record(TASK, task_id, completed)
        case "cancel":
            cancelled = tasks.cancel(work.get(TASK, task_id), REASON, work.now)
            steps.free_holdings(work, work.get(TASK, task_id), "cancelled")
            work.record(TASK, task_id, cancelled)
        case "suspend" | "resume":
            note = TaskProgressed(at=work.now, note="suspended" if operation == "suspend" else "resumed")
            work.record(TASK, task_id, tasks.report_progress(work.get(TASK, task_id), note))


def _keep_attributes(work: Work, command: ImportEvent, task_id: str) -> None:
    """What is said of a task while it runs, by neither its first event nor its completion, is among its outputs."""
    task = work.get(TASK, task_id)
    if command.attributes and task.state == "running":
        work.record(TASK, task_id, tasks.record_outputs(task, command.attributes, work.now))


def _start(work: Work, task_id: str, agent_id: str) -> None:
    task = work.get(TASK, task_id)
    assigned: list[Event] = tasks.assign(task, TaskAssigned(at=work.now, agent_id=agent_id, reason=REASON))
    steps.take_holdings(work, task, agent_id, pool_id=None)
    work.record(TASK, task_id, assigned)
    # No default time limit: the log names none, and none is made up.
    started = tasks.start(work.get(TASK, task_id), None, None, work.now)
    work.record(AGENT, agent_id, agents.start_task(work.get(AGENT, agent_id), task_id, None, work.now))
    work.record(TASK, task_id, started)


def begin(work: Work, command: BeginImport) -> None:
    event = LogImportBegun(at=work.now, **dict(command))
    work.record(SYSTEM, SYSTEM_ID, [event])


def end(work: Work, command: EndImport) -> None:
    event = LogImportEnded(at=work.now, **dict(command))
    work.record(SYSTEM, SYSTEM_ID, [event])
