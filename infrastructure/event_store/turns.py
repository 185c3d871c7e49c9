"""Turns of the processes that write to the same streams of a tenant, by an advisory lock of the session.

What is left for whoever has the turn goes through an unlogged table, so that only who may write can ask.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.errors import LogError
from domain.log import AlreadyRecorded
from infrastructure import sql
from infrastructure.database import Connection, Role, assume, tenant_schema
from infrastructure.event_store.arrays import ByteaArray, UuidArray
from infrastructure.event_store.binary import bigint, pack_bigint, timestamptz
from infrastructure.event_store.direct import DirectConnection, Results

PATIENCE = "1s"
"""How long to wait for one's turn at a time."""
FORGET_SECONDS = 1.0
"""How often what was taken in is deleted."""
_LOCK_NOT_AVAILABLE = "55P03"

logger = logging.getLogger(__name__)


class PostgresTurns:
    """The port Turns, on two connections of its own, made when they are first needed.

    The server frees the lock of a connection that is gone. Where no turn can be had, the caller goes on without.
    """

    def __init__(self, database_url: str, tenant: str) -> None:
        self._tenant = tenant
        self._turn = DirectConnection(database_url, f"dora-state turns {tenant}", self._set_up)
        self._asking = DirectConnection(database_url, f"dora-state asks {tenant}", self._set_up_asking)
        self._held = 0
        self._seen = 0
        self._forgotten = 0
        self._forgot_at = 0.0

    @property
    def is_held(self) -> bool:
        return self._held > 0 and self._held == self._turn.generation

    async def take(self) -> bool:
        try:
            await self._turn.execute("turns/take", (), len)
            self._held = self._turn.generation
        except LogError as error:
            if error.facts.get("sqlstate") == _LOCK_NOT_AVAILABLE:
                return False
            logger.warning("No turn to write could be had: %s", error)
            await self.close()
            await asyncio.sleep(0.1)  # whoever tries again does not try for ever without a pause
            return False
        return True

    async def give(self) -> None:
        self._held = 0
        try:
            await self._turn.execute("turns/give", (), len)
            await self._forget()  # so that the next one finds only what we have not seen
        except LogError:
            await self.close()

    async def ask(self, submissions: Mapping[UUID, bytes]) -> dict[UUID, AlreadyRecorded]:
        parameters = ByteaArray.pack(list(submissions.values())), UuidArray.pack(list(submissions))
        try:
            return await self._asking.execute("turns/ask", parameters, _answered)
        except LogError as error:
            logger.debug("Nobody could be asked: %s", error)
            return {}

    async def asked(self) -> list[bytes]:
        try:
            found = await self._asking.execute("turns/asked", (pack_bigint(self._seen),), _submissions)
            if found:
                self._seen = found[-1][0]
                if time.monotonic() - self._forgot_at > FORGET_SECONDS:
                    await self._forget()
        except LogError as error:
            logger.debug("What others asked could not be seen: %s", error)
            return []
        return [submission for _, submission in found]

    async def _forget(self) -> None:
        if self._forgotten < self._seen:
            await self._asking.execute("turns/forget", (pack_bigint(self._seen),), len)
            self._forgotten, self._forgot_at = self._seen, time.monotonic()

    async def answered(self, command_ids: Sequence[UUID]) -> dict[UUID, AlreadyRecorded]:
        try:
            return await self._asking.execute("turns/answered", (UuidArray.pack(command_ids),), _answered)
        except LogError as error:
            logger.debug("Answers could not be seen: %s", error)
            return {}

    async def close(self) -> None:
        await self._turn.close()
        await self._asking.close()

    async def _set_up(self, connection: Connection) -> None:
        await assume(connection, tenant_schema(self._tenant), Role.WRITER)
        await connection.execute(sql.load("setup/lock_timeout"), (PATIENCE,))
        await connection.execute(sql.load("signal/lightly"))

    async def _set_up_asking(self, connection: Connection) -> None:
        await self._set_up(connection)
        # The server may have crashed: an unlogged table is empty then, and its places begin anew.
        self._seen = self._forgotten = 0


def _submissions(results: Results) -> list[tuple[int, bytes]]:
    return [(bigint(place), bytes(submission)) for place, submission in _rows(results)]


def _answered(results: Results) -> dict[UUID, AlreadyRecorded]:
    return {
        UUID(bytes=command_id): AlreadyRecorded(
            bytes(answer),
            timestamptz(recorded_at),
            None if first is None else bigint(first),
            None if last is None else bigint(last),
        )
        for command_id, answer, recorded_at, first, last in _rows(results)
    }


def _rows(results: Results) -> Iterator[list[Any]]:
    for result in results:
        for number in range(result.ntuples):
            yield [result.get_value(number, column) for column in range(result.nfields)]
