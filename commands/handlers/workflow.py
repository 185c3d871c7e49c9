"""What each command on a workflow does."""

from commands import steps
from commands.messages import workflow as messages
from commands.work import Key, Work
from domain import system as systems
from domain import task as tasks
from domain import workflow as workflows
from domain.task import TASK, TaskCreated
from domain.values import JsonObject
from domain.workflow import WORKFLOW, WorkflowCreated

DEFAULT_MAX_RETRIES = 3
DEFAULT_MAX_ATTEMPTS = 1


def create(work: Work, command: messages.CreateWorkflow) -> None:
    context: JsonObject = dict(command.context)
    if command.priority is not None:
        context["priority"] = command.priority
    event = WorkflowCreated(
        at=work.now,
        workflow_id=command.workflow_id,
        definition_id=command.definition_id,
        definition_version=command.version,
        context=context,
        scheduled_completion=command.scheduled_completion,
        dependencies=command.dependencies,
        completion=command.completion,
        on_task_failure=command.on_task_failure,
        max_retries=DEFAULT_MAX_RETRIES if command.max_retries is None else command.max_retries,
    )
    work.record(WORKFLOW, command.workflow_id, workflows.create(work.find(WORKFLOW, command.workflow_id), event))


def add_task(work: Work, command: messages.AddTask) -> None:
    work.fetch([Key.of(WORKFLOW, command.workflow_id), Key.of(TASK, command.task_id)])
    workflow = work.get(WORKFLOW, command.workflow_id)
    created = TaskCreated(
        at=work.now,
        task_id=command.task_id,
        workflow_id=command.workflow_id,
        definition_id=command.definition_id,
        requires=command.requires,
        awaits=command.awaits,
        inputs=command.inputs,
        resource_requirements=command.resource_requirements,
        time_limit=command.timeout,
        capabilities=command.capabilities,
        phases=command.phases,
        max_attempts=_max_attempts(work, command),
        priority=command.priority or workflow.priority,
    )
    steps.add_task(work, created)


def _max_attempts(work: Work, command: messages.AddTask) -> int:
    if command.max_attempts is not None:
        return command.max_attempts
    system = steps.system_of(work)
    retries = system.retry_attempts if system else None
    return DEFAULT_MAX_ATTEMPTS if retries is None else retries + 1


def schedule(work: Work, command: messages.ScheduleWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    events = workflows.schedule(workflow, command.start_at, command.scheduled_completion, work.now)
    work.record(WORKFLOW, command.workflow_id, events)


def start(work: Work, command: messages.StartWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    events = workflows.start(workflow, work.now)
    if events:
        system = steps.system_of(work)
        systems.require_no_maintenance(system, f"Workflow {command.workflow_id}", work.now)
        _require_room(work, system)
    work.record(WORKFLOW, command.workflow_id, events)


def _require_room(work: Work, system: systems.System | None) -> None:
    """The read model is asked only where there is a limit."""
    if system is not None and system.max_concurrent_workflows is not None:
        systems.require_room_for_workflow(system, work.active_workflows())


def pause(work: Work, command: messages.PauseWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    work.record(WORKFLOW, command.workflow_id, workflows.pause(workflow, command.reason, work.now))


def resume(work: Work, command: messages.ResumeWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    work.record(WORKFLOW, command.workflow_id, workflows.resume(workflow, work.now))
    settle(work, command.workflow_id)


def satisfy_dependency(work: Work, command: messages.SatisfyDependency) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    events = workflows.satisfy_dependency(workflow, command.dependency, work.now)
    if not events:
        return
    work.record(WORKFLOW, command.workflow_id, events)
    steps.meet_requirement(work, command.workflow_id, command.dependency)
    settle(work, command.workflow_id)


def amend(work: Work, command: messages.AmendWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    context: JsonObject = dict(command.context)
    if command.priority is not None:
        context["priority"] = command.priority
    events = workflows.amend(workflow, context, command.scheduled_completion, work.now)
    work.record(WORKFLOW, command.workflow_id, events)


def complete(work: Work, command: messages.CompleteWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    work.record(WORKFLOW, command.workflow_id, workflows.complete(workflow, work.now))


def fail(work: Work, command: messages.FailWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    if command.longer_than is not None:
        workflows.require_overlong(workflow, command.longer_than, work.now)
    if workflow.state != "failed":
        steps.fail_workflow(work, workflow, command.error, None)


def retry(work: Work, command: messages.RetryWorkflow) -> None:
    """Back to running; what had failed begins again with fresh attempts."""
    workflow = work.get(WORKFLOW, command.workflow_id)
    events = workflows.retry(workflow, work.now)
    _require_room(work, steps.system_of(work))
    failed = [task_id for task_id, view in workflow.tasks.items() if view.state in ("failed", "timed_out")]
    work.fetch(Key.of(TASK, task_id) for task_id in failed)
    work.record(WORKFLOW, command.workflow_id, events)
    for task_id in failed:
        steps.record_on_task(work, task_id, tasks.renew_attempts(work.get(TASK, task_id), work.now))
    # A workflow that failed of itself may have nothing left to do.
    settle(work, command.workflow_id)


def cancel(work: Work, command: messages.CancelWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    work.record(WORKFLOW, command.workflow_id, workflows.cancel(workflow, command.reason, work.now))
    steps.cancel_tasks(work, command.workflow_id, f"workflow cancelled: {command.reason}"[:10_000])


def settle(work: Work, workflow_id: str) -> None:
    work.record(WORKFLOW, workflow_id, workflows.settle(work.get(WORKFLOW, workflow_id), work.now))
