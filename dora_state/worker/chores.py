"""What time asks for, as commands of the actor `system`, so that the log tells what happened and why.

The read models say what may be due; the aggregates decide whether it is. A command that another worker has given
already is refused or changes nothing.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta

from domain.system import SYSTEM, SYSTEM_ID
from domain.values import iso
from dora_state.worker.workplace import Workplace

ACTOR = "system"
logger = logging.getLogger(__name__)

Command = tuple[str, Mapping[str, object]]
Due = Callable[[Workplace], AsyncIterator[Command]]

_DONE = {
    "TimeOutTask": "Task {task_id} was timed out: its time limit is over.",
    "ExpireReservations": "Reservations of pool {pool_id} have expired.",
    "MarkOffline": "Agent {agent_id} was marked offline: {reason}.",
    "FailWorkflow": "Workflow {workflow_id} was failed: it {error}.",
}


async def give(place: Workplace, due: Due) -> int:
    """Give the commands that are due, each told when it is done; gives how many were accepted.

    None is while an older log is imported: it is not to be written to. Raises LogError, ReadModelsUnavailable.
    """
    if await place.platform.log.importing() is not None:
        return 0
    accepted = 0
    async for command, data in due(place):
        answer = await place.manager.submit({"type": command, "actor": ACTOR, "data": data})
        if answer.outcome == "accepted":
            accepted += 1
            place.say(_DONE[command].format_map(data))
        if answer.outcome in ("failed", "invalid") and answer.problem is not None:
            logger.warning("%s of %s failed: %s", command, dict(data), answer.problem.message)
    return accepted


async def overdue_tasks(place: Workplace) -> AsyncIterator[Command]:
    for task_id in await place.lists.overdue_tasks():
        yield "TimeOutTask", {"task_id": task_id}


async def expired_reservations(place: Workplace) -> AsyncIterator[Command]:
    for pool_id in await place.lists.pools_due():
        yield "ExpireReservations", {"pool_id": pool_id}


async def silent_agents(place: Workplace) -> AsyncIterator[Command]:
    silence = place.platform.settings.heartbeat_timeout
    since = place.lists.now() - timedelta(seconds=silence)
    for agent_id in await place.lists.silent_agents(since):
        # Asked once more: a heartbeat may have come since, and is no event that the aggregate could see.
        if not await place.lists.heard_since(agent_id, since):
            reason = f"no heartbeat for {silence:g} seconds"
            yield "MarkOffline", {"agent_id": agent_id, "reason": reason, "silent_since": iso(since)}


async def overlong_workflows(place: Workplace) -> AsyncIterator[Command]:
    system = await place.platform.fold(SYSTEM, SYSTEM_ID)
    longest = system.max_workflow_duration if system else None
    if longest is None:
        return
    for workflow_id in await place.lists.overlong_workflows(timedelta(seconds=longest)):
        error = f"took longer than the {longest:g} seconds that the system allows"
        yield "FailWorkflow", {"workflow_id": workflow_id, "error": error, "longer_than": longest}


CHORES: tuple[Due, ...] = (overdue_tasks, expired_reservations, silent_agents, overlong_workflows)
