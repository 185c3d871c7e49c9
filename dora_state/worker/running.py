"""The worker: its parts, side by side for as long as it runs, and how it leaves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from dora_state.platform import Platform, now, open_platform
from dora_state.resting import rest
from dora_state.servers import Say, quiet
from dora_state.settings import Settings
from dora_state.state_manager import StateManager
from dora_state.watching.serving import serve_metrics
from dora_state.worker.chores import ACTOR
from dora_state.worker.jobs import Job, jobs
from dora_state.worker.projecting import project
from dora_state.worker.queueing import take_commands
from dora_state.worker.roles import EVERY_ROLE, WorkerRole
from dora_state.worker.runner import JobRunner
from dora_state.worker.scheduler import Scheduler
from dora_state.worker.supervision import keep_going
from dora_state.worker.workplace import Workplace
from infrastructure.broker import JobBroker
from infrastructure.embedded import EmbeddedServerError, EmbeddedServers
from infrastructure.process_memory import process_name
from infrastructure.schedules import PostgresSchedules
from infrastructure.whole import whole
from projections.lists import Lists

ENDING_SECONDS = 15.0
"""How long what is in hand may take when the worker is told to stop; what is broken off then is undone."""
SERVERS_SECONDS = 1.0
"""How often the embedded servers are looked at."""
BROKER_SECONDS = 3.0
"""How long the broker has to end once its jobs are done: it tells a Redis that may be away."""
logger = logging.getLogger(__name__)

Part = Callable[[asyncio.Event], Awaitable[None]]


async def run_worker(
    settings: Settings, stop: asyncio.Event, say: Say = quiet, roles: Collection[WorkerRole] = EVERY_ROLE
) -> None:
    """Work in these roles until told to stop; what is in hand is finished first, within `ENDING_SECONDS`.

    Raises LogUnavailable or EmbeddedServerError when there is no server at the beginning; later it is waited for.
    """
    async with open_platform(settings, say) as platform:
        parts = {name: keep_going(name, part, stop) for name, part in _parts(platform, roles, say).items()}
        tasks = {asyncio.create_task(part, name=name) for name, part in parts.items()}
        try:
            say(f"The worker of tenant {settings.tenant} is running ({', '.join(roles)}); stop it with Ctrl-C.")
            await stop.wait()
        finally:
            stop.set()
            await _leave(tasks)


def _parts(platform: Platform, roles: Collection[WorkerRole], say: Say) -> dict[str, Part]:
    """What runs side by side, by its name in the log."""
    parts: dict[str, Part] = {}
    if platform.servers.embedded is not None:
        parts["watch over the servers"] = partial(_keep_servers, platform.servers.embedded)
    if platform.settings.metrics_port is not None:
        parts["service of metrics"] = partial(serve_metrics, platform)
    if WorkerRole.PROJECTOR in roles:
        parts["projector"] = partial(project, platform)
    if WorkerRole.QUEUE in roles:
        parts["queue"] = partial(take_commands, platform)
    chosen = [job for job in jobs(platform.settings) if job.role in roles]
    if chosen:
        parts["scheduler"] = partial(_do_jobs, platform, chosen, say)
    return parts


async def _do_jobs(platform: Platform, chosen: list[Job], say: Say, stop: asyncio.Event) -> None:
    lists = Lists(platform.read_models, platform.presence, now)
    place = Workplace(platform, StateManager(platform, default_actor=ACTOR), lists, stop, say)
    schedules = PostgresSchedules(platform.projector_pool, process_name())
    runner = JobRunner(chosen, place, schedules)
    queues = sorted({job.role.value for job in chosen})
    tenant = platform.settings.tenant
    broker = JobBroker(platform.servers.broker_url, tenant, queues, runner.carry_out, threads=len(chosen))
    try:
        await whole(asyncio.to_thread(broker.start))
        await Scheduler(chosen, schedules, broker, runner).run(stop)
    finally:
        try:
            await runner.finish()
        finally:
            await whole(asyncio.to_thread(broker.stop, BROKER_SECONDS))


async def _keep_servers(embedded: EmbeddedServers, stop: asyncio.Event) -> None:
    """Nobody else may be there to bring them back; whoever needs them tries again by itself."""
    while not stop.is_set():
        try:
            await whole(asyncio.to_thread(embedded.bring_back))
        except EmbeddedServerError as error:
            logger.warning("The servers are looked at again in %g s: %s", SERVERS_SECONDS, error)
        await rest(stop, SERVERS_SECONDS)


async def _leave(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Wait for what is in hand, and break off what takes too long."""
    _, left = await asyncio.wait(tasks, timeout=ENDING_SECONDS)
    for task in left:
        logger.warning("The %s was broken off: it took longer than %g s to end.", task.get_name(), ENDING_SECONDS)
    while left:
        # More than once: `asyncio.wait_for`, which the driver's pool uses, loses a cancellation now and then on 3.11.
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)
