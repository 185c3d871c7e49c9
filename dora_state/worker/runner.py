"""Carries out jobs on the loop of the process, whoever asks for it: the broker's threads, or the scheduler."""

import asyncio
import concurrent.futures
import logging
from collections.abc import Iterable
from typing import Protocol

from domain.errors import DoraStateError, without_advice
from dora_state.watching.context import doing
from dora_state.worker.jobs import Job
from dora_state.worker.supervision import Pauses
from dora_state.worker.workplace import Workplace

logger = logging.getLogger(__name__)


class Beginning(Protocol):
    async def begin(self, job: str) -> bool: ...


class JobRunner:
    """Of each job one at a time, and only if there is a slot of it that nobody has begun. Make it within the loop."""

    def __init__(self, jobs: Iterable[Job], place: Workplace, schedules: Beginning) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._place = place
        self._schedules = schedules
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._pauses = {name: Pauses() for name in self._jobs}

    def carry_out(self, name: str) -> None:
        """From another thread: do a job and wait for its end. Nothing that is wrong with it raises."""
        done = concurrent.futures.Future[None]()
        self._loop.call_soon_threadsafe(self._begin_for, name, done)
        done.result()

    def _begin_for(self, name: str, done: "concurrent.futures.Future[None]") -> None:
        task = self.start(name)
        if task is None:
            done.set_result(None)
        else:
            task.add_done_callback(lambda _: done.set_result(None))

    def start(self, name: str) -> asyncio.Task[None] | None:
        """Do a job in the background. None where it is not to be done now.

        That is so while it runs here, while it rests after a failure, when the worker is leaving, and where a message
        of another release names a job that this one has not.
        """
        job = self._jobs.get(name)
        if job is None or name in self._running or self._place.stop.is_set() or not self._pauses[name].are_over():
            return None
        task = self._running[name] = asyncio.create_task(self._do(job), name=f"job {name}")
        task.add_done_callback(lambda _: self._running.pop(name))
        return task

    async def _do(self, job: Job) -> None:
        try:
            with doing(job=job.name):
                if await self._schedules.begin(job.name):
                    await job.run(self._place)
        except DoraStateError as error:
            logger.warning("The job %s waits for its next turn: %s", job.name, without_advice(error))
        except Exception as error:
            pause = self._pauses[job.name].after_failure()
            logger.error("The job %s failed, and rests for %.1f s", job.name, pause, exc_info=error)

    async def finish(self) -> None:
        """Until what runs has ended; cancelled with whoever waits."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
