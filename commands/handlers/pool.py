"""What each command on a resource pool does."""

from commands import steps
from commands.messages import pool as messages
from commands.work import Key, Work
from domain import pool as pools
from domain import task as tasks
from domain.errors import Refusal
from domain.pool import POOL, PoolCreated, ResourcesReserved
from domain.task import TASK
from domain.workflow import WORKFLOW


def create(work: Work, command: messages.CreatePool) -> None:
    event = PoolCreated(at=work.now, **dict(command))
    work.record(POOL, command.pool_id, pools.create(work.find(POOL, command.pool_id), event))


def resize(work: Work, command: messages.ResizePool) -> None:
    pool = work.get(POOL, command.pool_id)
    work.record(POOL, command.pool_id, pools.resize(pool, command.total, work.now))


def change_policies(work: Work, command: messages.ChangePolicies) -> None:
    pool = work.get(POOL, command.pool_id)
    events = pools.change_policies(pool, command.overcommit, command.priority_weights, work.now)
    work.record(POOL, command.pool_id, events)


def reserve(work: Work, command: messages.Reserve) -> None:
    event = ResourcesReserved(
        at=work.now,
        reservation_id=work.reservation_id(),
        resources=command.resources,
        agent_id=command.agent_id,
        expires_at=command.expires_at,
    )
    work.record(POOL, command.pool_id, pools.reserve(work.get(POOL, command.pool_id), event))


def release(work: Work, command: messages.Release) -> None:
    pool = work.get(POOL, command.pool_id)
    reservation = pool.reservations.get(command.reservation_id)
    if reservation is not None and reservation.task_id is not None:
        raise Refusal(
            "reservation_of_task",
            f"Reservation {command.reservation_id} is held for task {reservation.task_id}; "
            "it is released when the task ends.",
            pool_id=command.pool_id,
            reservation_id=command.reservation_id,
            task_id=reservation.task_id,
        )
    work.record(POOL, command.pool_id, pools.release(pool, command.reservation_id, command.reason, work.now))


def expire(work: Work, command: messages.ExpireReservations) -> None:
    """Each expires once; the task that held it is timed out in the same append."""
    due = work.get(POOL, command.pool_id).expired(work.now)
    holders = [work.get(POOL, command.pool_id).reservations[one].task_id for one in due]
    held = [task_id for task_id in holders if task_id is not None]
    steps.fetch_tasks(work, held)
    work.fetch(Key.of(WORKFLOW, work.get(TASK, task_id).workflow_id) for task_id in held)
    for reservation_id, task_id in zip(due, holders, strict=True):
        pool = work.get(POOL, command.pool_id)
        if reservation_id not in pool.reservations:
            continue  # a workflow that failed with an earlier one has freed it already
        work.record(POOL, command.pool_id, pools.expire(pool, reservation_id, work.now))
        if task_id is not None:
            events = tasks.lose_reservation(work.get(TASK, task_id), work.now)
            steps.end_task(work, task_id, events)
