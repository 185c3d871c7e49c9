"""Clients that write: each sends a command until it knows what became of it, and writes down what it knows."""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import uuid4

from domain.errors import DoraStateError
from dora_state.client import open_client
from dora_state.queue import open_command_queue
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from dora_state.testing.history import FOR_GOOD, Asked, Recorder, Told
from tests.torture.story import Step, life, opening
from tests.torture.upkeep import disturbed, in_turns, one_of_each

PATIENCE = 10.0
"""Seconds after which a writer that got no answer asks again, with the same id."""
PAUSE = 0.05
LANES = 3
"""How many things each writer does at a time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the servers are."""

    database_url: str
    redis_url: str
    broker_url: str
    api_url: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Heard:
    outcome: str
    versions: dict[str, int]
    position: int | None


class Way(ABC):
    """How commands are sent."""

    @abstractmethod
    async def send(self, submission: dict[str, Any]) -> Heard | None:
        """None where it is not known what became of it."""


class InProcess(Way):
    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def send(self, submission: dict[str, Any]) -> Heard | None:
        answer = await self._manager.submit(submission)
        return Heard(answer.outcome, dict(answer.versions), answer.position)


class OverHttp(InProcess):
    """The client has the same method, and waits by itself; what it gives up on is asked again."""

    async def send(self, submission: dict[str, Any]) -> Heard | None:
        try:
            return await super().send(submission)
        except DoraStateError:
            return None


class ByQueue(Way):
    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def send(self, submission: dict[str, Any]) -> Heard | None:
        try:
            command_id = await self._queue.send(submission)
            answer = await self._queue.answer(command_id, PATIENCE)
        except DoraStateError:
            return None
        return None if answer is None else Heard(answer.outcome, dict(answer.versions), answer.position)


@asynccontextmanager
async def way(kind: str, place: Place) -> AsyncIterator[Way]:
    match kind:
        case "python":
            settings = load_settings(
                database_url=place.database_url, redis_url=place.redis_url, tenant=place.tenant, pool_size=2
            )
            async with open_state_manager(settings, create=False) as manager:
                yield InProcess(manager)
        case "http":
            async with open_client(place.api_url, patience=PATIENCE) as client:
                yield OverHttp(client)
        case "queue":
            async with open_command_queue(place.broker_url, place.tenant) as queue:
                yield ByQueue(queue)


class Writer:
    """One client, for ever, until it is killed or told to stop."""

    def __init__(self, name: str, way: Way, record: Recorder, chance: random.Random) -> None:
        self._name = name
        self._way = way
        self._record = record
        self._chance = chance
        self._upkeep = in_turns(chance)

    async def write(self, stop: asyncio.Event) -> None:
        for step in chain(opening(), one_of_each(self._chance)):
            await self._do(step, {})
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(self._live(stop))

    async def _live(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            versions: dict[str, int] = {}
            workflow_id = f"{self._name}-{uuid4().hex[:12]}"
            steps = life(self._chance, workflow_id)
            for step in disturbed(self._chance, workflow_id, steps, next(self._upkeep)):
                await self._do(step, versions)

    async def _do(self, step: Step, versions: dict[str, int]) -> None:
        """`versions` are those that answers told, and come to know of this one."""
        command_id, expected = step.command_id or str(uuid4()), self._expected(step, versions)
        submission: dict[str, Any] = {
            "command_id": command_id,
            "type": step.type,
            "actor": self._name,
            "data": step.data,
        }
        if expected is not None:
            submission["expected_version"] = expected
        named = {} if expected is None else {step.stream_id: expected}
        self._record(Asked(self._name, command_id, step.type, named, actor=self._name))
        heard = await self._until_heard(submission)
        self._tell(command_id, heard)
        if self._chance.random() < 0.02:  # as one that did not hear the answer
            again = await self._way.send(submission)
            if again is not None:
                self._tell(command_id, again)
        versions.update(heard.versions)

    def _expected(self, step: Step, versions: dict[str, int]) -> int | None:
        known = versions.get(step.stream_id)
        if known is None or step.blind or self._chance.random() < 0.5:
            return None
        return known - 1 if step.stale and known > 1 else known

    async def _until_heard(self, submission: dict[str, Any]) -> Heard:
        """A conflict is final for this command too: the version that it names has passed, and it is not sent again."""
        began = time.monotonic()
        while True:
            heard = await self._way.send(submission)
            if heard is not None and heard.outcome in FOR_GOOD | {"conflict"}:
                return heard
            if time.monotonic() - began > 300:
                raise TimeoutError(f"No answer to {submission['type']} in five minutes.")
            await asyncio.sleep(PAUSE)

    def _tell(self, command_id: str, heard: Heard) -> None:
        self._record(Told(self._name, command_id, heard.outcome, heard.versions, heard.position, time.time()))
