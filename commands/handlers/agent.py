"""What each command on an agent does."""

from commands import steps
from commands.messages import agent as messages
from commands.work import Key, Telemetry, Work
from domain import agent as agents
from domain import task as tasks
from domain.agent import AGENT, AgentRegistered
from domain.task import TASK
from domain.workflow import WORKFLOW


def register(work: Work, command: messages.RegisterAgent) -> None:
    """Of an agent that is known also a sign of life: after a silence it is not silent any more."""
    event = AgentRegistered(at=work.now, **dict(command))
    known = work.find(AGENT, command.agent_id)
    if known is not None:
        work.telemetry = Telemetry(command.agent_id, work.now, heartbeat=False)
    work.record(AGENT, command.agent_id, agents.register(known, event))


def heartbeat(work: Work, command: messages.Heartbeat) -> None:
    """Telemetry, and an event only if the agent was thought to be away."""
    events = agents.hear_from(work.get(AGENT, command.agent_id), work.now)
    usage = command.usage.model_dump(exclude_none=True) if command.usage else None
    work.telemetry = Telemetry(command.agent_id, work.now, usage, command.queue_size)
    work.record(AGENT, command.agent_id, events)


def report_health(work: Work, command: messages.ReportHealth) -> None:
    """Also a sign of life: an agent that reports its health is not silent."""
    agent = work.get(AGENT, command.agent_id)
    work.telemetry = Telemetry(command.agent_id, work.now, heartbeat=False)
    work.record(AGENT, command.agent_id, agents.report_health(agent, command.state, command.checks, work.now))


def change_capacity(work: Work, command: messages.ChangeCapacity) -> None:
    agent = work.get(AGENT, command.agent_id)
    events = agents.change_capacity(agent, command.max_concurrent_tasks, work.now)
    work.record(AGENT, command.agent_id, events)


def update_configuration(work: Work, command: messages.UpdateConfiguration) -> None:
    agent = work.get(AGENT, command.agent_id)
    events = agents.update_configuration(agent, command.version, command.config_hash, work.now)
    work.record(AGENT, command.agent_id, events)


def mark_offline(work: Work, command: messages.MarkOffline) -> None:
    agent = work.get(AGENT, command.agent_id)
    events = agents.go_offline(agent, command.reason, work.now, command.silent_since)
    if events:
        lose_tasks(work, command.agent_id, f"agent {command.agent_id} went offline: {command.reason}")
    work.record(AGENT, command.agent_id, events)


def deregister(work: Work, command: messages.DeregisterAgent) -> None:
    events = agents.deregister(work.get(AGENT, command.agent_id), command.reason, work.now)
    if events:
        reason = f": {command.reason}" if command.reason else ""
        lose_tasks(work, command.agent_id, f"agent {command.agent_id} was deregistered{reason}")
    work.record(AGENT, command.agent_id, events)


def lose_tasks(work: Work, agent_id: str, reason: str) -> None:
    """Its running tasks fail, its assigned ones wait for another agent."""
    reason = reason[:10_000]
    task_ids = list(work.get(AGENT, agent_id).slots)
    steps.fetch_tasks(work, task_ids)
    work.fetch(Key.of(WORKFLOW, work.get(TASK, task_id).workflow_id) for task_id in task_ids)
    for task_id in task_ids:
        # An earlier one may have failed the workflow, and so ended this one already.
        task = work.get(TASK, task_id)
        if task.state == "running":
            steps.end_task(work, task_id, tasks.fail(task, reason, work.now))
        elif task.state == "assigned":
            steps.release_task(work, task_id, reason)
