"""Rolling a workflow back: it and its tasks return to an earlier moment, agents and pools do not.

What the rollback frees is released now, what it needs again is taken now; if that can't be had, the whole
is refused before anything happened. Frees come first, so that a slot can pass from one task to another.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from commands import steps
from commands.messages.workflow import RollBackWorkflow
from commands.work import Key, Past, Work
from domain import task as tasks
from domain import workflow as workflows
from domain.aggregate import Event
from domain.errors import Refusal
from domain.log import Cut
from domain.pool import POOL
from domain.task import HOLDING, TASK, Task, TaskCancelled, TaskRolledBack
from domain.values import iso
from domain.workflow import WORKFLOW, Workflow, WorkflowRolledBack


@dataclass(frozen=True, slots=True)
class Step:
    """One task of the workflow: as it is, and as it was. `target` is None if it was created later."""

    now: Task
    target: Task | None

    @property
    def keeps(self) -> bool:
        """It holds today just what it held then: nothing is freed, nothing taken."""
        then = self.target
        return (
            then is not None
            and then.state in HOLDING
            and (then.state, then.agent_id, then.reservation_id, then.started_at)
            == (self.now.state, self.now.agent_id, self.now.reservation_id, self.now.started_at)
        )


def roll_back(work: Work, command: RollBackWorkflow) -> None:
    workflow = work.get(WORKFLOW, command.workflow_id)
    past = _target(work, command, workflow)
    # A version is the moment at which it was recorded; what tasks did between two versions counts otherwise.
    by_version = command.to_version is not None
    cut = Cut(position=past.position) if by_version else Cut(at=command.to_time, position=command.to_position)
    plan = _plan(work, workflow, cut)
    if past.version == work.version(WORKFLOW, command.workflow_id) and (by_version or not plan):
        raise _to_now(workflow, past.version)
    if command.workflow_only:
        _require_no_task(command.workflow_id, plan)
    for step in plan:
        if not step.keeps:
            steps.free_holdings(work, step.now, "rolled_back")
    for step in plan:
        work.record(TASK, step.now.task_id, _restore_task(work, command, step, cut))
    restored = steps.restored_workflow(past.state, workflow, work.now)
    event = WorkflowRolledBack(
        at=work.now,
        to_version=past.version,
        reason=command.reason,
        operator=command.operator,
        restored=workflows.to_json(restored),
    )
    work.record(WORKFLOW, command.workflow_id, [event])


@dataclass(frozen=True, slots=True)
class _Target:
    version: int
    position: int
    state: Workflow


def _target(work: Work, command: RollBackWorkflow, workflow: Workflow) -> _Target:
    """The earlier workflow, or a refusal that names the range there is."""
    current = work.version(WORKFLOW, command.workflow_id)
    if command.to_version is not None and not 1 <= command.to_version <= current:
        raise Refusal(
            "rollback_before_beginning" if command.to_version < 1 else "rollback_beyond_end",
            f"Workflow {command.workflow_id} has versions 1 to {current}; "
            f"there is no version {command.to_version} to roll back to.",
            workflow_id=command.workflow_id,
            versions=[1, current],
        )
    if command.to_time is not None and command.to_time > work.now:
        raise Refusal(
            "rollback_to_future",
            f"{iso(command.to_time)} lies in the future; roll back to a moment up to {iso(work.now)}.",
            workflow_id=command.workflow_id,
            to_time=iso(command.to_time),
        )
    if command.to_position is not None and command.to_position > (end := work.end_of_log()):
        raise Refusal(
            "rollback_beyond_end",
            f"The log ends at position {end}, before {command.to_position}; roll back to one up to it.",
            workflow_id=command.workflow_id,
            versions=[1, current],
            last_position=end,
        )
    cut = Cut(version=command.to_version, at=command.to_time, position=command.to_position)
    past = work.past(WORKFLOW, command.workflow_id, cut)
    if past.state is None:
        began = iso(past.began or workflow.created_at)
        raise Refusal(
            "rollback_before_beginning",
            f"Workflow {command.workflow_id} began at {began}; roll back to that moment or a later one.",
            workflow_id=command.workflow_id,
            began=began,
            versions=[1, current],
        )
    if command.to_version is not None and past.version < command.to_version:
        raise _divides(
            command.workflow_id,
            f"Version {command.to_version} of workflow {command.workflow_id} comes only of this transaction",
            past.version,
        )
    _require_whole(work, command.workflow_id, past)
    return _Target(past.version, past.position, past.state)


def _to_now(workflow: Workflow, current: int) -> Refusal:
    return Refusal(
        "rollback_to_now",
        f"Workflow {workflow.workflow_id} is at version {current} and nothing of it has changed since; "
        "roll back to an earlier moment.",
        workflow_id=workflow.workflow_id,
        versions=[1, current],
    )


def _require_whole(work: Work, workflow_id: str, past: Past[Workflow]) -> None:
    """A version in the middle of a command is a state that the whole system never was in."""
    whole = work.past(WORKFLOW, workflow_id, Cut(position=past.position))
    if whole.version != past.version:
        raise _divides(
            workflow_id, f"Version {past.version} of workflow {workflow_id} lies within one command", whole.version
        )


def _divides(workflow_id: str, says: str, whole_version: int) -> Refusal:
    return Refusal(
        "rollback_divides_command",
        f"{says}; roll back to version {whole_version}, with which a command ended, or to an earlier command's.",
        workflow_id=workflow_id,
        whole_version=whole_version,
    )


def _plan(work: Work, workflow: Workflow, cut: Cut) -> list[Step]:
    """The tasks that have changed since the cut."""
    task_ids = list(workflow.tasks)
    steps.fetch_tasks(work, task_ids)
    work.fetch_past((Key.of(TASK, task_id) for task_id in task_ids), cut)
    plan = []
    for task_id in task_ids:
        now = work.get(TASK, task_id)
        past = work.past(TASK, task_id, cut)
        if past.version == work.version(TASK, task_id):
            continue
        later_and_gone = past.state is None and now.state == "cancelled"
        same = past.state is not None and replace(past.state, updated_at=now.updated_at) == now
        if not later_and_gone and not same:
            plan.append(Step(now.copy(), past.state))
    return plan


def _require_no_task(workflow_id: str, plan: list[Step]) -> None:
    if plan:
        changed = [step.now.task_id for step in plan]
        raise Refusal(
            "rollback_needs_tasks",
            f"Workflow {workflow_id} can't be rolled back alone, as {len(changed)} of its tasks have changed since "
            f"({', '.join(changed[:5])}{', ...' if len(changed) > 5 else ''}); roll back with its tasks.",
            workflow_id=workflow_id,
            tasks=changed,
        )


def _restore_task(work: Work, command: RollBackWorkflow, step: Step, cut: Cut) -> list[Event]:
    if step.target is None and step.now.state in tasks.OPEN:
        reason = f"created after what the workflow was rolled back to: {command.reason}"[:10_000]
        return [TaskCancelled(at=work.now, reason=reason)]
    if step.target is None:
        restored = replace(step.now, state="cancelled")
    elif step.keeps:
        # It never stopped running: its time limit and its estimate, which its agent shows too, go on.
        restored = replace(step.target, deadline=step.now.deadline, estimated_completion=step.now.estimated_completion)
    elif step.target.state in HOLDING and step.target.agent_id is not None:
        restored = _take_again(work, step.target, step.target.agent_id, cut)
    else:
        restored = step.target
    return [
        TaskRolledBack(
            at=work.now,
            reason=command.reason,
            operator=command.operator,
            restored=tasks.to_json(restored),
        )
    ]


def _take_again(work: Work, target: Task, agent_id: str, cut: Cut) -> Task:
    """Take what the task held then, as it can be had now; a task that runs again gets a fresh time limit."""
    running = target.state == "running"
    try:
        reservation_id, allocated = steps.take_holdings(
            work,
            target,
            agent_id,
            pool_id=target.pool_id,
            expires_at=_fresh_expiry(work, target, cut),
            started_at=target.started_at if running else None,
            estimated_completion=target.estimated_completion,
        )
    except Refusal as refusal:
        raise Refusal(
            refusal.reason,
            f"Task {target.task_id} was {target.state} then and can't have again what it held: {refusal.message}",
            **{**refusal.facts, "task_id": target.task_id},
        ) from refusal
    system = steps.system_of(work)
    default_limit = system.default_timeout if system else None
    return replace(
        target,
        reservation_id=reservation_id,
        allocated=allocated,
        deadline=tasks.fresh_deadline(target, default_limit, work.now) if running else None,
    )


def _fresh_expiry(work: Work, target: Task, cut: Cut) -> datetime | None:
    """As long from now as the reservation had when it was made."""
    if target.pool_id is None or target.reservation_id is None:
        return None
    pool = work.past(POOL, target.pool_id, cut).state
    reservation = pool.reservations.get(target.reservation_id) if pool else None
    if reservation is None or reservation.expires_at is None:
        return None
    return work.now + (reservation.expires_at - reservation.created_at)
