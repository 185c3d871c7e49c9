"""Claims the slots of jobs as they become due, and has each carried out once: by way of the broker, or in place."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.errors import DoraStateError
from dora_state.resting import rest
from dora_state.worker.jobs import Job
from dora_state.worker.supervision import Pauses
from infrastructure.broker import BrokerUnavailable
from infrastructure.schedules import Claim

LONGEST_WAIT = 60.0
SHORTEST_WAIT = 0.01
BROKER_QUIET_SECONDS = 5.0
"""How long the broker is left alone after it failed, so that its outage delays nothing."""
logger = logging.getLogger(__name__)


class Schedules(Protocol):
    async def claim(self, intervals: Mapping[str, float]) -> list[Claim]: ...


class Sender(Protocol):
    def send(self, queue: str, job: str) -> None: ...

    def is_alive(self) -> bool: ...


class Starter(Protocol):
    def start(self, name: str) -> object: ...


class BrokerStopped(RuntimeError):
    """A thread of the broker has ended, which it never should."""


class Scheduler:
    """A slot is run in place where the broker can't be told of it, and where nobody has begun the slot before: then the
    broker takes messages and delivers none."""

    def __init__(self, jobs: Sequence[Job], schedules: Schedules, broker: Sender, runner: Starter) -> None:
        self._queues = {job.name: job.role.value for job in jobs}
        self._intervals = {job.name: job.interval for job in jobs}
        self._schedules = schedules
        self._broker = broker
        self._runner = runner
        self._quiet_until = 0.0
        self._broker_fails = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. Waits out an outage of the database; raises BrokerStopped."""
        outage: Pauses | None = None
        while not stop.is_set():
            if not self._broker.is_alive():
                raise BrokerStopped
            try:
                wait = await self.round()
                outage = None
            except DoraStateError as error:
                outage = outage or Pauses()
                wait = outage.after_failure()
                logger.warning("What is due is asked for again in %.1f s: %s", wait, error.message)
            await rest(stop, wait)

    async def round(self) -> float:
        """Claim what is due and hand it out; gives the seconds until something is due again."""
        claims = await self._schedules.claim(self._intervals)
        await asyncio.gather(*(self._hand_out(claim) for claim in claims if claim.open))
        return min(max(min(claim.seconds for claim in claims), SHORTEST_WAIT), LONGEST_WAIT)

    async def _hand_out(self, claim: Claim) -> None:
        if claim.open > 1 or not await self._sent(claim.job):
            self._runner.start(claim.job)

    async def _sent(self, job: str) -> bool:
        if time.monotonic() < self._quiet_until:
            return False
        try:
            await asyncio.to_thread(self._broker.send, self._queues[job], job)
        except BrokerUnavailable as error:
            self._quiet_until = time.monotonic() + BROKER_QUIET_SECONDS
            if not self._broker_fails:
                logger.warning("Until it is back, each worker does by itself what it finds due: %s", error.message)
            self._broker_fails = True
            return False
        if self._broker_fails:
            logger.warning("The broker is back.")
        self._broker_fails = False
        return True
