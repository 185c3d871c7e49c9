"""The worker: keeps the read models up, and gives the commands that only time gives.

Time limits, expired reservations, silent agents and overlong workflows become commands of the actor
`system`, so that the log tells what happened and why. Any number of workers may run: a command that another
has given already is refused or changes nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

from domain.errors import DoraStateError, without_advice
from domain.system import SYSTEM, SYSTEM_ID
from domain.values import iso
from dora_state.platform import Platform, Say, now, open_platform, quiet
from dora_state.settings import Settings
from dora_state.state_manager import StateManager
from infrastructure.embedded import EmbeddedServerError
from projections.lists import Lists

ACTOR = "system"
MONTHS_INTERVAL = timedelta(hours=1)
logger = logging.getLogger(__name__)


async def run_worker(settings: Settings, stop: asyncio.Event, say: Say = quiet) -> None:
    """Project and do the chores until told to stop; the batch in hand is finished first.

    Raises ProjectionHalted at an event that this release does not know, LogUnavailable without a server.
    """
    async with open_platform(settings, say) as platform:
        projecting = asyncio.create_task(platform.projector.run(stop), name="projector")
        chores = asyncio.create_task(_do_chores(platform, stop, say), name="chores")
        snapshots = asyncio.create_task(_take_snapshots(platform, stop), name="snapshots")
        say(f"The worker of tenant {settings.tenant} is running; stop it with Ctrl-C.")
        try:
            await asyncio.wait({projecting, chores, snapshots}, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            stop.set()
            # Also when cancelled: the servers are not to be left while a chore may be starting them.
            outcomes = await asyncio.gather(projecting, chores, snapshots, return_exceptions=True)
        # A fault of either is told, once both have come to their end.
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome


async def _do_chores(platform: Platform, stop: asyncio.Event, say: Say) -> None:
    manager = StateManager(platform, default_actor=ACTOR)
    lists = Lists(platform.read_models, platform.presence, now)
    months_checked = now() - MONTHS_INTERVAL
    while not stop.is_set():
        try:
            if (embedded := platform.servers.embedded) is not None:
                # Nobody else may be there to do it; whoever projects tries again by itself.
                await asyncio.to_thread(embedded.bring_back)
            if await platform.log.importing() is None:
                await do_chores_once(platform, manager, lists, say)
            if now() - months_checked >= MONTHS_INTERVAL:
                await platform.log.maintain()
                months_checked = now()
        except (DoraStateError, EmbeddedServerError) as error:
            said = without_advice(error) if isinstance(error, DoraStateError) else error
            logger.warning("The worker tries again in %.1f s: %s", platform.settings.worker_interval, said)
        await _pause(stop, platform.settings.worker_interval)


async def _take_snapshots(platform: Platform, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await platform.snapshotter.catch_up(stop)
        except DoraStateError as error:
            logger.warning("Snapshots are taken later: %s", without_advice(error))
        await _pause(stop, platform.settings.worker_interval)


async def do_chores_once(platform: Platform, manager: StateManager, lists: Lists, say: Say = quiet) -> int:
    """One round of what time asks for, each told when it is done; gives how many commands were accepted."""
    accepted = 0
    async for command, data in _due(platform, lists):
        answer = await manager.submit({"type": command, "actor": ACTOR, "data": data})
        if answer.outcome == "accepted":
            accepted += 1
            say(_DONE[command].format_map(data))
        if answer.outcome in ("failed", "invalid") and answer.problem is not None:
            logger.warning("%s of %s failed: %s", command, data, answer.problem.message)
    return accepted


_DONE = {
    "TimeOutTask": "Task {task_id} was timed out: its time limit is over.",
    "ExpireReservations": "Reservations of pool {pool_id} have expired.",
    "MarkOffline": "Agent {agent_id} was marked offline: {reason}.",
    "FailWorkflow": "Workflow {workflow_id} was failed: it {error}.",
}


async def _due(platform: Platform, lists: Lists) -> AsyncIterator[tuple[str, dict[str, object]]]:
    """The read models say what may be due; the aggregates decide whether it is."""
    for task_id in await lists.overdue_tasks():
        yield "TimeOutTask", {"task_id": task_id}
    for pool_id in await lists.pools_due():
        yield "ExpireReservations", {"pool_id": pool_id}
    silence = platform.settings.heartbeat_timeout
    since = lists.now() - timedelta(seconds=silence)
    for agent_id in await lists.silent_agents(since):
        # Asked once more: a heartbeat may have come since, and is no event that the aggregate could see.
        if not await lists.heard_since(agent_id, since):
            reason = f"no heartbeat for {silence:g} seconds"
            yield "MarkOffline", {"agent_id": agent_id, "reason": reason, "silent_since": iso(since)}
    system = await platform.fold(SYSTEM, SYSTEM_ID)
    longest = system.max_workflow_duration if system else None
    if longest is not None:
        for workflow_id in await lists.overlong_workflows(timedelta(seconds=longest)):
            error = f"took longer than the {longest:g} seconds that the system allows"
            yield "FailWorkflow", {"workflow_id": workflow_id, "error": error, "longer_than": longest}


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
