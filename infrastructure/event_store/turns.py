"""Turns of the processes that write to the same streams of a tenant, by an advisory lock of the session."""

import contextlib
import logging

import psycopg

from domain.errors import LogError
from infrastructure import sql
from infrastructure.database import Connection, Role, assume, connect, tenant_schema

PATIENCE = "1s"
"""How long to wait for one's turn: whoever has it may have stopped."""

logger = logging.getLogger(__name__)


class PostgresTurns:
    """The port Turns, on a connection of its own, made when it is first needed.

    The server frees the lock of a connection that is gone. Where no turn can be had, the caller goes on without.
    """

    def __init__(self, database_url: str, tenant: str) -> None:
        self._database_url = database_url
        self._tenant = tenant
        self._connection: Connection | None = None

    async def take(self) -> None:
        try:
            if self._connection is None:
                connection = await connect(self._database_url, f"dora-state turns {self._tenant}")
                self._connection = connection
                await assume(connection, tenant_schema(self._tenant), Role.WRITER)
            await self._connection.execute(sql.load("turns/take"), (PATIENCE,))
        except psycopg.errors.LockNotAvailable:
            logger.warning("Another writer of tenant %s has kept its turn for more than %s.", self._tenant, PATIENCE)
        except (psycopg.Error, LogError) as error:
            logger.warning("No turn to write could be had: %s", error)
            await self.close()

    async def give(self) -> None:
        if self._connection is None:
            return
        try:
            await self._connection.execute(sql.load("turns/give"))
        except psycopg.Error:
            await self.close()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()
