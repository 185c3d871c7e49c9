"""Turns of the processes that write to the same streams of a tenant, by an advisory lock of the session."""

import logging

from domain.errors import LogError
from infrastructure import sql
from infrastructure.database import Connection, Role, assume, tenant_schema
from infrastructure.event_store.direct import DirectConnection

PATIENCE = "1s"
"""How long to wait for one's turn: whoever has it may have stopped."""
_LOCK_NOT_AVAILABLE = "55P03"

logger = logging.getLogger(__name__)


class PostgresTurns:
    """The port Turns, on a connection of its own, made when it is first needed.

    The server frees the lock of a connection that is gone. Where no turn can be had, the caller goes on without.
    """

    def __init__(self, database_url: str, tenant: str) -> None:
        self._tenant = tenant
        self._connection = DirectConnection(database_url, f"dora-state turns {tenant}", self._set_up)

    async def take(self) -> None:
        try:
            await self._connection.execute("turns/take", (), len)
        except LogError as error:
            if error.facts.get("sqlstate") == _LOCK_NOT_AVAILABLE:
                logger.warning(
                    "Another writer of tenant %s has kept its turn for more than %s.", self._tenant, PATIENCE
                )
            else:
                logger.warning("No turn to write could be had: %s", error)
                await self.close()

    async def give(self) -> None:
        try:
            await self._connection.execute("turns/give", (), len)
        except LogError:
            await self.close()

    async def close(self) -> None:
        await self._connection.close()

    async def _set_up(self, connection: Connection) -> None:
        await assume(connection, tenant_schema(self._tenant), Role.WRITER)
        await connection.execute(sql.load("setup/lock_timeout"), (PATIENCE,))
